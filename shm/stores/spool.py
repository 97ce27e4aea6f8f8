"""Rows on their way out of a process, kept in shared memory until they have arrived.

Each process has its own; the next process of the same number takes over what a killed one left.
It knows bytes and numbers only, no meaning of a row.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgpack

from shm.hashmap import HashMap

_OWNER = struct.Struct(">h")
_KEY = struct.Struct(">hQ")


class Spool:
    """The rows of one process, in the order they were added."""

    __slots__ = ("_map", "_next", "_number")

    def __init__(self, records: HashMap, number: int) -> None:
        self._map = records
        self._number = number
        self._next = 0

    def left(self) -> Iterator[tuple[bytes, object]]:
        """Go through key and row of what an earlier process left; to be called before `add`."""
        found = sorted(self._map.items(_OWNER.pack(self._number)))
        if found:
            self._next = _KEY.unpack(found[-1][0])[1] + 1
        for key, value in found:
            yield key, msgpack.unpackb(value)

    def add(self, row: object) -> bytes:
        """Keep a row that msgpack can hold; its key, empty when there is no room."""
        key = _KEY.pack(self._number, self._next)
        self._next += 1
        return key if self._map.put(key, msgpack.packb(row)) else b""

    def remove(self, key: bytes) -> None:
        """Forget a row that has arrived."""
        self._map.delete(key)
