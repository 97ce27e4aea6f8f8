"""One hash table as scripts see it: initial values, lifetimes, counting and removing by patterns.

Owns the rules of Kamailio's htable over a table of the shared store; it knows no script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from time import time
from zlib import crc32

from kamailiod.modules.hash_tables.definition import Definition
from kamailiod.modules.hash_tables.matching import Wanted, counted
from shm import KEEP, HashTableStore
from shm.stores.htable import Value, ValueChange


class HashTable:
    """A table by its definition.

    A value lives to the end of its last second, as Kamailio counts: the store has the second after.
    """

    __slots__ = ("_initial", "_lifetime", "_store", "definition", "name")

    def __init__(self, definition: Definition, store: HashTableStore) -> None:
        self.definition = definition
        self.name = definition.name
        self._store = store
        self._initial = definition.initial
        self._lifetime = definition.lifetime

    def get(self, name: bytes) -> Value | None:
        """Return a value, the initial one for what is not there; None without."""
        value = self._store.get(name, time())
        return self._initial if value is None else value

    def stored(self, name: bytes) -> Value | None:
        """Return a value, None for what is not there."""
        return self._store.get(name, time())

    def set(self, name: bytes, value: Value, lifetime: int = 0) -> bool:
        """Set a value, to live as long as the table says or so many seconds; False without room."""
        if not self._lifetime:
            return self._store.set(name, value)
        if lifetime > 0:
            return self._store.set(name, value, _expires(lifetime))
        fresh = _expires(self._lifetime)
        if self.definition.renews:
            return self._store.set(name, value, fresh)

        def change(old: Value | None, expires: int) -> ValueChange:
            return value, fresh if old is None else expires

        return self._store.update(name, time(), change)

    def add(self, name: bytes, by: int) -> int | None:
        """Add to a number while no other process writes it, and return the result.

        None for what is not there, unless the table has an initial value, for a text, and without
        room.
        """
        result: int | None = None
        fresh = _expires(self._lifetime) if self._lifetime else 0

        def change(old: Value | None, expires: int) -> ValueChange:
            nonlocal result
            number = self._initial if old is None else old
            if not isinstance(number, int):
                return KEEP
            result = number + by
            return result, fresh if old is None or self.definition.renews else expires

        return result if self._store.update(name, time(), change) else None

    def delete(self, name: bytes) -> bool:
        """Remove a value; False when it is not there."""
        return self._store.delete(name)

    def clear(self) -> None:
        """Remove all values."""
        self._store.clear()

    def set_lifetime(self, name: bytes, seconds: int) -> bool:
        """Let a value live so many seconds from now, 0 or less for ever; False without room.

        Without effect for what is not there and in a table without autoexpire.
        """
        if not self._lifetime:
            return True
        expires = _expires(seconds) if seconds > 0 else 0

        def change(old: Value | None, _: int) -> ValueChange:
            return KEEP if old is None else (old, expires)

        return self._store.update(name, time(), change)

    def seconds_left(self, name: bytes) -> int:
        """Return how long a value lives on; 0 for ever and for what is not there."""
        now = time()
        expires = self._store.expiry(name, now) if self._lifetime else 0
        return expires - 1 - int(now) if expires else 0

    def expiry(self, name: bytes) -> int:
        """Return the last second (unix time) of a value; 0 for ever and for what is not there."""
        expires = self._store.expiry(name, time())
        return expires - 1 if expires else 0

    def items(self) -> Iterator[tuple[bytes, Value]]:
        """Go through names and values, blocking nobody."""
        return self._store.items(time())

    def entries(self) -> Iterator[tuple[bytes, Value, int]]:
        """Go through names, values and the last seconds of their lives, 0 for ever."""
        for name, value, expires in self._store.entries(time()):
            yield name, value, max(0, expires - 1)

    def count(self, expression: bytes, by_value: bool) -> int:
        """Return how many values a counting expression fits."""
        wanted = counted(expression, by_value)
        return 0 if wanted is None else sum(bool(wanted(*item)) for item in self.items())

    def has(self, wanted: Wanted) -> bool:
        """Whether any value fits."""
        return any(wanted(name, value) for name, value in self.items())

    def remove(self, wanted: Wanted) -> None:
        """Remove what fits."""
        for name, value in self.items():
            if wanted(name, value):
                self._store.delete(name)

    def replace(self, values: Mapping[bytes, tuple[Value, int]]) -> bool:
        """Put values and the last seconds of their lives (0: as the table says) for all there is.

        False when there was no room for all of them.
        """
        for name, _ in self.items():
            if name not in values:
                self._store.delete(name)
        room = True
        for name, (value, last) in values.items():
            own = last + 1 if last else _expires(self._lifetime)
            room &= self._store.set(name, value, own if self._lifetime else 0)
        return room

    def slot(self, name: bytes) -> int:
        """Return the slot that is shown for a name; a power of two of them, as defined."""
        return crc32(name) & (self.definition.slots - 1)

    def fill(self) -> tuple[int, int, int]:
        """Return how many values there are, in all, and in the emptiest and fullest slot."""
        slots = Counter(self.slot(name) for name, _ in self.items())
        least = min(slots.values()) if len(slots) == self.definition.slots else 0
        return slots.total(), least, max(slots.values(), default=0)


def _expires(lifetime: int) -> int:
    return int(time()) + lifetime + 1
