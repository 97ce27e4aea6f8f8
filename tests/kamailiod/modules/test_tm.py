"""What scripts call of tm; how transactions relay is tested in script/test_relay.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamailiod.modules.tm import LocalRequest
from kamailiod.script.context import Context, Route
from kamailiod.sip.message import SipMessage
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.script.proxy_world import ProxyWorld

Seen = list[Any]


@pytest.fixture
def world(services: FakeServices) -> Iterator[ProxyWorld]:
    found = ProxyWorld(services)
    yield found
    found.assert_empty()


def script(world: ProxyWorld, route: Callable[[Context], object]) -> None:
    world.script.request_route = lambda context: bool(route(context)) and None


def test_t_check_trans(world: ProxyWorld) -> None:
    seen: Seen = []

    def route(context: Context) -> None:
        seen.append((context.message.method, world.tm.t_check_trans(context)))
        world.relay(context)

    script(world, route)
    world.request(b"CANCEL", b"none")
    world.invite()
    world.answer(180)
    world.request(b"CANCEL")
    world.answer(200)
    world.request(b"ACK", b"ack", to=b"<sip:b@b.example>;tag=callee6001")
    assert seen == [(b"CANCEL", -1), (b"INVITE", -1), (b"CANCEL", 1), (b"ACK", 1)]


def test_a_transaction_by_hand(world: ProxyWorld) -> None:
    tm = world.tm
    seen: Seen = []

    def route(context: Context) -> None:
        seen.extend([
            tm.t_exists(context), tm.t_reply(context, 180, b"x"), tm.t_newtran(context),
            tm.t_newtran(context), tm.t_exists(context), tm.t_reply(context, 180, b"Ringing"),
            tm.t_check_status(context, b"18."), tm.t_check_status(context, b"("),
            tm.t_reply(context, 486, b""), tm.t_reply(context, 487, b""),
            tm.t_get_status_code(context), tm.t_retransmit_reply(context),
        ])  # fmt: skip

    script(world, route)
    world.invite()
    assert seen == [-1, -1, 1, -10, 1, 1, 1, -1, 1, -1, 486, 1]
    assert world.codes == [180, 486, 486]
    assert world.replies[0].to_tag == world.replies[1].to_tag != b""
    assert world.replies[1].reason == b"Busy Here"
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_a_1xx_and_then_nothing_ends_some_day(world: ProxyWorld) -> None:
    def route(context: Context) -> None:
        world.tm.t_newtran(context)
        world.tm.t_reply(context, 180, b"Ringing")

    script(world, route)
    world.invite()
    world.pass_time(119)
    assert world.codes == [180]
    world.pass_time(2)
    assert world.codes[:2] == [180, 408]


def test_t_is_set(world: ProxyWorld) -> None:
    seen: Seen = []
    kinds = (b"branch_route", b"f", b"onreply", b"?")

    def route(context: Context) -> None:
        seen.append([world.tm.t_is_set(context, kind) for kind in kinds])
        world.tm.t_on_branch(context, b"B")
        world.tm.t_on_failure(context, b"F")
        world.tm.t_on_reply(context, b"R")
        seen.append([world.tm.t_is_set(context, kind) for kind in kinds])
        world.tm.t_on_failure(context, b"")
        seen.append(world.tm.t_is_set(context, b"f"))

    script(world, route)
    world.invite()
    assert seen == [[-1, -1, -1, -1], [1, 1, 1, -1], -1]


def test_questions_in_a_failure_route(world: ProxyWorld) -> None:
    tm = world.tm
    seen: Seen = []

    def failed(context: Context) -> None:
        seen.extend([
            tm.t_any_replied(context), tm.t_any_timeout(context), tm.t_branch_replied(context),
            tm.t_branch_timeout(context), tm.t_grep_status(context, 486),
            tm.t_grep_status(context, 404), tm.t_check_status(context, b"4[0-9][0-9]"),
            tm.reply_code(context, b"", None), tm.reply_reason(context, b"", None),
            tm.t_is_canceled(context),
        ])  # fmt: skip

    world.script.named[b"F"] = failed
    script(world, lambda c: tm.t_on_failure(c, b"F") and world.relay(c, (6001, 6002)))
    world.invite()
    world.answer(486, 6001)
    world.answer(480, 6002)
    assert seen == [1, -1, 1, -1, 1, -1, 1, 480, b"Reason 480", -1]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")


def test_t_release(world: ProxyWorld) -> None:
    seen: Seen = []

    def route(context: Context) -> None:
        seen.append(world.tm.t_release(context))
        world.tm.t_newtran(context)
        seen.append(world.tm.t_release(context))

    script(world, route)
    world.request(b"OPTIONS")
    assert seen == [-1, 1]


def test_t_set_retr(world: ProxyWorld) -> None:
    script(world, lambda c: world.tm.t_set_retr(c, 1000, 1000) and world.relay(c))
    world.request(b"OPTIONS")
    world.pass_time(3.5)
    assert len(world.to(6001)) == 4
    world.answer(200, method=b"OPTIONS")


def test_statistics(world: ProxyWorld) -> None:
    world.invite()
    world.answer(486)
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=x")
    counts = world.services.statistics.counts
    assert (counts["tm:UAS_transactions"], counts["tm:inuse_transactions"]) == (1, 1)
    world.pass_time(10)
    assert (counts["tm:inuse_transactions"], counts["tm:freed"]) == (0, 1)
    assert counts["tm:4xx_transactions"] == 1
    answer = world.tm.stats()
    assert isinstance(answer, dict)
    assert (answer["current"], answer["created"], answer["4xx"]) == (0, 1, 1)


def local(
    method: bytes = b"BYE", uri: bytes = b"sip:b@127.0.0.1:6001", **more: Any
) -> LocalRequest:
    return LocalRequest(method, uri, b"<sip:a@a>;tag=1", b"<sip:b@b>;tag=2", b"c", 5, **more)


@pytest.mark.parametrize(("method", "code"), [(b"BYE", 200), (b"BYE", 481), (b"INVITE", 486)])
def test_a_request_of_our_own(world: ProxyWorld, method: bytes, code: int) -> None:
    heard: list[tuple[int, SipMessage | None]] = []
    request = local(method, routes=(b"<sip:127.0.0.1:6001;lr>",), headers=(b"X: 1",), body=b"hi")
    assert world.tm.send_request(request, lambda status, reply: heard.append((status, reply)))
    (sent,) = world.to(6001)
    assert (sent.method, sent.cseq, sent.body) == (method, (5, method), b"hi")
    assert sent.headers(b"route") == [b"<sip:127.0.0.1:6001;lr>"]
    world.answer(100, method=method)
    world.answer(code, method=method)
    assert [status for status, _ in heard] == [code]
    assert heard[0][1] is not None


def test_a_request_of_our_own_that_fails(world: ProxyWorld) -> None:
    heard: list[int] = []

    def callback(status: int, reply: SipMessage | None) -> None:
        heard.append(status)

    assert not world.tm.send_request(local(uri=b"tel:1"), callback)
    world.wire.broken = {6001}
    assert not world.tm.send_request(local(), callback)
    world.wire.broken = set()
    assert world.tm.send_request(local(), callback)
    world.pass_time(31)
    assert heard == [478, 503, 408]


def test_the_status_in_a_reply_route(world: ProxyWorld) -> None:
    seen: Seen = []
    world.script.named[b"R"] = lambda c: seen.append((
        c.route, world.tm.t_check_status(c, b"180"), world.tm.t_get_branch_index(c),
    ))  # fmt: skip
    script(world, lambda c: world.tm.t_on_reply(c, b"R") and world.relay(c))
    world.invite()
    world.answer(180)
    world.answer(200)
    assert seen == [(Route.ONREPLY, 1, 0), (Route.ONREPLY, -1, 0)]
