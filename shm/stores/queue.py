"""Queues of key and value pairs that all processes share, first in, first out.

It knows bytes only. A queue's ends lie in one map, whose lock is the queue's; the items lie in
another, so that taking an item's lock while the queue's is held cannot meet one the other way
round. A process killed at any step leaves a hole, which is skipped, or an item that the next one
replaces.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from shm.hashmap import HashMap

_ENDS: Final = struct.Struct(">QQQ")
_NUMBER: Final = struct.Struct(">Q")
_LENGTH: Final = struct.Struct(">I")
_HOLES: Final = 1024


class Uniqueness(IntEnum):
    """What becomes of an item whose key the queue holds already."""

    NONE = 0
    OLDEST_STAYS = 1
    NEWEST_STAYS = 2


class QueueStore:
    """One queue; with a `limit` above 0 the oldest item makes room for what is too much."""

    __slots__ = ("_ends", "_index", "_items", "_limit", "_name", "_prefix", "_uniqueness")

    def __init__(
        self, ends: HashMap, items: HashMap, name: bytes, limit: int = 0,
        uniqueness: Uniqueness = Uniqueness.NONE,
    ) -> None:  # fmt: skip
        self._ends = ends
        self._items = items
        self._name = name
        self._prefix = name + b"\0"
        self._index = name + b"\1"
        self._limit = limit
        self._uniqueness = uniqueness

    def add(self, key: bytes, value: bytes) -> bool:
        """Put an item behind all others; False, and it is not there, without room."""
        with self._ends.locked(self._name):
            head, tail, count = self._state()
            if self._uniqueness:
                old = self._known(key)
                if old is not None and self._uniqueness is Uniqueness.OLDEST_STAYS:
                    return True
                if old is not None and self._items.delete(self._prefix + old):
                    count -= 1
            while self._limit and count >= self._limit and head < tail:
                head, dropped = self._remove_first(head, tail)
                count -= dropped is not None
            added = self._put(tail, key, value)
            if added:
                tail, count = tail + 1, count + 1
            return self._keep(*self._compact(head, tail, count)) and added

    def take(self) -> tuple[bytes, bytes] | None:
        """Remove the oldest item and give its key and value; None when there is none."""
        head, tail, _ = self._state()
        if head == tail:
            return None
        with self._ends.locked(self._name):
            head, tail, count = self._state()
            head, item = self._remove_first(head, tail)
            self._keep(head, tail, count - 1)
            return item

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Go through the items, the oldest first."""
        head, tail, _ = self._state()
        for number in range(head, tail):
            item = self._items.get(self._prefix + _NUMBER.pack(number))
            if item is not None:
                yield _unpack(item)

    def __len__(self) -> int:
        return self._state()[2]

    def _state(self) -> tuple[int, int, int]:
        record = self._ends.get(self._name)
        return (0, 0, 0) if record is None else _ENDS.unpack(record)

    def _keep(self, head: int, tail: int, count: int) -> bool:
        # What a killed process left uncounted is put right as soon as the queue is empty.
        count = max(min(count, tail - head), 0)
        return self._ends.put(self._name, _ENDS.pack(head, tail, count))

    def _known(self, key: bytes) -> bytes | None:
        number = self._items.get(self._index + key)
        if number is None:
            return None
        item = self._items.get(self._prefix + number)
        return number if item is not None and _unpack(item)[0] == key else None

    def _put(self, number: int, key: bytes, value: bytes) -> bool:
        packed = _NUMBER.pack(number)
        if not self._items.put(self._prefix + packed, _LENGTH.pack(len(key)) + key + value):
            return False
        if not self._uniqueness or self._items.put(self._index + key, packed):
            return True
        self._items.delete(self._prefix + packed)
        return False

    def _remove_first(self, head: int, tail: int) -> tuple[int, tuple[bytes, bytes] | None]:
        while head < tail:
            place = self._prefix + _NUMBER.pack(head)
            head += 1
            found = self._items.get(place)
            if found is not None:
                item = _unpack(found)
                if self._uniqueness:
                    self._items.delete(self._index + item[0])
                self._items.delete(place)
                return head, item
        return head, None

    def _compact(self, head: int, tail: int, count: int) -> tuple[int, int, int]:
        # Only items that a newer one of their key replaced leave many holes.
        if tail - head <= 2 * count + _HOLES:
            return head, tail, count
        end = head
        for number in range(head, tail):
            place = self._prefix + _NUMBER.pack(number)
            found = self._items.get(place)
            if found is None:
                continue
            if number != end and self._put(end, *_unpack(found)):
                self._items.delete(place)
            elif number != end:
                return head, tail, count
            end += 1
        return head, end, end - head


def _unpack(item: bytes) -> tuple[bytes, bytes]:
    end = _LENGTH.size + int(_LENGTH.unpack_from(item)[0])
    return item[_LENGTH.size : end], item[end:]
