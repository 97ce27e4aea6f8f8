"""sl_forward_reply from Lua: a reply goes on without its transaction."""

from __future__ import annotations

from kamailiod.script.context import Route
from kamailiod.sip.message import parse
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.script.proxy_world import ProxyWorld

VIAS = (
    b"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKa\r\n",
    b"Via: SIP/2.0/UDP 127.0.0.1:6004;branch=z9hG4bKb\r\n",
)
REPLY = (
    b"SIP/2.0 %d Busy\r\n%sFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\n"
    b"CSeq: 1 INVITE\r\nX-Drop: me\r\nContent-Length: 0\r\n\r\n"
)


def test_a_reply_is_changed_and_sent(services: FakeServices) -> None:
    world = ProxyWorld(services)
    lua = LuaCalls(services, [world.sl])
    context = context_of(REPLY % (486, b"".join(VIAS)), Route.REPLY)
    context.edits.remove_header(context.message, b"x-drop")
    assert lua(context, 'return KSR.sl.sl_forward_reply("603", "Go away")') == 1
    assert lua(context, 'return KSR.sl.sl_forward_reply("", "")') == 1
    (target, first), (_, second) = world.wire.sent
    assert (target.port, target.transport) == (6004, b"udp")
    sent = parse(first)
    assert sent.lines[0] == b"SIP/2.0 603 Go away"
    assert len(sent.vias) == 1
    assert sent.header(b"x-drop") is None
    assert parse(second).lines[0] == b"SIP/2.0 486 Busy"


def test_what_cannot_be_sent_on(services: FakeServices) -> None:
    world = ProxyWorld(services)
    lua = LuaCalls(services, [world.sl])
    call = 'return KSR.sl.sl_forward_reply("180", "x")'
    assert lua(context_of(REPLY % (486, VIAS[0]), Route.REPLY), call) == -1
    assert lua(context_of(REPLY % (486, b"".join(VIAS)), Route.REPLY), call) == -1
    assert lua(services.faked_context(), call) == -1
    assert world.wire.sent == []
