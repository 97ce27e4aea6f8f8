"""Socket addresses of `listen`, `alias` and the like: owns Listen and how such text is read."""

import re
from dataclasses import dataclass

from .source import Position
from .tree import ListenParameter

_PROTOCOLS = ("udp", "tcp", "tls", "sctp", "ws", "wss")
_ADDRESS = re.compile(
    r"(?:(?P<proto>[A-Za-z]+):)?(?P<host>\[[0-9a-fA-F:.]+\]|\*|[^:\[\]]+)"
    r"(?::(?P<port>\d+)(?:-(?P<port2>\d+))?)?"
)
_BARE_IPV6 = re.compile(r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*")


@dataclass(frozen=True, slots=True)
class Address:
    """`[proto:]host[:port[-port2]]`; proto "" and port 0 if not given, IPv6 without brackets."""

    proto: str
    host: str
    port: int
    port2: int = 0


@dataclass(frozen=True, slots=True)
class Listen:
    """A socket to listen to; proto "" means UDP and TCP, port 0 the default one.

    host is an address, an interface or a name; advertise is what Via and Record-Route show.
    """

    proto: str
    host: str
    port: int
    port2: int
    advertise: Address | None
    name: str
    virtual: bool
    position: Position


def parse_address(text: str) -> Address:
    """The parts of `[proto:]host[:port[-port2]]`. Raises ValueError with the reason."""
    if _BARE_IPV6.fullmatch(text):
        return Address("", text, 0)
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError(f"bad address {text!r}")
    proto = (found["proto"] or "").lower()
    if proto and proto not in _PROTOCOLS:
        if found["port"] or not found["host"].isdigit():
            raise ValueError(f"unknown protocol {proto!r} in {text!r}")
        return Address("", proto, _port(found["host"]))
    host = found["host"].strip("[]")
    return Address(proto, host, _port(found["port"]), _port(found["port2"]))


def build_listen(parameter: ListenParameter) -> Listen:
    """The socket a listen parameter means. Raises ValueError with the reason."""
    bound = parse_address(parameter.address)
    advertise = parse_address(parameter.advertise) if parameter.advertise else None
    return Listen(
        bound.proto, bound.host, bound.port, bound.port2, advertise, parameter.name,
        parameter.virtual, parameter.position,
    )  # fmt: skip


def _port(text: str | None) -> int:
    port = int(text or 0)
    if port > 65535:
        raise ValueError(f"port {port} is out of range")
    return port
