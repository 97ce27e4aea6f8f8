"""The proxy core over a fake network: CANCEL, time-outs, destinations out of reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kamailiod.script.context import Branch, Context
from tests.kamailiod.script.proxy_world import ProxyWorld
from tests.kamailiod.script.relayed_calls import A, B, acknowledge, cancel, fork


def test_a_cancel_while_the_failure_route_waits(world: ProxyWorld) -> None:
    results: list[int] = []

    def later(context: Context) -> Callable[[], object]:
        context.branches.append(Branch(b"sip:b@127.0.0.1:6002"))
        return lambda: results.append(world.relay(context))

    world.script.named[b"LATER"] = later
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"LATER"))
    world.answer(486, A)
    cancel(world)
    assert world.finals == [200, 487]
    world.script.go_on()
    assert results == [-1]
    assert world.to(B) == []
    acknowledge(world)


def test_cancel_after_a_provisional(world: ProxyWorld) -> None:
    fork(world, A)
    world.answer(180, A)
    world.request(b"CANCEL", more=b"Reason: SIP;cause=200\r\n")
    assert world.finals == [200]
    sent = world.to(A, b"CANCEL")[0]
    invite = world.to(A, b"INVITE")[0]
    assert sent.uri_text == invite.uri_text
    assert [bytes(via) for via in sent.vias] == [bytes(invite.vias[0])]
    assert sent.cseq == (1, b"CANCEL")
    assert (sent.call_id, sent.from_tag, sent.to_tag) == (b"call", b"caller", b"")
    assert sent.header(b"reason") == b"SIP;cause=200"
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    assert world.finals == [200, 487]
    assert [r.cseq[1] for r in world.replies if r.status >= 200] == [b"CANCEL", b"INVITE"]
    acknowledge(world)


def test_cancel_before_a_provisional_waits_for_it(world: ProxyWorld) -> None:
    """RFC 3261 9.1."""
    fork(world, A)
    cancel(world)
    assert world.finals == [200]
    assert world.methods(A) == [b"INVITE"]
    world.answer(100, A)
    assert world.methods(A) == [b"INVITE", b"CANCEL"]
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    assert world.finals == [200, 487]
    acknowledge(world)


def test_a_retransmitted_cancel_gets_its_200_again(world: ProxyWorld) -> None:
    fork(world, A)
    world.answer(180, A)
    cancel(world)
    cancel(world)
    assert world.finals == [200, 200]
    assert world.methods(A) == [b"INVITE", b"CANCEL"]
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    acknowledge(world)


def test_cancel_while_the_script_waits(world: ProxyWorld) -> None:
    results: list[int] = []

    def route(context: Context) -> Any:
        if context.message.method == b"CANCEL":
            return None
        return lambda: results.append(world.relay(context))

    world.script.request_route = route
    world.invite()
    world.invite()
    assert len(world.script.held) == 1, "a retransmission is absorbed while the script waits"
    cancel(world)
    assert world.finals == [200, 487]
    world.script.go_on()
    assert results == [-1]
    assert world.to(A) == []
    acknowledge(world)


def test_a_cancel_that_the_script_leaves_alone_is_processed(world: ProxyWorld) -> None:
    world.script.request_route = lambda context: (
        None if context.message.method == b"CANCEL" else bool(world.relay(context)) and None
    )
    world.invite()
    world.answer(180)
    cancel(world)
    assert world.methods(A) == [b"INVITE", b"CANCEL"]
    world.answer(487, A)
    assert world.finals == [200, 487]
    acknowledge(world)


def test_a_cancel_after_the_answer_changes_nothing(world: ProxyWorld) -> None:
    fork(world, A)
    world.answer(200, A)
    cancel(world)
    assert world.finals == [200, 200]
    assert world.methods(A) == [b"INVITE"]


def test_a_branch_that_answers_although_canceled(world: ProxyWorld) -> None:
    fork(world, A)
    world.answer(180, A)
    cancel(world)
    world.answer(200, A)
    assert world.finals == [200, 200]
    assert world.replies[-1].cseq[1] == b"INVITE"


def test_a_branch_that_ignores_its_cancel_is_given_up(world: ProxyWorld) -> None:
    fork(world, A)
    world.answer(180, A)
    cancel(world)
    world.pass_time(31)
    assert world.finals[:2] == [200, 487]
    acknowledge(world)


def test_no_answer_at_all_is_408_and_no_cancel(world: ProxyWorld) -> None:
    world.invite()
    world.pass_time(29)
    assert world.finals == []
    world.pass_time(2)
    assert set(world.finals) == {408}
    assert b"CANCEL" not in world.methods(A)
    acknowledge(world)


def test_ringing_too_long_is_408_and_called_off(world: ProxyWorld) -> None:
    world.invite()
    world.answer(180)
    world.pass_time(121)
    assert world.finals[:1] == [408]
    assert world.methods(A)[:2] == [b"INVITE", b"CANCEL"]
    acknowledge(world)
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    assert world.methods(A)[-1] == b"ACK"
    assert set(world.finals) == {408}, "the 487 ends here"


def test_a_non_invite_that_times_out(world: ProxyWorld) -> None:
    world.request(b"OPTIONS")
    world.pass_time(31)
    assert world.codes == [408]
    assert world.methods(A) == [b"OPTIONS"] * 10


def test_a_time_out_runs_the_failure_route(world: ProxyWorld) -> None:
    seen: list[tuple[int, int, int]] = []
    world.script.named[b"F"] = lambda context: seen.append((
        world.tm.t_branch_timeout(context), world.tm.t_branch_replied(context),
        world.tm.t_get_status_code(context),
    ))  # fmt: skip
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"F"))
    world.pass_time(31)
    assert seen == [(1, -1, 408)]
    assert world.finals[:1] == [408]
    acknowledge(world)


def test_t_set_fr(world: ProxyWorld) -> None:
    fork(world, A, prepare=lambda context: world.tm.t_set_fr(context, 4000, 2000))
    world.pass_time(1.5)
    assert world.finals == []
    world.answer(180, A)
    world.pass_time(3)
    assert world.finals == []
    world.pass_time(1.5)
    assert world.finals[:1] == [408]
    acknowledge(world)


def test_a_destination_that_cannot_be_reached(world: ProxyWorld) -> None:
    world.wire.broken = {A}
    world.script.request_route = lambda context: bool(world.relay(context)) and None
    world.invite()
    assert world.finals == [477]
    acknowledge(world)


def test_one_of_two_destinations_cannot_be_reached(world: ProxyWorld) -> None:
    world.wire.broken = {A}
    fork(world, A, B)
    world.answer(486, B)
    assert world.finals == [486]
    acknowledge(world)


@pytest.mark.parametrize("uri", [b"tel:+12015550123", b"urn:x:y", b"sip:@"])
def test_a_uri_that_leads_nowhere(world: ProxyWorld, uri: bytes) -> None:
    world.invite(uri=uri)
    assert len(world.finals) == 1
    assert 400 <= world.finals[0] < 500
    acknowledge(world)
