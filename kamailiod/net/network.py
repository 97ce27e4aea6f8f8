"""The network as the script layer sees it: one send for all transports, and who "myself" is.

Joins UDP, streams and the resolver; bytes for a connection of another worker go to that worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mypy_extensions import mypyc_attr

from kamailiod.net.address import ListenAddress, Source, Target
from kamailiod.net.resolver import Resolution, Resolver, is_literal
from kamailiod.net.stream import StreamConnections
from kamailiod.sip.message import SipMessage
from kamailiod.sip.uri import DEFAULT_PORTS, parse_uri
from kamailiod.sip.via import Via


class DatagramSender(Protocol):
    """What sends datagrams: the UDP sockets of this process."""

    def send(self, target: Target, data: bytes) -> bool:
        """Send one datagram; False when the system refuses it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Network:
    """Sending, local sockets, aliases and name resolution of one process.

    `aliases` are (host, port, transport) that count as this server, 0 and b"" matching any.
    """

    def __init__(
        self, sockets: Sequence[ListenAddress], aliases: Sequence[tuple[bytes, int, bytes]],
        resolver: Resolver,
    ) -> None:  # fmt: skip
        self.sockets = sockets
        self.resolver = resolver
        self._aliases = aliases
        self._udp: DatagramSender | None = None
        self._streams: StreamConnections | None = None
        self._elsewhere: Callable[[int, Target, bytes], bool] | None = None
        self._sent: Callable[..., None] = lambda: None
        self._failed: Callable[..., None] = lambda: None
        self._mine = _own_names(sockets)
        self._own_checks: tuple[Callable[[bytes], bool], ...] = ()

    def open(
        self, udp: DatagramSender | None, streams: StreamConnections | None,
        elsewhere: Callable[[int, Target, bytes], bool],
        sent: Callable[..., None], failed: Callable[..., None],
    ) -> None:  # fmt: skip
        """Connect to this process's sockets, after the fork.

        `elsewhere(rank, target, data)` has another worker send; `sent` and `failed` count.
        """
        self._udp = udp
        self._streams = streams
        self._elsewhere = elsewhere
        self._sent = sent
        self._failed = failed

    def send(self, target: Target, data: bytes) -> bool:
        """Send at once, opening a connection when needed; False when that failed."""
        if target.transport == b"udp":
            done = self._udp is not None and self._udp.send(target, data)
        else:
            done = self._send_stream(target, data)
        if done:
            self._sent()
        else:
            self._failed()
        return done

    def _send_stream(self, target: Target, data: bytes) -> bool:
        streams = self._streams
        if streams is None:
            return False
        owner = streams.elsewhere(target)
        if owner and self._elsewhere is not None:
            return self._elsewhere(owner, target, data)
        return streams.send(target, data)

    def reply_target(self, source: Source, message: object) -> Target:
        """Return where a reply to a request goes (RFC 3261 18.2.2, RFC 3581 4)."""
        local = source.local
        via = message.top_via if isinstance(message, SipMessage) else None
        if local.transport != b"udp" or via is None:
            port = via.port or DEFAULT_PORTS.get(local.transport, 5060) if via else source.port
            return Target(local.transport, source.host, port, local, source.connection_id)
        if b"rport" in via.parameters and via.parameter(b"rport") is not None:
            return Target(b"udp", source.host, source.port, local)
        return Target(b"udp", source.host, via.port or 5060, local)

    def via_target(self, via: Via, received_on: ListenAddress) -> Target | None:
        """Return where a stateless reply goes by its next Via; None when that cannot be told."""
        transport = via.transport.lower()
        host = via.parameter(b"received") or via.host
        host = host.strip(b"[]")
        rport = via.parameter(b"rport")
        port = int(rport) if rport and rport.isdigit() and len(rport) < 6 else via.port
        local = self.socket_for(transport, host, received_on)
        if local is None or not is_literal(host) or port > 65535:
            return None
        return Target(transport, host, port or DEFAULT_PORTS.get(transport, 5060), local)

    def socket_for(
        self, transport: bytes, host: bytes, received_on: ListenAddress
    ) -> ListenAddress | None:
        """Return the local socket to send from: that of arrival, else one of the same family."""
        wants_ipv6 = b":" in host
        if received_on.transport == transport and (b":" in received_on.host) == wants_ipv6:
            return received_on
        for address in self.sockets:
            if address.transport == transport and (b":" in address.host) == wants_ipv6:
                return address
        return None

    def is_myself(self, host: bytes, port: int = 0, transport: bytes = b"") -> bool:
        """Whether a host (and port unless 0) is one of this server's addresses or aliases."""
        name = host.strip(b"[]").lower()
        if (name, port, transport) in self._mine:
            return True
        for alias, alias_port, alias_transport in self._aliases:
            if (
                alias == name
                and (not alias_port or not port or alias_port == port)
                and (not alias_transport or not transport or alias_transport == transport)
            ):
                return True
        return any(check(name) for check in self._own_checks)

    def own_also(self, check: Callable[[bytes], bool]) -> None:
        """Let hosts for which `check` is true count as this server too, whatever the port."""
        self._own_checks += (check,)

    def resolve(self, uri: bytes) -> Resolution:
        """Return (transport, literal host, port) choices for a URI, best first (RFC 3263)."""
        parsed = parse_uri(uri)
        if parsed is None or not parsed.is_sip:
            return None
        return self.resolver.resolve(parsed, b"udp")


def _own_names(sockets: Sequence[ListenAddress]) -> frozenset[tuple[bytes, int, bytes]]:
    names = set()
    for address in sockets:
        for host in (address.host, address.advertised_host.lower()):
            for port in (0, address.port, address.advertised_port):
                names |= {(host, port, b""), (host, port, address.transport)}
    return frozenset(names)
