"""rr's further functions from Lua."""

from __future__ import annotations

import pytest

from kamailiod.modules.rr import Rr
from kamailiod.script.context import Context
from kamailiod.sip.record_route import RecordRoute
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls


@pytest.fixture
def lua(services: FakeServices) -> LuaCalls:
    rr: Rr = services.load(Rr)
    services.start()
    return LuaCalls(services, [rr])


def request(uri: bytes, *routes: bytes) -> Context:
    lines = b"".join(b"Route: " + route + b"\r\n" for route in routes)
    return context_of(
        b"BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK1\r\n%s"
        b"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 BYE\r\n\r\n"
        % (uri, lines)
    )


def test_an_advertised_address(lua: LuaCalls) -> None:
    context = request(b"sip:b@b")
    call = 'return KSR.rr.record_route_advertised_address("{}")'
    assert lua(context, call.format("")) == -1
    assert lua(context, call.format("sip.example.com:5080")) == 1
    assert lua(context, call.format("sip.example.com:5080")) == -1
    record = context.shared.notes["record_route"]
    assert isinstance(record, RecordRoute)
    assert record.lines(b"x", b"y") == [b"Record-Route: <sip:sip.example.com:5080;lr;ftag=1>"]


def test_next_hop_by_route(lua: LuaCalls) -> None:
    call = "return KSR.rr.next_hop_route()"
    context = request(b"sip:b@b", b"<sip:127.0.0.1;lr>", b"<sip:192.0.2.9;lr>")
    assert lua(context, call) == -1
    assert lua(context, "return KSR.rr.loose_route_mode(0)") == 1
    assert lua(context, call) == 1
    context.destination = b"sip:192.0.2.10"
    assert lua(context, call) == -1


def test_a_strict_router_is_not_looked_for(lua: LuaCalls) -> None:
    uri = b"sip:127.0.0.1;lr"
    plain = request(uri, b"<sip:b@192.0.2.9>")
    assert lua(plain, "return KSR.rr.loose_route_mode(0)") == 1
    assert plain.uri == b"sip:b@192.0.2.9"
    loose = request(uri, b"<sip:192.0.2.9;lr>")
    assert lua(loose, "return KSR.rr.loose_route_mode(1)") == 1
    assert (loose.uri, loose.destination) == (uri, b"sip:192.0.2.9;lr")
    assert lua(request(uri), "return KSR.rr.loose_route_mode(1)") == -1
