"""Stateless replies: their tag, their target, when there is none, and the counters."""

from __future__ import annotations

import pytest

from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context
from kamailiod.sip.message import parse
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.script.proxy_world import ProxyWorld


def context(method: bytes = b"OPTIONS", branch: bytes = b"1", to: bytes = b"<sip:b@b>") -> Context:
    return context_of(
        b"%s sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:7000;branch=z9hG4bK%s;rport\r\n"
        b"From: <sip:a@a>;tag=1\r\nTo: %s\r\nCall-ID: 1\r\nCSeq: 1 %s\r\n\r\n"
        % (method, branch, to, method)
    )


@pytest.fixture
def sl(services: FakeServices) -> Sl:
    found: Sl = services.module(Sl)
    services.start()
    return found


def test_a_reply(sl: Sl, services: FakeServices) -> None:
    run = context()
    run.shared.reply_lines.append(b"X-Shared: 1")
    assert sl.send_reply(run, 404, b"", (b"X-More: 2",), b"body") == 1
    ((_, data),) = services.network.sent
    reply = parse(data)
    assert (reply.status, reply.reason, reply.body) == (404, b"Not Found", b"body")
    assert (reply.header(b"x-shared"), reply.header(b"x-more")) == (b"1", b"2")
    assert reply.vias[0].parameter(b"rport") == b"5080"
    assert reply.vias[0].parameter(b"received") == b"127.0.0.1"
    counts = services.statistics.counts
    assert (counts["sl:sent_replies"], counts["sl:4xx_replies"]) == (1, 1)


def test_the_tag_is_the_same_for_a_retransmission_only(sl: Sl, services: FakeServices) -> None:
    for branch in (b"1", b"1", b"2"):
        sl.send_reply(context(branch=branch), 404, b"")
    first, again, other = [parse(data).to_tag for _, data in services.network.sent]
    assert first
    assert first == again != other


@pytest.mark.parametrize(("to", "kept"), [
    (b"<sip:b@b>;tag=theirs", b"theirs"), (b"<sip:b@b>;TAG=theirs", b"theirs"),
    (b"<sip:b@b;tag=inside>", b""), (b'"tag=name" <sip:b@b>', b""), (b'<sip:b@b>;x=";tag=q"', b""),
])  # fmt: skip
def test_a_to_tag_is_added_when_there_is_none(
    sl: Sl, services: FakeServices, to: bytes, kept: bytes
) -> None:
    sl.send_reply(context(to=to), 404, b"")
    tag = parse(services.network.sent[0][1]).to_tag
    assert tag == kept if kept else tag == sl.tag(context().message)


def test_a_trying_has_no_tag(sl: Sl, services: FakeServices) -> None:
    sl.send_reply(context(b"INVITE"), 100, b"Trying")
    assert parse(services.network.sent[0][1]).to_tag == b""


@pytest.mark.parametrize("code", [99, 700, 0, -1])
def test_no_such_code(sl: Sl, services: FakeServices, code: int) -> None:
    assert sl.send_reply(context(), code, b"x") == -1
    assert services.network.sent == []


def test_never_twice_and_never_to_an_ack(sl: Sl, services: FakeServices) -> None:
    run = context()
    assert sl.sl_send_reply(run, 180, b"Ringing") == 1
    assert sl.sl_send_reply(run, 200, b"OK") == 1
    assert sl.sl_send_reply(run, 404, b"No") == -1
    assert sl.sl_reply_error(run) == -2
    assert sl.send_reply(context(b"ACK"), 404, b"No") == -1
    assert sl.sl_send_reply(context(b"ACK"), 404, b"No") == -1
    assert sl.script_send_reply(context(), 404, b"") == -1
    assert len(services.network.sent) == 2


def test_an_error_is_reported(sl: Sl, services: FakeServices) -> None:
    run = context()
    run.shared.notes["tm_error"] = (478, b"Unresolvable destination")
    sl.sl_reply_error(run)
    sl.sl_reply_error(context())
    assert [parse(data).status for _, data in services.network.sent] == [478, 500]


def test_with_a_transaction_it_is_stateful(services: FakeServices) -> None:
    world = ProxyWorld(services)

    def route(run: Context) -> None:
        world.tm.t_newtran(run)
        assert world.sl.send_reply(run, 404, b"No") == 1
        assert world.sl.send_reply(run, 403, b"No") == -1
        assert world.sl.sl_send_reply(run, 403, b"No") == -1

    world.script.request_route = route
    world.invite()
    world.invite()
    assert world.codes == [404, 404]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=" + world.replies[0].to_tag)
    world.assert_empty()


def test_own_acks(sl: Sl, services: FakeServices) -> None:
    tag = sl.tag(context().message)
    assert sl.is_own_ack(context(b"ACK", to=b"<sip:b@b>;tag=" + tag).message)
    assert not sl.is_own_ack(context(b"ACK", to=b"<sip:b@b>;tag=x").message)
    assert not sl.is_own_ack(context(b"ACK", to=b"<sip:b@b>;tag=x;y=" + tag).message)
    assert services.statistics.counts["sl:received_ACKs"] == 1
