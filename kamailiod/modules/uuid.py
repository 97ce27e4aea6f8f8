"""Module uuid: universally unique identifiers (RFC 4122).

Owns the variable and the functions that make them; keeps none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import ClassVar

from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, kemi, pseudo_variable


class Uuid(Module):
    """A new identifier at every call, in lower case."""

    name: ClassVar[str] = "uuid"

    @kemi("uuid.get", native=())
    def get(self, context: Context) -> bytes:
        """Return a new identifier of the best kind: a random one."""
        return _random()

    @kemi("uuid.rget", native=())
    def rget(self, context: Context) -> bytes:
        """Return a new random identifier."""
        return _random()

    @kemi("uuid.tget", native=())
    def tget(self, context: Context) -> bytes:
        """Return a new identifier made of the time and this machine's address."""
        return _by_time()

    @pseudo_variable("uuid")
    def variable(self, context: Context, inner: bytes, index: object) -> Value:
        """$uuid(g) or $uuid(r) random, $uuid(t) by the time, $uuid(s) so if that is safe."""
        make = _MAKERS.get(inner)
        return None if make is None else make()


def _random() -> bytes:
    return str(uuid.uuid4()).encode()


def _by_time() -> bytes:
    return str(uuid.uuid1()).encode()


def _by_time_safely() -> bytes | None:
    # Only what the system made together with other processes is known to be safe.
    made = uuid.uuid1()
    return str(made).encode() if made.is_safe is uuid.SafeUUID.safe else None


_MAKERS: dict[bytes, Callable[[], bytes | None]] = {
    b"": _random, b"g": _random, b"r": _random, b"t": _by_time, b"s": _by_time_safely,
}  # fmt: skip
