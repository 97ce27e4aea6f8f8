"""Where messages come from and go to: local sockets, sources, targets.

Values only; opening and sending is in udp.py and stream.py.
"""

from __future__ import annotations

PROTOCOL_IDS = {b"none": 0, b"udp": 1, b"tcp": 2, b"tls": 3, b"sctp": 4, b"ws": 5, b"wss": 6}
"""Kamailio's protocol numbers ($prid)."""


class ListenAddress:
    """One address that the server listens on; shared by every worker.

    `transport` is lower case ("udp"), `host` a literal without brackets; `advertised_host` and
    `advertised_port` are what Via and Record-Route carry (`via_start` and `record`).
    """

    __slots__ = (
        "advertised_host",
        "advertised_port",
        "host",
        "index",
        "name",
        "port",
        "record",
        "sent_by",
        "text",
        "transport",
        "via_start",
    )

    def __init__(
        self,
        index: int,
        transport: bytes,
        host: bytes,
        port: int,
        advertised_host: bytes = b"",
        advertised_port: int = 0,
        name: bytes = b"",
    ) -> None:
        self.index = index
        self.transport = transport
        self.host = host
        self.port = port
        self.name = name
        self.advertised_host = advertised_host or host
        self.advertised_port = advertised_port or port
        self.text = b"%s:%s:%d" % (transport, bracketed(host), port)
        self.sent_by = b"%s:%d" % (bracketed(self.advertised_host), self.advertised_port)
        self.via_start = b"Via: SIP/2.0/%s %s;branch=" % (transport.upper(), self.sent_by)

        self.record = self.sent_by + (b"" if transport == b"udp" else b";transport=" + transport)

    @property
    def uri(self) -> bytes:
        """The address as a SIP URI, transport parameter included unless it is UDP."""
        suffix = b"" if self.transport == b"udp" else b";transport=" + self.transport
        return b"sip:%s:%d%s" % (bracketed(self.host), self.port, suffix)

    def __repr__(self) -> str:
        return f"ListenAddress({self.text!r})"


class Source:
    """Where a message came from: remote address, local socket, stream connection (0: none)."""

    __slots__ = ("connection_id", "host", "local", "port", "received_at")

    def __init__(
        self, local: ListenAddress, host: bytes, port: int, connection_id: int, received_at: float
    ) -> None:
        self.local = local
        self.host = host
        self.port = port
        self.connection_id = connection_id
        self.received_at = received_at


class Target:
    """Where to send: transport, literal host and port, local socket, connection to reuse.

    Never changed once made; a plain class because one is made for every message sent.
    """

    __slots__ = ("connection_id", "host", "local", "port", "transport")

    def __init__(
        self, transport: bytes, host: bytes, port: int, local: ListenAddress,
        connection_id: int = 0,
    ) -> None:  # fmt: skip
        self.transport = transport
        self.host = host
        self.port = port
        self.local = local
        self.connection_id = connection_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"Target{self._parts()!r}"

    def _parts(self) -> tuple[bytes, bytes, int, bytes, int]:
        return (self.transport, self.host, self.port, self.local.text, self.connection_id)


def bracketed(host: bytes) -> bytes:
    """Return a literal as it stands in a URI: IPv6 in brackets."""
    return b"[" + host + b"]" if b":" in host and host[:1] != b"[" else host
