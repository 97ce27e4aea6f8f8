"""A server as ndb_redis's modparam `server` defines it: owns that notation only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kamailiod.script.redis_address import PORT, RedisAddress

_MOST_SENTINELS = 10


@dataclass(frozen=True, slots=True)
class Definition:
    """A server's name for scripts, and its address."""

    name: str
    address: RedisAddress = field(default_factory=RedisAddress)


def parse_definition(text: str, address: RedisAddress) -> Definition:
    """Read "name=srv1;addr=127.0.0.1;port=6379;db=1;pass=..." upon an address of defaults.

    Beside Kamailio's attributes (name, addr, port, db, pass, unix, tls, connect_timeout and
    command_timeout in milliseconds, sentinel_group, sentinel_master, sentinel) there are user, ca
    (a file or folder) and verify.  Raises ValueError for what is wrong, without the values.
    """
    definition = Definition("", replace(address, nodes=(("", PORT),)))
    for part in text.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name:
            continue
        change = _CHANGES.get(name)
        if change is None or not equals:
            raise ValueError(f"a server has no attribute {name!r}")
        try:
            definition = change(definition, value.strip('"'))
        except ValueError:
            raise ValueError(f"{name} of a server is wrong") from None
    if not definition.name:
        raise ValueError("a server has no name")
    found = definition.address
    if not (found.unix or found.nodes[0][0] or found.sentinels):
        raise ValueError(f"server {definition.name} has neither addr, unix nor sentinel")
    return definition


def _number(value: str) -> int:
    # What is no number is the default, as in Kamailio.
    return int(value) if value.isdecimal() else 0


def _seconds(value: str) -> float:
    milliseconds = int(value)
    if milliseconds <= 0:
        raise ValueError
    return milliseconds / 1000


def _sentinel(old: RedisAddress, value: str) -> RedisAddress:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or len(old.sentinels) >= _MOST_SENTINELS:
        raise ValueError
    return replace(old, sentinels=(*old.sentinels, (host, int(port))))


def _node(old: RedisAddress, host: str = "", port: int = 0) -> RedisAddress:
    known_host, known_port = old.nodes[0]
    return replace(old, nodes=((host or known_host, port or known_port),))


_ATTRIBUTES: dict[str, Callable[[RedisAddress, str], RedisAddress]] = {
    "addr": lambda old, value: _node(old, host=value),
    "port": lambda old, value: _node(old, port=_number(value) or PORT),
    "unix": lambda old, value: replace(old, unix=value),
    "db": lambda old, value: replace(old, db=_number(value)),
    "pass": lambda old, value: replace(old, password=value),
    "user": lambda old, value: replace(old, user=value),
    "tls": lambda old, value: replace(old, tls=_number(value) != 0),
    "ca": lambda old, value: replace(old, authorities=value),
    "verify": lambda old, value: replace(old, verify=_number(value) != 0),
    "connect_timeout": lambda old, value: replace(old, connect_timeout=_seconds(value)),
    "command_timeout": lambda old, value: replace(old, command_timeout=_seconds(value)),
    "sentinel_group": lambda old, value: replace(old, group=value),
    "sentinel_master": lambda old, value: replace(old, replica=_number(value) == 0),
    "sentinel": _sentinel,
}


def _address_change(name: str) -> Callable[[Definition, str], Definition]:
    change = _ATTRIBUTES[name]
    return lambda old, value: replace(old, address=change(old.address, value))


_CHANGES: dict[str, Callable[[Definition, str], Definition]] = {
    "name": lambda old, value: replace(old, name=value),
    **{name: _address_change(name) for name in _ATTRIBUTES},
}
