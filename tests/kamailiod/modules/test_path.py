"""path from Lua; the lines are Kamailio 5.6.3's."""

from __future__ import annotations

import pytest

from kamailiod.modules.path import Path
from kamailiod.modules.rr import Rr
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from kamailiod.script.path_header import NOTE, path_lines
from tests.kamailiod.fakes import LISTEN, FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.script.proxy_world import ProxyWorld

REGISTER = (
    b"%s sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5066;branch=z9hG4bKp\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: path\r\n"
    b"CSeq: 1 %s\r\n%s\r\n"
)
LEAVING = ListenAddress(1, b"tcp", b"192.0.2.1", 5070, name=b"outer")


def register(listen: ListenAddress = LISTEN) -> Context:
    return context_of(REGISTER % (b"REGISTER", b"REGISTER", b""), listen=listen)


def added(context: Context) -> list[bytes]:
    return path_lines(context.shared.notes, context.source.local, LEAVING)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("add_path()", b"Path: <sip:192.0.2.1:5070;transport=tcp;lr>"),
        ('add_path_user("u")', b"Path: <sip:u@192.0.2.1:5070;transport=tcp;lr>"),
        ('add_path_user_params("u", "ob")', b"Path: <sip:u@192.0.2.1:5070;transport=tcp;lr;ob>"),
        ("add_path_received()",
         b"Path: <sip:192.0.2.1:5070;transport=tcp;lr;received=sip:127.0.0.1:5080>"),
        ('add_path_received_user("u")',
         b"Path: <sip:u@192.0.2.1:5070;transport=tcp;lr;received=sip:127.0.0.1:5080>"),
        ('add_path_received_user_params("u", "ob;x=1")',
         b"Path: <sip:u@192.0.2.1:5070;transport=tcp;lr;received=sip:127.0.0.1:5080;ob;x=1>"),
    ],
)  # fmt: skip
def test_lines(services: FakeServices, call: str, line: bytes) -> None:
    context = register()
    assert LuaCalls(services, [services.load(Path)])(context, f"return KSR.path.{call}") == 1
    assert added(context) == [line]


def test_formats(services: FakeServices) -> None:
    lua = LuaCalls(services, [
        services.load(Path, received_format=1, received_name="rcv", enable_r2=1, sockname_mode=1)
    ])  # fmt: skip
    context = register()
    lua(context, "KSR.path.add_path_received()")
    assert added(context) == [
        b"Path: <sip:192.0.2.1:5070;transport=tcp;lr;sn=outer;rcv=127.0.0.1~5080~1;r2=on>",
        b"Path: <sip:127.0.0.1:5060;lr;rcv=127.0.0.1~5080~1;r2=on>",
    ]


def test_a_transport_is_escaped(services: FakeServices) -> None:
    context = register(ListenAddress(0, b"tls", b"::1", 5061))
    path: Path = services.load(Path)
    path.add_path_received(context)
    assert b";received=sip:127.0.0.1:5080%3Btransport%3Dtls>" in added(context)[0]


def test_the_native_form_takes_up_to_two(services: FakeServices) -> None:
    path: Path = services.load(Path)
    context = register()
    assert path.add_path_user_params(context) == path.add_path_user_params(context, b"u") == 1
    assert len(added(context)) == 2


def test_the_line_is_sent_above_those_of_others(services: FakeServices) -> None:
    world = ProxyWorld(services)
    path: Path = services.load(Path)

    def route(context: Context) -> None:
        assert NOTE not in context.shared.notes
        assert path.add_path_user(context, b"edge") == 1
        world.relay(context)

    world.script.request_route = route
    world.request(b"REGISTER", more=b"Path: <sip:192.0.2.3;lr>\r\n")
    (sent,) = world.to(6001)
    assert sent.headers(b"path") == [b"<sip:edge@127.0.0.1:5060;lr>", b"<sip:192.0.2.3;lr>"]


@pytest.mark.parametrize(
    ("form", "value", "destination"),
    [
        (0, b"sip:192.0.2.7:5099%3Btransport%3Dtcp", b"sip:192.0.2.7:5099;transport=tcp"),
        (1, b"192.0.2.7~5099~2", b"sip:192.0.2.7:5099;transport=tcp"),
        (1, b"192.0.2.7", b""),
    ],
)
def test_received_is_followed(
    services: FakeServices, form: int, value: bytes, destination: bytes
) -> None:
    rr: Rr = services.module(Rr)
    services.load(Path, use_received=1, received_format=form)
    services.start()
    route = b"Route: <sip:u@127.0.0.1;lr;received=%s>\r\n" % value
    context = context_of(REGISTER % (b"INVITE", b"INVITE", route))
    assert rr.loose_route(context) == 1
    assert context.destination == destination


def test_received_is_not_followed_unasked(services: FakeServices) -> None:
    rr: Rr = services.module(Rr)
    services.load(Path)
    services.start()
    route = b"Route: <sip:127.0.0.1;lr;received=sip:192.0.2.7:5099>\r\n"
    context = context_of(REGISTER % (b"INVITE", b"INVITE", route))
    assert rr.loose_route(context) == 1
    assert context.destination == b""
