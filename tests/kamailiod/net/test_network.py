"""Who is myself, where replies go, names that need no look-up, datagrams in and out."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.network import Network
from kamailiod.net.resolver import Resolver, is_literal
from kamailiod.net.udp import UdpSockets
from kamailiod.sip.message import parse
from kamailiod.sip.via import parse_vias

UDP = ListenAddress(0, b"udp", b"127.0.0.1", 5060)
UDP6 = ListenAddress(1, b"udp", b"::1", 5060)
TCP = ListenAddress(2, b"tcp", b"127.0.0.1", 5062, b"sip.example.com", 5099)


def network() -> Network:
    resolver = Resolver()
    resolver.add_static({b"gw.example": [b"192.0.2.1", b"192.0.2.2"]})
    return Network(
        [UDP, UDP6, TCP], [(b"alias.example", 0, b""), (b"port.example", 5070, b"tcp")], resolver
    )


@pytest.mark.parametrize(
    ("host", "port", "transport", "mine"),
    [
        (b"127.0.0.1", 0, b"", True), (b"127.0.0.1", 5060, b"udp", True),
        (b"127.0.0.1", 5061, b"", False), (b"127.0.0.1", 5062, b"tcp", True),
        (b"127.0.0.1", 5062, b"udp", False), (b"[::1]", 5060, b"", True), (b"::1", 0, b"", True),
        (b"SIP.example.com", 5099, b"", True), (b"alias.example", 1234, b"udp", True),
        (b"ALIAS.example", 0, b"", True), (b"port.example", 5070, b"tcp", True),
        (b"port.example", 5071, b"tcp", False), (b"port.example", 5070, b"udp", False),
        (b"other.example", 0, b"", False),
    ],
)  # fmt: skip
def test_myself(host: bytes, port: int, transport: bytes, mine: bool) -> None:
    assert network().is_myself(host, port, transport) is mine


def request(via: bytes) -> object:
    return parse(
        b"OPTIONS sip:x SIP/2.0\r\nVia: " + via + b"\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
        b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("via", "port"),
    [
        (b"SIP/2.0/UDP 192.0.2.9:7000;branch=z9hG4bK1", 7000),
        (b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", 5060),
        (b"SIP/2.0/UDP 192.0.2.9:7000;rport;branch=z9hG4bK1", 33333),
        (b"SIP/2.0/UDP 192.0.2.9:7000;xrport;branch=z9hG4bK1", 7000),
    ],
)
def test_where_a_reply_goes(via: bytes, port: int) -> None:
    """RFC 3261 18.2.2 and RFC 3581 4: to the source's address, to rport or the sent-by's port."""
    source = Source(UDP, b"192.0.2.7", 33333, 0, 0.0)
    target = network().reply_target(source, request(via))
    assert (target.transport, target.host, target.port) == (b"udp", b"192.0.2.7", port)


def test_a_reply_over_a_stream_goes_on_its_connection() -> None:
    source = Source(TCP, b"192.0.2.7", 33333, 5, 0.0)
    target = network().reply_target(source, request(b"SIP/2.0/TCP a:7000;branch=z9hG4bK1"))
    assert (target.transport, target.host, target.port, target.connection_id) == (
        b"tcp", b"192.0.2.7", 7000, 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("via", "expected"),
    [
        (b"SIP/2.0/UDP 192.0.2.1:7000", (b"192.0.2.1", 7000)),
        (b"SIP/2.0/UDP 192.0.2.1", (b"192.0.2.1", 5060)),
        (b"SIP/2.0/UDP a.example;received=192.0.2.3;rport=99", (b"192.0.2.3", 99)),
        (b"SIP/2.0/UDP [2001:db8::1]:7000", (b"2001:db8::1", 7000)),
        (b"SIP/2.0/UDP x;received=2001:db8::1", (b"2001:db8::1", 5060)),
        (b"SIP/2.0/UDP a.example", None), (b"SIP/2.0/SCTP 192.0.2.1", None),
        (b"SIP/2.0/UDP 192.0.2.1;rport=70000", None),
        (b"SIP/2.0/UDP 192.0.2.1;rport=" + b"9" * 5000, (b"192.0.2.1", 5060)),
        (b"SIP/2.0/UDP 999.0.2.1", None), (b"SIP/2.0/UDP x;received=1.2.3.400", None),
        (b"SIP/2.0/UDP x;received=a:b", None),
    ],
)  # fmt: skip
def test_where_a_stateless_reply_goes(via: bytes, expected: tuple[bytes, int] | None) -> None:
    target = network().via_target(parse_vias(via)[0], UDP)
    assert (None if target is None else (target.host, target.port)) == expected


@pytest.mark.parametrize(
    ("host", "literal"),
    [
        (b"192.0.2.1", True), (b"::1", True), (b"2001:db8::9:1", True), (b"::ffff:192.0.2.1", True),
        (b"256.1.1.1", False), (b"1.2.3", False), (b"a:b", False), (b"x", False), (b"", False),
        (b"1.2.3.4.5", False), (b"1.2.3.4\n", False),
    ],
)  # fmt: skip
def test_literals(host: bytes, literal: bool) -> None:
    """What is none would be looked up by the system, while the worker stands still."""
    assert is_literal(host) is literal


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (b"sip:a@192.0.2.1", [(b"udp", b"192.0.2.1", 5060)]),
        (b"sip:a@192.0.2.1:7000;transport=TCP", [(b"tcp", b"192.0.2.1", 7000)]),
        (b"sips:a@192.0.2.1", [(b"tls", b"192.0.2.1", 5061)]),
        (b"sip:a@[::1]", [(b"udp", b"::1", 5060)]),
        (b"sip:a@b.example;maddr=192.0.2.9", [(b"udp", b"192.0.2.9", 5060)]),
        (b"sip:a@GW.example.", [(b"udp", b"192.0.2.1", 5060), (b"udp", b"192.0.2.2", 5060)]),
        (b"tel:1", None), (b"nonsense", None),
    ],
)  # fmt: skip
def test_names_that_need_no_look_up(uri: bytes, found: list[object] | None) -> None:
    answer = network().resolve(uri)
    assert (list(answer) if answer is not None else None) == found  # type: ignore[arg-type]


def test_a_name_of_the_hosts_file_is_looked_up_once() -> None:
    resolver = Resolver(use_srv=False)
    net = Network([UDP], [], resolver)

    async def look_up() -> object:
        awaitable = net.resolve(b"sip:a@localhost:7000")
        assert not isinstance(awaitable, list | tuple)
        assert awaitable is not None
        return await awaitable

    found = asyncio.run(look_up())
    assert (b"udp", b"127.0.0.1", 7000) in found  # type: ignore[operator]
    assert net.resolve(b"sip:a@localhost:7000") == found


def test_datagrams_in_and_out() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        member.bind(("127.0.0.1", 0))
        member.setblocking(False)
        address = ListenAddress(0, b"udp", b"127.0.0.1", member.getsockname()[1])
        received: asyncio.Queue[tuple[bytes, Source]] = asyncio.Queue()
        sockets = UdpSockets(
            {address: member}, lambda data, source: received.put_nowait((data, source))
        )
        sockets.open(loop, {address: member})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.settimeout(5)
            port = phone.getsockname()[1]
            for number in range(100):
                phone.sendto(b"%d" % number, ("127.0.0.1", address.port))
            for number in range(100):
                data, source = await asyncio.wait_for(received.get(), 5)
                assert (data, source.host, source.port) == (b"%d" % number, b"127.0.0.1", port)
            assert sockets.send(Target(b"udp", b"127.0.0.1", port, address), b"back")
            assert phone.recv(10) == b"back"
        assert not sockets.send(Target(b"udp", b"127.0.0.1", port, address), b"x" * 70000)
        assert not sockets.send(Target(b"udp", b"127.0.0.1", 70000, address), b"x")
        assert not sockets.send(Target(b"udp", b"127.0.0.1", port, UDP6), b"x")
        member.close()

    asyncio.run(main())
