"""The way of a message through a worker: refused, handed over, absorbed, answered, forwarded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context
from kamailiod.sip.message import parse
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.script.proxy_world import ProxyWorld

FOLDER = Path(__file__).resolve().parents[1] / "messages" / "torture"
with (FOLDER / "index.tsv").open(encoding="utf-8") as _file:
    INDEX = {row["file"]: row["valid"] for row in csv.DictReader(_file, delimiter="\t")}
LEFT_TO_SANITY = {
    "quotbal.dat", "ltgtruri.dat", "escruri.dat", "baddate.dat", "regbadct.dat", "badaspec.dat",
    "baddn-terminated.dat", "badbranch.dat", "ipv6-bad.dat",
}  # fmt: skip


@pytest.fixture
def world(services: FakeServices) -> Iterator[ProxyWorld]:
    yield ProxyWorld(services)


def answers(world: ProxyWorld) -> list[int]:
    return [
        message.status for _, data in world.wire.sent
        if not (message := parse(data)).is_request
    ]  # fmt: skip


@pytest.mark.parametrize("name", INDEX)
def test_torture(world: ProxyWorld, name: str) -> None:
    """A script that answers everything 404: what is malformed never reaches it."""
    world.script.request_route = lambda context: bool(
        world.sl.send_reply(context, 404, b"Not here")
    ) and None
    data = (FOLDER / name).read_bytes()
    world.receive(data)
    counts = world.services.statistics.counts
    if parse(data).status or name in ("test.dat", "bigcode.dat"):
        assert world.wire.sent == []
    elif name == "badvers.dat":
        assert answers(world) == [505]
    elif INDEX[name] == "valid" or name in LEFT_TO_SANITY:
        assert answers(world) == [404]
        assert counts["core:rcv_requests"] == 1
    else:
        assert answers(world) == [400]
        assert counts["core:malformed_requests"] == 1
        assert counts["core:rcv_requests"] == 0


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b" \r\n", b"\r\n"])
def test_keep_alives(world: ProxyWorld, data: bytes) -> None:
    world.receive(data)
    assert world.wire.sent == []
    assert world.services.statistics.counts["core:keepalives"] == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=200))
def test_noise(world: ProxyWorld, data: bytes) -> None:
    world.receive(data)
    world.receive(data, connection=3)
    assert world.wire.sent == []


def test_64_kib_and_200_vias(world: ProxyWorld) -> None:
    vias = b"".join(
        b"Via: SIP/2.0/UDP 192.0.2.%d;branch=z9hG4bK%d\r\n" % (n, n) for n in range(200)
    )
    world.script.request_route = lambda context: bool(
        world.sl.send_reply(context, 404, b"No")
    ) and None
    world.request(b"OPTIONS", more=vias + b"X: " + b"x" * 50000 + b"\r\n")
    assert answers(world) == [404]
    assert len(world.replies[0].vias) == 201


def test_a_malformed_ack_and_reply_get_nothing(world: ProxyWorld) -> None:
    world.receive(b"ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n")
    world.receive(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\n\r\n")
    assert world.wire.sent == []
    counts = world.services.statistics.counts
    assert (counts["core:malformed_requests"], counts["core:malformed_replies"]) == (1, 1)


def test_what_belongs_to_another_worker_is_handed_over(services: FakeServices) -> None:
    services.worker_count = 4
    world = ProxyWorld(services)
    world.script.request_route = lambda context: bool(
        world.sl.send_reply(context, 404, b"No")
    ) and None
    mine = 0
    for number in range(40):
        call_id = b"%d-call" % number
        world.request(b"OPTIONS", call_id=call_id)
        mine += owner_rank(call_id, 4) == 1
    counts = world.services.statistics.counts
    assert 0 < mine < 40
    assert len(world.handed) == counts["core:handed_over"] == 40 - mine
    assert counts["core:steered"] == len(world.wire.sent) == mine
    assert 1 not in world.handed
    world.receive(b"\r\n\r\n")
    world.receive(b"garbage of more than sixteen octets")
    assert len(world.handed) == 40 - mine


def test_a_script_error_is_answered_500_once(world: ProxyWorld) -> None:
    world.script.request_route = lambda context: 1 // 0
    world.request(b"OPTIONS")
    assert world.codes == [500]
    world.request(b"ACK")
    assert world.codes == [500]

    def replies_then_fails(context: Context) -> None:
        world.sl.send_reply(context, 403, b"No")
        raise ZeroDivisionError

    world.script.request_route = replies_then_fails
    world.request(b"OPTIONS", b"two")
    assert world.codes == [500, 403]


def test_too_many_waiting_requests_are_refused(world: ProxyWorld) -> None:
    world.script.request_route = lambda context: lambda: None
    world.receiver._max_waiting = 2
    for number in range(3):
        world.request(b"OPTIONS", b"w%d" % number)
    assert world.codes == [503]
    assert world.replies[0].header(b"retry-after") == b"5"
    assert len(world.tm.transactions.pending) == 2
    world.script.go_on()
    assert not world.tm.transactions.pending


def stray(via: bytes, first: bytes = b"127.0.0.1:5060") -> bytes:
    return (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKgone\r\n%s"
        b"From: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
        b"X-Odd:  kept \r\nContent-Length: 1\r\n\r\nx" % (first, via)
    )


def test_a_reply_without_a_transaction_goes_on_by_its_via(world: ProxyWorld) -> None:
    """RFC 3261 16.7: so a 200 still reaches its caller when a worker died."""
    world.receive(stray(b"Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKup\r\n"))
    ((target, data),) = world.wire.sent
    assert (target.host, target.port) == (b"127.0.0.1", 5080)
    assert data == stray(b"").replace(
        b"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKgone",
        b"Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKup",
    )


@pytest.mark.parametrize(
    "data",
    [
        stray(b""), stray(b"Via: SIP/2.0/UDP 127.0.0.1:5080\r\n", b"192.0.2.99:5060"),
        stray(b"Via: SIP/2.0/UDP 255.255.255.255\r\n"), stray(b"Via: SIP/2.0/UDP name.example\r\n"),
        stray(b"Via: SIP/2.0/UDP 127.0.0.1;rport=99999\r\n"), stray(b"Via: broken\r\n"),
    ],
)  # fmt: skip
def test_a_reply_that_leads_nowhere_is_dropped(world: ProxyWorld, data: bytes) -> None:
    world.receive(data)
    assert world.wire.sent == []
    assert world.services.statistics.counts["core:drop_replies"] == 1


def test_the_reply_route_drops_and_edits(world: ProxyWorld) -> None:
    def edit(context: Context) -> None:
        context.edits.remove_header(context.message, b"x-odd")
        context.dropped = context.message.status == 183

    world.script.reply_route = edit
    world.receive(stray(b"Via: SIP/2.0/UDP 127.0.0.1:5080\r\n"))
    assert world.replies[0].header(b"x-odd") is None
    world.invite()
    world.answer(183)
    world.answer(200)
    assert world.codes == [200, 100, 200]


def test_own_acks_end_here(world: ProxyWorld) -> None:
    seen: list[bytes] = []

    def route(context: Context) -> None:
        seen.append(context.message.method)
        world.sl.send_reply(context, 404, b"No")

    world.script.request_route = route
    world.invite()
    assert world.codes == [404]
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=" + world.replies[0].to_tag)
    assert seen == [b"INVITE"]
    world.request(b"ACK", b"other", to=b"<sip:b@b.example>;tag=of-another")
    assert seen == [b"INVITE", b"ACK"]
    assert world.codes == [404]


def test_counters_by_method_and_class(world: ProxyWorld) -> None:
    world.invite()
    world.answer(180)
    world.answer(200)
    counts = world.services.statistics.counts
    assert counts["core:rcv_requests_invite"] == 1
    assert (counts["core:rcv_replies_1xx"], counts["core:rcv_replies_2xx"]) == (1, 1)
    assert counts["core:rcv_replies"] == 2
