"""One destination of a set: where it is and what its attributes say.

Owns the meaning of a line of the list; what changes while the server runs is in states.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kamailiod.net.address import ListenAddress
from kamailiod.sip.uri import Uri, parse_uri


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list file, or a row of the table."""

    set_id: int
    uri: bytes
    flags: int = 0
    priority: int = 0
    attributes: bytes = b""


@dataclass(frozen=True, slots=True)
class Sockets:
    """The local sockets that attributes may name, and the one for destinations without."""

    known: tuple[ListenAddress, ...] = ()
    default: ListenAddress | None = None

    def find(self, text: bytes, name: bytes) -> ListenAddress | None:
        """Return the socket of this text ("udp:127.0.0.1:5060", parts may lack) or name."""
        for socket in self.known:
            if name and socket.name == name:
                return socket
        wanted = text.lower()
        for socket in self.known:
            bare = socket.text.partition(b":")[2]
            without_port = socket.text.rpartition(b":")[0]
            if wanted and wanted in (socket.text, bare, without_port, socket.host):
                return socket
        return self.default


class Destination:
    """A destination as selecting and probing need it; `slot` is where its state lies."""

    __slots__ = (
        "attributes", "congestion_control", "duid", "key", "latency", "maxload",
        "outbound_proxy", "parsed", "ping_from", "priority", "rweight", "set_id", "slot", "socket",
        "socket_name", "socket_text", "uri", "weight",
    )  # fmt: skip

    def __init__(self, entry: Entry, slot: int, sockets: Sockets) -> None:
        self.set_id = entry.set_id
        self.slot = slot
        self.uri = entry.uri
        self.key = entry.uri.lower()
        self.priority = entry.priority
        self.attributes = entry.attributes
        values = attribute_values(entry.attributes)
        self.duid = values.get(b"duid", b"")
        self.maxload = _number(values, b"maxload")
        self.weight = _number(values, b"weight")
        self.rweight = _number(values, b"rweight")
        self.latency = _number(values, b"latency")
        self.congestion_control = _number(values, b"cc")
        self.socket_text = values.get(b"socket", b"")
        self.socket_name = values.get(b"sockname", b"")
        self.ping_from = values.get(b"ping_from", b"")
        self.outbound_proxy = values.get(b"obproxy", b"")
        self.socket = sockets.find(self.socket_text, self.socket_name)
        self.parsed: Uri = parse_uri(entry.uri) or _NOWHERE


_NOWHERE = Uri(b"", b"sip", b"", b"", b"", 0, b"", b"")


def attribute_values(attributes: bytes) -> dict[bytes, bytes]:
    """Read `name=value;...`; of a name that comes twice the last value counts."""
    values = {}
    for item in attributes.split(b";"):
        name, equals, value = item.partition(b"=")
        if equals:
            values[name.strip().lower()] = value.strip().strip(b'"')
    return values


def is_destination(uri: bytes) -> bool:
    """Whether requests can be sent to a URI."""
    parsed = parse_uri(uri)
    return parsed is not None and parsed.is_sip and bool(parsed.host)


def by_priority(entries: Iterable[Entry]) -> list[Entry]:
    """Order a set as Kamailio does: by priority, the highest first, else the last line first."""
    last_first = list(entries)[::-1]
    return sorted(last_first, key=lambda entry: -entry.priority)


def _number(values: dict[bytes, bytes], name: bytes) -> int:
    text = values.get(name, b"")
    return int(text) if text.isdigit() and len(text) < 10 else 0
