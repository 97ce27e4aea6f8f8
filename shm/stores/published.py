"""A value that one process publishes for all: a reloaded table, a set of rules.

It knows bytes and numbers only, no meaning of a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgpack

from shm.change import Change
from shm.hashmap import HashMap

T = TypeVar("T")

_GENERATION = b"\0generation"


class Published(Generic[T]):
    """One value under a name in a map that other values may share.

    `make` builds what the process works with from what msgpack holds (arrays come as lists); it
    runs once a process and publication.  `empty` stands for the value before the first one.
    """

    __slots__ = ("_empty", "_made", "_make", "_map", "_name", "_seen")

    def __init__(
        self, records: HashMap, name: bytes, make: Callable[[object], T], empty: T
    ) -> None:
        self._map = records
        self._name = name
        self._make = make
        self._empty = empty
        self._made = empty
        self._seen: bytes | None = None

    def get(self) -> T:
        """Give the value as last published; a look-up and no more while it has not changed."""
        generation = self._map.get(self._name + _GENERATION)
        if generation != self._seen:
            # A newer value beside this generation is made once more by the next call: no harm.
            value = self._map.get(self._name)
            self._made = self._empty if value is None else self._make(msgpack.unpackb(value))
            self._seen = generation
        return self._made

    def set(self, value: object) -> bool:
        """Publish a value that msgpack can hold; False, and nothing changed, without room."""
        return self._map.put(self._name, msgpack.packb(value)) and self._advance()

    def change(self, function: Callable[[object], object]) -> bool:
        """Publish `function(value)` (None before the first) while nobody else publishes."""

        def changed(old: bytes | None, expires: int) -> Change:
            value = None if old is None else msgpack.unpackb(old)
            return msgpack.packb(function(value)), 0

        return self._map.update(self._name, changed) and self._advance()

    def _advance(self) -> bool:
        def next_one(old: bytes | None, expires: int) -> Change:
            number = int.from_bytes(old or b"", "little") + 1
            return number.to_bytes(8, "little"), 0

        return self._map.update(self._name + _GENERATION, next_one)
