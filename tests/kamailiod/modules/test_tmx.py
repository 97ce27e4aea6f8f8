"""Suspended transactions, route questions and the variables of transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kamailiod.modules.tmx import Tmx
from kamailiod.script.context import Context, Route
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.script.proxy_world import ProxyWorld


@pytest.fixture
def world(services: FakeServices) -> Iterator[ProxyWorld]:
    found = ProxyWorld(services)
    yield found
    found.assert_empty()


def suspend(world: ProxyWorld) -> tuple[Tmx, list[int]]:
    tmx: Tmx = world.services.module(Tmx)
    identity: list[int] = []

    def route(context: Context) -> None:
        if context.message.method == b"CANCEL":
            world.tm.t_relay(context)
            return
        assert tmx.t_suspend(context) == 1
        for name in (b"id_index", b"id_label"):
            value = tmx.transaction(context, name, None)
            assert isinstance(value, int)
            identity.append(value)

    world.script.request_route = route
    world.invite()
    assert world.codes == [100]
    return tmx, identity


def test_suspend_and_continue(world: ProxyWorld) -> None:
    tmx, (index, label) = suspend(world)
    world.script.named[b"GO"] = lambda context: bool(world.relay(context)) and None
    context = world.services.faked_context()
    assert tmx.t_continue(context, index, label + 1, b"GO") == -1
    assert tmx.t_continue(context, index, label, b"GO") == 1
    assert tmx.t_continue(context, index, label, b"GO") == -1
    world.answer(200)
    assert world.finals == [200]


def test_a_suspended_transaction_times_out(world: ProxyWorld) -> None:
    suspend(world)
    world.pass_time(31)
    assert set(world.finals) == {408}
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_a_suspended_transaction_may_be_canceled(world: ProxyWorld) -> None:
    tmx, (index, label) = suspend(world)
    world.request(b"CANCEL")
    assert world.finals == [200, 487]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")
    world.script.named[b"GO"] = lambda context: bool(world.relay(context)) and None
    tmx.t_continue(world.services.faked_context(), index, label, b"GO")
    assert world.to(6001) == []


def test_continuing_without_doing_anything_is_ended(world: ProxyWorld) -> None:
    tmx, (index, label) = suspend(world)
    assert tmx.t_continue(world.services.faked_context(), index, label, b"NOTHING") == 1
    assert world.finals == [500]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_a_timeout_runs_the_failure_route(world: ProxyWorld) -> None:
    tmx, identity = suspend(world)
    (server,) = world.tm.transactions.servers.values()
    server.context.shared.on_failure = b"LATE"
    seen: list[int] = []

    def late(context: Context) -> None:
        seen.append(world.tm.t_check_status(context, b"408"))
        world.relay(context, [6002])

    world.script.named[b"LATE"] = late
    world.pass_time(31)
    assert seen == [1]
    world.answer(200, 6002)
    assert world.finals == [200]
    assert tmx.t_continue(world.services.faked_context(), *identity, b"GO") == -1


def test_a_route_may_suspend_again(world: ProxyWorld) -> None:
    tmx, identity = suspend(world)
    world.script.named[b"AGAIN"] = lambda context: bool(tmx.t_suspend(context)) and None
    world.script.named[b"GO"] = lambda context: bool(world.relay(context)) and None
    context = world.services.faked_context()
    assert tmx.t_continue(context, *identity, b"AGAIN") == 1
    assert world.finals == []
    assert tmx.t_continue(context, *identity, b"GO") == 1
    world.answer(200)
    assert world.finals == [200]


def test_a_transaction_of_another_worker_is_continued_there(world: ProxyWorld) -> None:
    tmx, (index, label) = suspend(world)
    told: list[tuple[int, str, tuple[object, ...]]] = []
    world.services.worker_count = 2

    def tell(rank: int, name: str, *arguments: object) -> bool:
        told.append((rank, name, arguments))
        return True

    world.services.tell_worker = tell  # type: ignore[method-assign]  # the fake's mailbox
    context = world.services.faked_context()
    other = index + (1 << 16)
    assert tmx.t_continue(context, other, label, b"GO") == 1
    assert told == [(2, "tm.continue", (other, label, b"GO"))]
    assert tmx.t_continue(context, other + (1 << 16), label, b"GO") == -1
    assert tmx.t_continue(context, index, label, b"NOTHING") == 1
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_suspending_is_undone(world: ProxyWorld) -> None:
    tmx, (index, label) = suspend(world)
    context = world.services.faked_context()
    assert tmx.t_cancel_suspended(context, index, label) == 1
    assert tmx.t_cancel_suspended(context, index, label) == -1
    (server,) = world.tm.transactions.servers.values()
    world.tm.relay.reply(server, 403, b"No")
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


@pytest.mark.parametrize(
    ("which", "left"), [(b"all", (True, True)), (b"others", (False, True)), (b"this", None)]
)
def test_canceling_branches(
    world: ProxyWorld, which: bytes, left: tuple[bool, bool] | None
) -> None:
    tmx: Tmx = world.services.module(Tmx)

    def ringing(context: Context) -> None:
        if context.message.status == 183:
            assert tmx.t_cancel_branches(context, which) == 1

    world.script.named[b"R"] = ringing
    world.script.request_route = lambda context: bool(
        world.tm.t_on_reply(context, b"R") and world.relay(context, (6001, 6002))
    ) and None
    world.invite()
    world.answer(180, 6002)
    world.answer(180, 6001)
    world.answer(183, 6001)
    canceled = tuple(b"CANCEL" in world.methods(port) for port in (6001, 6002))
    assert canceled == (left or (True, False))
    world.answer(200, 6001)
    world.answer(487, 6002)


def test_route_questions(world: ProxyWorld) -> None:
    tmx: Tmx = world.services.module(Tmx)
    context = world.services.faked_context()
    expected: dict[Route, tuple[int, ...]] = {
        Route.REQUEST: (1, -1, -1, -1), Route.FAILURE: (-1, 1, -1, -1),
        Route.BRANCH: (-1, -1, 1, -1), Route.REPLY: (-1, -1, -1, 1),
        Route.ONREPLY: (-1, -1, -1, 1),
    }  # fmt: skip
    for route, answers in expected.items():
        context.route = route
        assert answers == (
            tmx.t_is_request_route(context), tmx.t_is_failure_route(context),
            tmx.t_is_branch_route(context), tmx.t_is_reply_route(context),
        )  # fmt: skip
    assert tmx.t_precheck_trans(context) == -1


def test_variables(world: ProxyWorld) -> None:
    tmx: Tmx = world.services.module(Tmx)
    seen: list[Any] = []

    def failed(context: Context) -> None:
        seen.extend(
            tmx.transaction(context, name, None)
            for name in (b"reply_code", b"reply_reason", b"reply_type", b"branch_index", b"none")
        )
        seen.append(tmx.reply_last(context, b"", None))
        seen.append(tmx.of_request(context, b"$ru", None))
        seen.append(tmx.of_reply(context, b"$rs", None))

    world.script.named[b"F"] = failed
    world.script.request_route = lambda context: bool(
        world.tm.t_on_failure(context, b"F") and world.relay(context)
    ) and None
    world.invite()
    world.answer(486)
    assert seen[:6] == [486, b"Reason 486", 0, 0, None, 486]
    assert seen[6:] == [b"sip:b@127.0.0.1:6001", 486]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")
    context = world.services.faked_context()
    assert tmx.transaction(context, b"id_index", None) is None
    assert tmx.of_reply(context, b"$rs", None) is None
