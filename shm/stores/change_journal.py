"""Which records were changed and not yet written to a backing: a set in shared memory.

It knows keys and the names of items that left a record, not what they mean; it writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import msgpack

from shm.change import KEEP, Change
from shm.hashmap import HashMap


class Entry(NamedTuple):
    """A record that was changed: its key, the items that left it, and what `settle` compares."""

    key: bytes
    gone: list[bytes]
    mark: bytes


class ChangeJournal:
    """The changed records of all processes; a record stands once in it, however often it changes.

    A change that finds no room sets the first of `words`: then all records may have changed.
    """

    __slots__ = ("_map", "_words")

    def __init__(self, records: HashMap, words: memoryview) -> None:
        self._map = records
        self._words = words

    def note(self, key: bytes, gone: Sequence[bytes] = ()) -> None:
        """Note that a record is about to change, and which items leave it by that."""

        def noted(value: bytes | None, _: int) -> Change:
            if value is None:
                return msgpack.packb((0, gone)), 0
            number, before = msgpack.unpackb(value)
            return msgpack.packb((number + 1, [*before, *gone])), 0

        if not self._map.update(key, noted):
            self.overflow()

    def entries(self, limit: int) -> list[Entry]:
        """Give up to `limit` changed records; they stay noted until they are settled."""
        items = islice(self._map.items(), limit) if len(self._map) else ()
        return [Entry(key, msgpack.unpackb(value)[1], value) for key, value in items]

    def settle(self, entry: Entry) -> None:
        """Forget a record that was written, unless it has changed since `entries` gave it."""

        def settled(value: bytes | None, _: int) -> Change:
            return (None, 0) if value == entry.mark else KEEP

        self._map.update(entry.key, settled)

    def take_overflow(self) -> bool:
        """Return whether changes were lost for want of room, and forget that they were."""
        overflowed = self._words[0] != 0
        self._words[0] = 0
        return overflowed

    def is_pending(self) -> bool:
        """Whether there is anything to write."""
        return len(self._map) > 0 or self._words[0] != 0

    def overflow(self) -> None:
        """Say that changes were lost: all records may have changed."""
        self._words[0] = 1

    def __len__(self) -> int:
        return len(self._map)
