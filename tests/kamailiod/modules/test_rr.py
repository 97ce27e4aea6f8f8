"""Record-Route and loose routing (RFC 3261 16.4, 16.6, 16.12; RFC 5658)."""

from __future__ import annotations

import pytest

from kamailiod.modules.rr import Rr
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from kamailiod.sip.message import parse
from kamailiod.sip.record_route import RecordRoute
from tests.kamailiod.fakes import LISTEN, FakeServices, context_of
from tests.kamailiod.script.proxy_world import ProxyWorld

OWN = b"<sip:127.0.0.1;lr;ftag=caller>"


def within(*routes: bytes, uri: bytes = b"sip:callee@192.0.2.5:5070", from_tag: bytes = b"caller",
           method: bytes = b"BYE") -> Context:  # fmt: skip
    lines = b"".join(b"Route: " + route + b"\r\n" for route in routes)
    return context_of(
        b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK1\r\n%s"
        b"From: <sip:a@a>;tag=%s\r\nTo: <sip:b@b>;tag=callee\r\nCall-ID: 1\r\nCSeq: 2 %s\r\n\r\n"
        % (method, uri, lines, from_tag, method)
    )


def result(context: Context) -> tuple[bytes, bytes, list[bytes]]:
    """(request URI, next hop, Route bodies as they would be sent)."""
    sent = parse(context.edits.apply(context.message))
    return context.uri, context.destination, sent.headers(b"route")


@pytest.fixture
def rr(services: FakeServices) -> Rr:
    found: Rr = services.module(Rr)
    return found


def test_without_routes(rr: Rr) -> None:
    context = within()
    assert rr.loose_route(context) == -1
    assert rr.direction(context) == 1


def test_our_own_route_is_taken(rr: Rr) -> None:
    context = within(OWN)
    assert rr.loose_route(context) == 1
    assert result(context) == (b"sip:callee@192.0.2.5:5070", b"", [])


def test_the_next_route_is_followed(rr: Rr) -> None:
    context = within(OWN + b", <sip:192.0.2.9;lr>", b"<sip:192.0.2.10;lr>")
    assert rr.loose_route(context) == 1
    assert result(context) == (
        b"sip:callee@192.0.2.5:5070", b"sip:192.0.2.9;lr",
        [b"<sip:192.0.2.9;lr>", b"<sip:192.0.2.10;lr>"],
    )  # fmt: skip


def test_double_record_route_is_taken_whole(rr: Rr) -> None:
    context = within(
        b"<sip:127.0.0.1;r2=on;lr>", b"<sip:127.0.0.1:5060;r2=on;lr>, <sip:n.example;lr>"
    )
    assert rr.loose_route(context) == 1
    assert result(context)[1:] == (b"sip:n.example;lr", [b"<sip:n.example;lr>"])


def test_without_r2_only_one_of_ours_is_taken(rr: Rr) -> None:
    context = within(b"<sip:127.0.0.1;lr>, <sip:127.0.0.1;lr>")
    assert rr.loose_route(context) == 1
    assert result(context)[2] == [b"<sip:127.0.0.1;lr>"]


def test_a_foreign_top_route_stays(rr: Rr) -> None:
    context = within(b"<sip:192.0.2.9;lr>")
    assert rr.loose_route(context) == 1
    assert result(context)[1:] == (b"sip:192.0.2.9;lr", [b"<sip:192.0.2.9;lr>"])
    assert rr.direction(context) == 1


def test_a_strict_router_before_us(rr: Rr) -> None:
    """RFC 3261 16.4: our own URI is the request URI, the real one is the last Route."""
    context = within(
        b"<sip:192.0.2.9;lr>", b"<sip:callee@192.0.2.5>", uri=b"sip:127.0.0.1;lr;ftag=caller"
    )
    assert rr.loose_route(context) == 1
    assert result(context) == (
        b"sip:callee@192.0.2.5", b"sip:192.0.2.9;lr", [b"<sip:192.0.2.9;lr>"],
    )  # fmt: skip
    assert rr.direction(context) == 1


def test_a_strict_router_behind_us(rr: Rr) -> None:
    """RFC 3261 16.6 step 6: it becomes the request URI, and the request URI the last Route."""
    context = within(OWN, b"<sip:192.0.2.9>", b"<sip:192.0.2.10;lr>")
    assert rr.loose_route(context) == 1
    assert result(context) == (
        b"sip:192.0.2.9", b"", [b"<sip:192.0.2.10;lr>", b"<sip:callee@192.0.2.5:5070>"],
    )  # fmt: skip


def test_direction(rr: Rr) -> None:
    for tag, way, name in ((b"caller", 1, b"downstream"), (b"callee", 2, b"upstream")):
        context = within(OWN, from_tag=tag)
        rr.loose_route(context)
        assert rr.direction(context) == way
        assert rr.is_direction(context, name) == 1
        assert rr.is_direction(context, b"upstream" if way == 1 else b"downstream") == -1
        assert rr.direction_variable(context, b"id", None) == way
        assert rr.direction_variable(context, b"name", None) == name
        if way == 1:
            assert rr.initial_from_tag(context, b"", None) == b"caller"
            assert rr.initial_to_tag(context, b"", None) == b"callee"


def test_recording_within_a_dialog_names_the_callers_tag(services: FakeServices) -> None:
    world = ProxyWorld(services)

    def route(context: Context) -> None:
        assert world.rr.loose_route(context) == 1
        assert world.rr.record_route(context) == 1
        assert world.rr.initial_from_tag(context, b"", None) == b"first"
        assert world.rr.initial_to_tag(context, b"", None) == context.message.from_tag
        world.relay(context)

    world.script.request_route = route
    world.request(
        b"NOTIFY", to=b"<sip:a@a.example>;tag=first",
        more=b"Route: <sip:127.0.0.1:5060;lr;ftag=first>\r\n",
    )  # fmt: skip
    (sent,) = world.to(6001)
    assert sent.header(b"record-route") == b"<sip:127.0.0.1:5060;lr;ftag=first>"


def test_parameters_and_callbacks(rr: Rr) -> None:
    heard: list[bytes] = []
    rr.on_route(lambda context, parameters: heard.append(parameters))
    context = within(b"<sip:127.0.0.1;lr;did=8b4.688;ftag=caller>")
    rr.loose_route(context)
    assert heard == [b";lr;did=8b4.688;ftag=caller"]
    assert rr.check_route_param(context, rb"did=[0-9a-f]+\.") == 1
    assert rr.check_route_param(context, b"nat=yes") == -1
    assert rr.check_route_param(context, b"(") == -1
    assert rr.check_route_param(within(), b"did") == -1


def test_recording(services: FakeServices) -> None:
    world = ProxyWorld(services)

    def route(context: Context) -> None:
        world.rr.add_parameter(context, b";before=1")
        assert world.rr.record_route(context) == 1
        assert world.rr.record_route(context) == -1
        assert world.rr.add_rr_param(context, b";after=2") == 1
        assert world.rr.add_rr_param(context, b"bad") == -1
        world.relay(context)

    world.script.request_route = route
    world.invite(more=b"Record-Route: <sip:upstream.example;lr>\r\n")
    recorded = world.to(6001)[0].headers(b"record-route")
    assert recorded == [
        b"<sip:127.0.0.1:5060;lr;ftag=caller;before=1;after=2>", b"<sip:upstream.example;lr>",
    ]  # fmt: skip
    world.answer(200)
    assert world.replies[-1].headers(b"record-route") == recorded


def test_two_lines_when_the_sockets_differ(services: FakeServices) -> None:
    second = ListenAddress(1, b"udp", b"127.0.0.1", 5062)
    world = ProxyWorld(services, listen=(LISTEN, second))

    def route(context: Context) -> None:
        world.rr.record_route(context)
        context.socket = second
        world.relay(context)

    world.script.request_route = route
    world.invite()
    (sent,) = world.to(6001)
    assert sent.headers(b"record-route") == [
        b"<sip:127.0.0.1:5062;r2=on;lr;ftag=caller>", b"<sip:127.0.0.1:5060;r2=on;lr;ftag=caller>",
    ]  # fmt: skip
    assert sent.vias[0].sent_by == b"127.0.0.1:5062"
    target = next(target for target, _ in world.wire.sent if target.port == 6001)
    assert target.local is second


def test_removing_and_presetting(rr: Rr) -> None:
    context = within()
    rr.record_route(context)
    rr.remove_record_route(context)
    assert rr.record_route_preset(context, b"a.example:5080", b"b.example") == 1
    record = context.shared.notes["record_route"]
    assert isinstance(record, RecordRoute)
    assert record.lines(b"x", b"y") == [
        b"Record-Route: <sip:a.example:5080;lr;ftag=caller>",
        b"Record-Route: <sip:b.example;lr;ftag=caller>",
    ]


def test_modparams(services: FakeServices) -> None:
    rr: Rr = services.load(Rr, append_fromtag=0, enable_full_lr=1, enable_double_rr=0)
    context = within()
    rr.record_route_params(context, b";x=1")
    record = context.shared.notes["record_route"]
    assert isinstance(record, RecordRoute)
    assert record.lines(b"a:1", b"b:2") == [b"Record-Route: <sip:a:1;lr=on;x=1>"]


def test_a_route_that_is_broken(rr: Rr) -> None:
    assert rr.loose_route(within(b"<sip:127.0.0.1;lr")) == -1
    assert rr.loose_route(within(b"<nonsense>")) == -1
