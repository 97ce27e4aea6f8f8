"""The hash table store: names with a number or octets each and an expiry, whatever for.

A value is an octet for its kind, and the octets or the number in decimal.
"""

from collections.abc import Callable, Iterator
from typing import Final

from shm.change import KEEP, Change, Keep
from shm.errors import RecordError
from shm.hashmap import HashMap
from shm.stores.sections import Section

Value = int | bytes
ValueChange = tuple[Value | None, int] | Keep

_OCTETS: Final = ord("s")
_NUMBERS: Final = range(-(1 << 63), 1 << 64)


class HashTableStore:
    """One table of named values within a map, which other tables may share.

    In a map of `Sections` it keeps to its section. Times are unix seconds. A value that expired by
    the `now` of a call counts as not there.
    """

    __slots__ = ("_buckets", "_map", "_prefix")

    def __init__(self, records: HashMap, table: bytes, section: Section | None = None) -> None:
        if b"\0" in table:
            raise RecordError("the name of a table cannot hold a zero octet")
        self._map = records
        self._prefix = table + b"\0" if section is None else section.prefix
        self._buckets = None if section is None else section.buckets

    def get(self, name: bytes, now: float) -> Value | None:
        """Give a value, or None."""
        found = self._map.lookup(self._prefix + name)
        if found is None:
            return None
        value, expires = found
        if expires and expires <= now:
            return None
        return value[1:] if value[0] == _OCTETS else int(value[1:])

    def expiry(self, name: bytes, now: float) -> int | None:
        """Give when a value expires, 0 for never, or None when it is not there."""
        found = self._map.lookup(self._prefix + name)
        return found[1] if found is not None and _alive(found[1], now) else None

    def set(self, name: bytes, value: Value, expires: int = 0) -> bool:
        """Set a value and its expiry, 0 for never; False, and nothing changed, without room."""
        return self._map.put(self._prefix + name, encode(value), expires)

    def update(
        self, name: bytes, now: float, function: Callable[[Value | None, int], ValueChange]
    ) -> bool:
        """Replace a value by what `function(value, expiry)` gives; nobody writes it meanwhile.

        The function gets (None, 0) for what is not there, and returns a new value and expiry,
        (None, 0) to remove it, or KEEP. False, and nothing changed, without room.
        """

        def change(value: bytes | None, expires: int) -> Change:
            if value is None or not _alive(expires, now):
                changed = function(None, 0)
            else:
                changed = function(decode(value), expires)
            if isinstance(changed, Keep):
                return KEEP
            new, until = changed
            return (None, 0) if new is None else (encode(new), until)

        return self._map.update(self._prefix + name, change)

    def set_expires(self, name: bytes, expires: int, now: float) -> bool:
        """Change when a value expires; False when it is not there or there is no room."""
        found = False

        def change(value: Value | None, old: int) -> ValueChange:
            nonlocal found
            found = value is not None
            return (value, expires) if found else KEEP

        return self.update(name, now, change) and found

    def increment(
        self, name: bytes, now: float, by: int = 1, expires: int | None = None
    ) -> int | None:
        """Add to a number while no other process changes it, and give the result.

        What is not there, or not a number, counts as 0. `expires` None keeps the expiry there is.
        None when there is no room.
        """
        result = 0

        def change(value: Value | None, old: int) -> ValueChange:
            nonlocal result
            result = (value if isinstance(value, int) else 0) + by
            return result, old if expires is None else expires

        return result if self.update(name, now, change) else None

    def delete(self, name: bytes) -> bool:
        """Remove a value; False when it is not there."""
        return self._map.delete(self._prefix + name)

    def entries(self, now: float) -> Iterator[tuple[bytes, Value, int]]:
        """Go through names, values and expiries."""
        skip = len(self._prefix)
        for record in self._map.records(self._prefix, self._buckets):
            if _alive(record.expires, now):
                yield record.key[skip:], decode(record.value), record.expires

    def items(self, now: float) -> Iterator[tuple[bytes, Value]]:
        """Go through names and values."""
        return ((name, value) for name, value, _ in self.entries(now))

    def match(
        self, wanted: Callable[[bytes, Value], bool], now: float
    ) -> Iterator[tuple[bytes, Value]]:
        """Go through those names and values for which `wanted(name, value)` is true."""
        return ((name, value) for name, value in self.items(now) if wanted(name, value))

    def clear(self) -> None:
        """Remove all values of the table, expired ones included."""
        for record in self._map.records(self._prefix, self._buckets):
            self._map.delete(record.key)

    def expire(self, now: int, limit: int) -> list[tuple[bytes, Value]]:
        """Remove up to `limit` values that expired by `now`, and give their names and values."""
        skip = len(self._prefix)
        expired = self._map.pop_expired(now, limit, self._prefix)
        return [(key[skip:], decode(value)) for key, value in expired]


def encode(value: Value) -> bytes:
    """Give the record of a value; raises RecordError for a number of more than 64 bits."""
    if isinstance(value, bytes):
        return b"s" + value
    if value not in _NUMBERS:
        raise RecordError(f"{value} has more than 64 bits")
    return b"i%d" % value


def decode(record: bytes) -> Value:
    """Give the value of a record."""
    return record[1:] if record[0] == _OCTETS else int(record[1:])


def _alive(expires: int, now: float) -> bool:
    return not expires or expires > now
