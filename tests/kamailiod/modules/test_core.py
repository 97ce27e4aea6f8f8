"""The core's functions; expected values are Kamailio 5.6.3's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from kamailiod.modules.core import Core
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from kamailiod.script.log import ERROR, INFO
from lua import Wait
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()
REPLY = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
)


@pytest.fixture
def core(services: FakeServices) -> Core:
    module: Core = services.load(Core)
    return module


@pytest.fixture
def context() -> Context:
    return context_of(OPTIONS)


def test_methods(core: Core, context: Context) -> None:
    assert core.is_OPTIONS(context)
    assert not core.is_INVITE(context)
    assert not core.is_REGISTER(context)
    assert core.is_method(context, b"options|INVITE")
    assert not core.is_method(context, b"INVITE")
    assert core.is_method_in(context, b"IO")
    assert not core.is_method_in(context, b"IABCMR")


def test_the_method_of_a_reply_is_its_cseq_method(core: Core) -> None:
    reply = context_of(REPLY)
    assert core.is_INVITE(reply)
    assert core.is_method(reply, b"INVITE")
    assert core.is_method_in(reply, b"I")
    assert not core.is_BYE(reply)


def test_transport_and_ports(core: Core, context: Context) -> None:
    assert core.is_UDP(context)
    assert not core.is_TCP(context)
    assert core.is_proto(context, b"UDP")
    assert core.is_proto(context, b"tu")
    assert not core.is_proto(context, b"t")
    assert core.is_src_port(context, 5080)
    assert core.is_dst_port(context, 5060)
    assert core.is_ipv4(context)
    assert not core.is_ipv6(context)
    secure = ListenAddress(1, b"wss", b"::1", 5061)
    other = context_of(OPTIONS, source=(b"::1", 1), listen=secure)
    assert core.is_WSX(other)
    assert core.is_ipv6(other)


def test_next_hop_questions(core: Core, context: Context) -> None:
    assert core.to_UDP(context)
    core.setdsturi(context, b"sip:192.0.2.1;transport=tcp")
    assert core.to_TCP(context)
    assert core.to_ipv4(context)
    core.setdsturi(context, b"sips:[::1]")
    assert core.to_TLS(context)
    assert core.to_ipv6(context)


def test_is_myself(core: Core, context: Context) -> None:
    assert core.is_myself(context, b"127.0.0.1")
    assert core.is_myself(context, b"sip:joe@127.0.0.1")
    assert not core.is_myself(context, b"elsewhere")
    assert not core.is_myself(context, b"sip:bad uri")
    assert not core.is_myself(context, b"")
    assert core.is_myself_furi(context)
    assert core.is_myself_srcip(context)
    assert not core.is_myself_ruri(context)
    assert not core.is_myself_turi(context)
    assert not core.is_myself_duri(context)
    core.setdsturi(context, b"sip:127.0.0.1")
    assert core.is_myself_duri(context)
    assert core.is_myself_nhuri(context)


def test_message_flags_live_with_the_transaction_and_script_flags_with_the_run(
    core: Core, context: Context
) -> None:
    assert core.setflag(context, 3)
    assert core.setsflag(context, 31)
    assert (core.isflagset(context, 3), core.isflagset(context, 4)) == (True, False)
    assert core.issflagset(context, 31)
    later = context.derive(context.route)
    assert core.isflagset(later, 3)
    assert not core.issflagset(later, 31)
    assert core.resetflag(later, 3)
    assert not core.isflagset(context, 3)


@pytest.mark.parametrize("flag", [32, -1])
def test_flags_out_of_range_change_nothing(core: Core, context: Context, flag: int) -> None:
    answers = [
        core.setflag(context, flag), core.resetflag(context, flag), core.isflagset(context, flag),
        core.setsflag(context, flag), core.setbflag(context, flag),
        core.isbflagset(context, flag), core.resetsflag(context, flag),
    ]  # fmt: skip
    assert answers == [False] * 7
    assert (context.shared.flags, context.script_flags, context.branch_flags) == (0, 0, 0)


def test_branch_flags(core: Core, context: Context) -> None:
    core.setbflag(context, 1)
    assert core.isbiflagset(context, 1, 0)
    assert core.setbiflag(context, 1, 3)
    assert not core.isbiflagset(context, 1, 3)


URI = b"sip:a:pw@h:77;p=1?x=y"


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("setuser", (b"bob",), b"sip:bob:pw@h:77;p=1?x=y"),
        ("sethost", (b"host2",), b"sip:a:pw@host2:77;p=1?x=y"),
        ("sethost", (b"::1",), b"sip:a:pw@[::1]:77;p=1?x=y"),
        ("sethostport", (b"host2:5",), b"sip:a:pw@host2:5;p=1?x=y"),
        ("sethostporttrans", (b"h2:5;transport=tcp",), b"sip:a:pw@h2:5;p=1;transport=tcp?x=y"),
        ("setport", (b"99",), b"sip:a:pw@h:99;p=1?x=y"),
        ("setuserpass", (b"u:v",), b"sip:u:v@h:77;p=1?x=y"),
        ("prefix", (b"00",), b"sip:00a:pw@h:77;p=1?x=y"),
        ("strip", (1,), b"sip:h:77;p=1?x=y"),
        ("strip_tail", (0,), b"sip:a:pw@h:77;p=1?x=y"),
        ("userphone", (), b"sip:a:pw@h:77;p=1;user=phone?x=y"),
        ("revert_uri", (), b"sip:joe;x=1@a.example:99;x=1"),
    ],
)
def test_rewriting_the_request_uri(
    core: Core, context: Context, function: str, arguments: tuple[object, ...], expected: bytes
) -> None:
    assert core.seturi(context, URI)
    assert getattr(core, function)(context, *arguments)
    assert context.uri == expected


def test_a_bad_request_uri_is_not_rewritten(core: Core, context: Context) -> None:
    core.seturi(context, b"foo")
    assert not core.setuser(context, b"x")
    assert not core.sethost(context, b"x")
    assert not core.strip(context, 1)
    assert context.uri == b"foo"


def test_destination(core: Core, context: Context) -> None:
    assert not core.isdsturiset(context)
    assert core.setdsturi(context, b"sip:192.0.2.1")
    assert core.isdsturiset(context)
    assert core.resetdsturi(context)
    assert not core.isdsturiset(context)


def test_drop_and_sending_marks(core: Core, context: Context) -> None:
    core.set_drop(context)
    assert context.dropped
    assert core.force_rport(context)
    assert context.force_rport
    assert core.set_reply_no_connect(context)
    assert core.set_advertised_address(context, b"192.0.2.9") == 1
    assert core.set_advertised_port(context, b"99") == 1
    assert core.set_advertised_port(context, b"x") == -1
    notes = context.shared.notes
    assert notes["reply_no_connect"] is True
    assert (notes["advertised_address"], notes["advertised_port"]) == (b"192.0.2.9", 99)


def test_force_send_socket(core: Core, services: FakeServices, context: Context) -> None:
    named = ListenAddress(1, b"tcp", b"192.0.2.1", 5060, name=b"outer")
    services.network.sockets = [*services.network.sockets, named]
    assert not core.force_send_socket(context, b"udp:192.0.2.7:5060")
    assert context.socket is None
    for address in (b"outer", b"tcp:192.0.2.1:5060", b"192.0.2.1:5060", b"192.0.2.1"):
        context.socket = None
        assert core.force_send_socket(context, address)
        assert context.socket is named


def test_logging_stops_at_the_level(core: Core, services: FakeServices, context: Context) -> None:
    services.log.level = INFO
    core.dbg(context, b"hidden")
    core.info(context, b"shown \xff\n")
    core.log(context, b"warn", b"watch")
    core.log(context, b"odd", b"other")
    core.native_log(context, b"alone")
    core.native_log(context, 3, b"hidden too")
    assert [line.split(")", 1)[1] for line in services.lines] == [
        " INFO: <script>: shown \\xff", " WARNING: <script>: watch", " ERROR: <script>: other",
        " ERROR: <script>: alone",
    ]  # fmt: skip
    services.log.level = ERROR
    assert core.get_debug(context) == ERROR


class Relayed:
    """Takes the place of tm's relay."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Sequence[tuple[bytes, bytes, int]] | None]] = []

    def forward_statelessly(
        self, context: Context, branch: object, found: Sequence[tuple[bytes, bytes, int]] | None
    ) -> int:
        self.sent.append((branch.destination, found))  # type: ignore[attr-defined]  # a Branch
        return 1 if found else -478


def test_forward_at_once_and_after_a_look_up(
    core: Core, services: FakeServices, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kamailiod.modules.tm import Tm

    relay = Relayed()
    services.module(Tm).relay = relay
    choices = [(b"udp", b"192.0.2.1", 5060)]

    async def later(uri: bytes) -> list[tuple[bytes, bytes, int]]:
        return choices

    monkeypatch.setattr(services.network, "resolve", lambda uri: choices)
    assert core.forward_uri(context, b"sip:192.0.2.1") == 1
    assert core.forward_tcp(context, b"192.0.2.1", b"7") == 1
    monkeypatch.setattr(services.network, "resolve", later)
    wait = core.forward(context)
    assert isinstance(wait, Wait)

    async def finish() -> object:
        return await wait.awaitable_factory()

    assert asyncio.run(finish()) == 1
    assert relay.sent == [
        (b"sip:192.0.2.1", choices),
        (b"sip:192.0.2.1:7;transport=tcp", choices),
        (context.uri, choices),
    ]
    monkeypatch.setattr(services.network, "resolve", lambda uri: None)
    assert core.forward(context) == -478
    assert core.forward(context_of(REPLY)) == -1
