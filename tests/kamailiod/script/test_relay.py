"""The proxy core over a fake network: forking, best response, routes, look-ups, hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kamailiod.script.context import Branch, Context, Happening
from lua import Wait
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.script.proxy_world import ProxyWorld
from tests.kamailiod.script.relayed_calls import A, B, C, acknowledge, fork


def test_a_call(world: ProxyWorld) -> None:
    world.invite()
    assert world.codes == [100]
    (sent,) = world.to(A)
    assert (sent.method, sent.uri_text) == (b"INVITE", b"sip:b@127.0.0.1:6001")
    assert sent.number(b"max-forwards") == 69
    assert [via.sent_by for via in sent.vias] == [b"127.0.0.1:5060", b"127.0.0.1:5080"]
    assert sent.vias[0].branch.startswith(b"z9hG4bK")
    world.answer(180)
    world.answer(200)
    assert world.codes == [100, 180, 200]
    assert [via.sent_by for via in world.replies[-1].vias] == [b"127.0.0.1:5080"]
    world.request(b"ACK", b"ack", to=b"<sip:b@b.example>;tag=callee6001")
    world.request(b"BYE", b"bye", to=b"<sip:b@b.example>;tag=callee6001", cseq=2)
    world.answer(200, method=b"BYE")
    assert world.methods(A) == [b"INVITE", b"ACK", b"BYE"]
    assert world.codes == [100, 180, 200, 200]


def test_retransmissions_are_absorbed_and_answered(world: ProxyWorld) -> None:
    world.invite()
    world.invite()
    assert world.codes == [100, 100]
    world.answer(180)
    world.invite()
    assert world.codes == [100, 100, 180, 180]
    assert world.methods(A) == [b"INVITE"]
    world.answer(486)
    world.invite()
    assert world.codes[-2:] == [486, 486]
    acknowledge(world)
    world.pass_time(3)
    assert world.codes[-2:] == [486, 486]
    assert world.methods(A) == [b"INVITE", b"ACK"]


def test_a_request_with_the_branch_of_another_sender_is_another(world: ProxyWorld) -> None:
    world.request(b"OPTIONS")
    world.request(b"OPTIONS", via=b"SIP/2.0/UDP 127.0.0.9:5080")
    assert world.methods(A) == [b"OPTIONS", b"OPTIONS"]


def test_parallel_fork_first_answer_wins(world: ProxyWorld) -> None:
    fork(world, A, B, C)
    assert len({world.to(port)[0].top_via.branch for port in (A, B, C)}) == 3  # type: ignore[union-attr]
    world.answer(180, A)
    world.answer(183, B)
    world.answer(486, C)
    world.answer(200, B)
    assert world.codes == [100, 180, 183, 200]
    assert world.methods(A) == [b"INVITE", b"CANCEL"]
    assert world.methods(B) == [b"INVITE"]
    assert world.methods(C) == [b"INVITE", b"ACK"]
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    assert world.methods(A) == [b"INVITE", b"CANCEL", b"ACK"]
    assert world.finals == [200]


def test_two_branches_answer(world: ProxyWorld) -> None:
    fork(world, A, B)
    world.answer(200, A)
    world.answer(200, B)
    assert world.finals == [200, 200]
    assert [reply.to_tag for reply in world.replies[1:]] == [b"callee6001", b"callee6002"]


def test_a_retransmitted_200_goes_through_again(world: ProxyWorld) -> None:
    world.invite()
    world.answer(200)
    world.answer(200)
    assert world.finals == [200, 200]


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ((486, 404, 480), 404), ((503, 486, 500), 486), ((302, 404, 500), 302),
        ((500, 503, 501), 500),
        ((486, 401, 404), 401), ((486, 407, 404), 407), ((486, 484, 404), 484),
        ((404, 603, 302), 603),
        ((503, 503, 503), 500), ((480, 480, 480), 480), ((600, 200, 404), 200),
    ],
)  # fmt: skip
def test_the_best_response(world: ProxyWorld, codes: tuple[int, ...], best: int) -> None:
    fork(world, A, B, C)
    for port, code in zip((A, B, C), codes, strict=True):
        assert not world.finals or best == 200
        world.answer(code, port)
    assert world.finals == [best]
    acknowledge(world)


def test_a_6xx_calls_the_others_off_and_wins(world: ProxyWorld) -> None:
    fork(world, A, B)
    world.answer(180, B)
    world.answer(603, A)
    assert world.methods(B) == [b"INVITE", b"CANCEL"]
    assert world.finals == []
    world.answer(200, B, b"CANCEL")
    world.answer(487, B)
    assert world.finals == [603]
    acknowledge(world)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(200, b'SIP;cause=200;text="Call completed elsewhere"'), (603, b"SIP;cause=603")],
)
def test_the_others_are_told_who_answered(world: ProxyWorld, code: int, reason: bytes) -> None:
    """RFC 3326: a phone that sees cause 200 lists no missed call."""
    fork(world, A, B)
    world.answer(180, A)
    world.answer(code, B)
    assert world.to(A, b"CANCEL")[0].header(b"reason") == reason
    world.answer(200, A, b"CANCEL")
    world.answer(487, A)
    acknowledge(world)


def test_a_200_after_a_6xx_still_wins(world: ProxyWorld) -> None:
    """RFC 3261 16.7 step 5: a 2xx is forwarded at once, always."""
    fork(world, A, B)
    world.answer(603, A)
    world.answer(200, B)
    assert world.finals == [200]


def test_challenges_are_joined(world: ProxyWorld) -> None:
    fork(world, A, B, C)
    world.answer(401, A, more=b'WWW-Authenticate: Digest realm="a"\r\n')
    world.answer(407, B, more=b'Proxy-Authenticate: Digest realm="b"\r\n')
    world.answer(404, C)
    (final,) = [reply for reply in world.replies if reply.status >= 200]
    assert final.status == 401
    assert final.headers(b"www-authenticate") == [b'Digest realm="a"']
    assert final.headers(b"proxy-authenticate") == [b'Digest realm="b"']
    acknowledge(world)


def test_503_goes_upstream_as_500(world: ProxyWorld) -> None:
    world.invite()
    world.answer(503)
    assert world.finals == [500]
    acknowledge(world)


def test_serial_fork_by_failure_route(world: ProxyWorld) -> None:
    seen: list[int] = []

    def busy(context: Context) -> None:
        seen.append(world.tm.t_get_status_code(context))
        assert world.tm.t_check_status(context, b"486|408") == 1
        context.branches.append(Branch(b"sip:voicemail@127.0.0.1:6002"))
        assert world.relay(context) == 1

    world.script.named[b"BUSY"] = busy
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"BUSY"))
    world.answer(180, A)
    world.answer(486, A)
    assert seen == [486]
    assert world.finals == []
    assert world.to(B)[0].uri_text == b"sip:voicemail@127.0.0.1:6002"
    assert world.to(B)[0].number(b"max-forwards") == 69
    assert [via.sent_by for via in world.to(B)[0].vias] == [b"127.0.0.1:5060", b"127.0.0.1:5080"]
    world.answer(200, B)
    assert world.finals == [200]
    assert world.methods(B) == [b"INVITE"]


def test_a_failure_route_that_sets_the_destination(world: ProxyWorld) -> None:
    """The guide's voicemail: a new $du and t_relay, no append_branch."""

    def busy(context: Context) -> None:
        context.destination = b"sip:127.0.0.1:6002"
        assert world.relay(context) == 1

    world.script.named[b"BUSY"] = busy
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"BUSY"))
    world.answer(486, A)
    assert world.to(B)[0].uri_text == b"sip:b@127.0.0.1:6001"
    world.answer(404, B)
    assert len(world.finals) == 1
    assert world.script.routes == [b"BUSY"], "armed once, run once"
    acknowledge(world)


def test_a_failure_route_may_arm_itself_again(world: ProxyWorld) -> None:
    ports = iter([B, C])

    def again(context: Context) -> None:
        port = next(ports, 0)
        if port:
            world.tm.t_on_failure(context, b"AGAIN")
            context.branches.append(Branch(b"sip:b@127.0.0.1:%d" % port))
            world.relay(context)

    world.script.named[b"AGAIN"] = again
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"AGAIN"))
    world.answer(486, A)
    world.answer(486, B)
    world.answer(486, C)
    assert world.script.routes == [b"AGAIN"] * 3
    assert world.finals == [486]
    acknowledge(world)


def test_a_failure_route_that_does_nothing_or_replies(world: ProxyWorld) -> None:
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"NOTHING"))
    world.answer(486, A)
    assert world.finals == [486]
    acknowledge(world)
    world.script.named[b"REPLY"] = lambda context: world.tm.t_reply(context, 480, b"Away")
    world.script.request_route = lambda context: (
        world.tm.t_on_failure(context, b"REPLY"), world.relay(context),
    )[:0]  # fmt: skip
    world.invite(b"second")
    world.answer(486, A)
    assert world.finals == [486, 480]
    world.request(b"ACK", b"second", to=b"<sip:b@b.example>;tag=x")


def test_a_failure_route_that_waits(world: ProxyWorld) -> None:
    def later(context: Context) -> Callable[[], object]:
        context.branches.append(Branch(b"sip:b@127.0.0.1:6002"))
        return lambda: world.relay(context)

    world.script.named[b"LATER"] = later
    fork(world, A, prepare=lambda context: world.tm.t_on_failure(context, b"LATER"))
    world.answer(486, A)
    assert world.finals == []
    world.script.go_on()
    world.answer(200, B)
    assert world.finals == [200]


def test_a_second_t_relay_is_refused(world: ProxyWorld) -> None:
    results: list[int] = []

    def route(context: Context) -> None:
        results.extend([world.relay(context), world.relay(context)])

    world.script.request_route = route
    world.invite()
    assert results == [1, -1]
    assert world.methods(A) == [b"INVITE"]
    world.answer(200)


def test_branch_route_changes_one_branch_and_drops_another(world: ProxyWorld) -> None:
    indices: list[int] = []

    def each(context: Context) -> None:
        indices.append(context.branch)
        if b":6002" in context.uri:
            context.dropped = True
        if b":6003" in context.uri:
            context.edits.end.append(b"X-Branch: three")

    world.script.named[b"EACH"] = each
    fork(world, A, B, C, prepare=lambda context: world.tm.t_on_branch(context, b"EACH"))
    assert indices[0] == 0
    assert len(indices) == 3
    assert world.to(B) == []
    assert world.to(A)[0].header(b"x-branch") is None
    assert world.to(C)[0].header(b"x-branch") == b"three"
    world.answer(200, C)
    world.answer(487, A)


def test_a_branch_route_that_drops_all(world: ProxyWorld) -> None:
    results: list[int] = []

    def drop(context: Context) -> None:
        context.dropped = True

    def route(context: Context) -> None:
        world.tm.t_on_branch(context, b"DROP")
        results.append(world.relay(context))

    world.script.named[b"DROP"] = drop
    world.script.request_route = route
    world.invite()
    assert results[0] < 0
    assert world.finals == [500]
    assert world.to(A) == []
    acknowledge(world)


def test_a_branch_route_that_redirects(world: ProxyWorld) -> None:
    world.script.named[b"TO_B"] = lambda context: context.set_uri(b"sip:c@127.0.0.1:6002")
    fork(world, A, prepare=lambda context: world.tm.t_on_branch(context, b"TO_B"))
    assert world.to(A) == []
    assert world.to(B)[0].uri_text == b"sip:c@127.0.0.1:6002"
    world.answer(200, B)


def test_reply_route_drops_a_provisional_but_no_final(world: ProxyWorld) -> None:
    seen: list[tuple[int, int]] = []

    def drop(context: Context) -> None:
        seen.append((context.message.status, context.branch))
        context.dropped = True

    world.script.named[b"DROP"] = drop
    fork(world, A, prepare=lambda context: world.tm.t_on_reply(context, b"DROP"))
    world.answer(180, A)
    world.answer(200, A)
    assert seen == [(180, 0), (200, 0)]
    assert world.codes == [100, 200]


def test_edits_of_a_reply_route_belong_to_that_reply(world: ProxyWorld) -> None:
    def edit(context: Context) -> None:
        if context.message.status == 180:
            context.edits.remove_header(context.message, b"x-secret")
            context.edits.end.append(b"X-Seen: yes")

    world.script.named[b"EDIT"] = edit
    fork(world, A, prepare=lambda context: world.tm.t_on_reply(context, b"EDIT"))
    world.answer(180, A, more=b"X-Secret: 1\r\n")
    world.answer(200, A, more=b"Contact: <sip:b@127.0.0.1>\r\nX-Other: 2\r\n")
    ringing, answered = world.replies[1:]
    assert ringing.header(b"x-secret") is None
    assert ringing.header(b"x-seen") == b"yes"
    assert answered.header(b"contact") == b"<sip:b@127.0.0.1>"
    assert answered.header(b"x-other") == b"2"
    assert answered.header(b"x-seen") is None


def test_max_forwards(world: ProxyWorld) -> None:
    world.invite(b"zero", max_forwards=b"0")
    assert world.codes == [483]
    world.request(b"ACK", b"other", max_forwards=b"0", to=b"<sip:b@b.example>;tag=1")
    assert world.to(A) == []
    world.request(b"OPTIONS", b"one", max_forwards=b"1")
    assert world.to(A)[0].number(b"max-forwards") == 0
    world.answer(200, method=b"OPTIONS")


def test_a_loop_is_482_and_a_spiral_is_none(world: ProxyWorld) -> None:
    world.request(b"OPTIONS", uri=b"sip:b@127.0.0.1:5060")
    (looped,) = world.to(5060)
    world.receive(looped.data, (b"127.0.0.1", 5060))
    assert len(world.to(5060)) == 1
    replies = [data for target, data in world.wire.sent if target.port == 5060][1:]
    assert replies[0].startswith(b"SIP/2.0 482 ")
    assert looped.top_via is not None
    other = looped.data.replace(b"OPTIONS sip:b@", b"OPTIONS sip:c@")
    world.receive(b"".join((
        other.partition(b"\r\n")[0], b"\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bKbetween\r\n",
        other.partition(b"\r\n")[2],
    )))  # fmt: skip
    assert len(world.to(5060)) == 2


def test_names_that_must_be_looked_up(services: FakeServices) -> None:
    world = ProxyWorld(services)

    async def found() -> Any:
        await asyncio.sleep(0)
        return [(b"udp", b"127.0.0.1", 6002)]

    world.network.look_up = lambda uri: found() if b"name" in uri else [(b"udp", b"127.0.0.1", A)]
    world.script.request_route = lambda context: bool(world.relay(context)) and None
    world.invite(uri=b"sip:b@name.example")
    assert world.to(B)[0].uri_text == b"sip:b@name.example"
    world.answer(200, B)
    assert world.finals == [200]
    world.assert_empty()


def test_t_relay_gives_a_wait_while_it_looks_up(services: FakeServices) -> None:
    world = ProxyWorld(services)
    results: list[object] = []

    async def nothing() -> None:
        return None

    world.network.look_up = lambda uri: nothing()

    def route(context: Context) -> None:
        wait = world.tm.t_relay(context)
        results.append(wait)
        assert isinstance(wait, Wait)
        results.append(asyncio.run(wait.awaitable_factory()))  # type: ignore[arg-type]

    world.script.request_route = route
    world.invite()
    assert results[1] == -478
    assert world.finals == [478]
    acknowledge(world)
    world.assert_empty()


def test_static_names_need_no_wait(services: FakeServices) -> None:
    world = ProxyWorld(services, static={b"gw.example": [b"127.0.0.1"]})
    world.invite(uri=b"sip:b@GW.example:6001")
    assert world.methods(A) == [b"INVITE"]
    world.answer(200)
    world.assert_empty()


def test_a_transaction_that_nothing_was_done_with(world: ProxyWorld) -> None:
    world.script.request_route = lambda context: bool(world.tm.t_newtran(context)) and None
    world.invite()
    assert len(world.tm.transactions) == 1
    world.invite()
    assert world.codes == []
    world.pass_time(6)
    assert len(world.tm.transactions) == 0


def test_too_many_branches(world: ProxyWorld) -> None:
    world.script.request_route = lambda context: (
        bool(world.relay(context, range(6001, 6014))) and None
    )
    world.invite()
    assert len(world.finals) == 1
    assert world.finals[0] >= 500
    assert world.to(A) == []
    acknowledge(world)


def test_without_auto_inv_100(services: FakeServices) -> None:
    world = ProxyWorld(services, auto_inv_100=0)
    world.invite()
    assert world.codes == []
    world.answer(200)
    world.assert_empty()


def test_listeners_hear_of_all(world: ProxyWorld) -> None:
    heard: list[tuple[Happening, int]] = []

    def follow(context: Context) -> None:
        context.shared.listeners.append(
            lambda what, server, message, code: heard.append((what, code))
        )

    fork(world, A, prepare=follow)
    world.answer(180, A)
    world.answer(486, A)
    acknowledge(world)
    world.pass_time(10)
    assert heard == [
        (Happening.REPLY_OUT, 100), (Happening.BRANCH_SENT, 0), (Happening.REPLY_IN, 180),
        (Happening.REPLY_OUT, 180), (Happening.REPLY_IN, 486), (Happening.REPLY_OUT, 486),
        (Happening.ACK_IN, 486), (Happening.DESTROYED, 486),
    ]  # fmt: skip


def test_path_goes_as_route(world: ProxyWorld) -> None:
    def with_path(context: Context) -> None:
        context.path = b"<sip:127.0.0.1:6002;lr>"
        context.destination = b"sip:127.0.0.1:6002;lr"

    fork(world, A, prepare=with_path)
    sent = world.to(B)[0]
    assert sent.headers(b"route") == [b"<sip:127.0.0.1:6002;lr>"]
    assert sent.uri_text == b"sip:b@127.0.0.1:6001"
    world.answer(486, B)
    ack = world.to(B, b"ACK")[0]
    assert ack.headers(b"route") == [b"<sip:127.0.0.1:6002;lr>"]
    acknowledge(world)
