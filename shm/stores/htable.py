"""The hash table store: names with a number or octets each and an expiry, whatever for."""

from collections.abc import Callable, Iterator
from typing import Final

import msgpack

from shm.errors import RecordError
from shm.hashmap import KEEP, Change, HashMap

Value = int | bytes

_pack: Final = msgpack.Packer().pack
_NUMBERS: Final = range(-(1 << 63), 1 << 64)


class HashTableStore:
    """One table of named values within a map, which other tables may share.

    Times are unix seconds. A value that expired by the `now` of a call counts as not there.
    """

    __slots__ = ("_map", "_prefix")

    def __init__(self, records: HashMap, table: bytes) -> None:
        if b"\0" in table:
            raise RecordError("the name of a table cannot hold a zero octet")
        self._map = records
        self._prefix = table + b"\0"

    def get(self, name: bytes, now: float) -> Value | None:
        """Give a value, or None."""
        found = self._map.lookup(self._prefix + name)
        return _decode(found[0]) if found is not None and _alive(found[1], now) else None

    def set(self, name: bytes, value: Value, expires: int = 0) -> bool:
        """Set a value and its expiry, 0 for never; False, and nothing changed, without room."""
        return self._map.put(self._prefix + name, _encode(value), expires)

    def set_expires(self, name: bytes, expires: int, now: float) -> bool:
        """Change when a value expires; False when it is not there or there is no room."""
        found = False

        def change(value: bytes | None, old: int) -> Change:
            nonlocal found
            found = value is not None and _alive(old, now)
            return (value, expires) if found else KEEP

        return self._map.update(self._prefix + name, change) and found

    def increment(
        self, name: bytes, now: float, by: int = 1, expires: int | None = None
    ) -> int | None:
        """Add to a number while no other process changes it, and give the result.

        What is not there, or not a number, counts as 0. `expires` None keeps the expiry there is.
        None when there is no room.
        """
        result = 0

        def change(value: bytes | None, old: int) -> Change:
            nonlocal result
            alive = value is not None and _alive(old, now)
            before = _decode(value) if alive and value is not None else 0
            result = (before if isinstance(before, int) else 0) + by
            kept = old if alive else 0
            return _encode(result), kept if expires is None else expires

        return result if self._map.update(self._prefix + name, change) else None

    def delete(self, name: bytes) -> bool:
        """Remove a value; False when it is not there."""
        return self._map.delete(self._prefix + name)

    def items(self, now: float) -> Iterator[tuple[bytes, Value]]:
        """Go through names and values."""
        skip = len(self._prefix)
        for record in self._map.records(self._prefix):
            if _alive(record.expires, now):
                yield record.key[skip:], _decode(record.value)

    def match(
        self, wanted: Callable[[bytes, Value], bool], now: float
    ) -> Iterator[tuple[bytes, Value]]:
        """Go through those names and values for which `wanted(name, value)` is true."""
        return ((name, value) for name, value in self.items(now) if wanted(name, value))

    def expire(self, now: int, limit: int) -> list[tuple[bytes, Value]]:
        """Remove up to `limit` values that expired by `now`, and give their names and values."""
        skip = len(self._prefix)
        expired = self._map.pop_expired(now, limit, self._prefix)
        return [(key[skip:], _decode(value)) for key, value in expired]


def _alive(expires: int, now: float) -> bool:
    return not expires or expires > now


def _encode(value: Value) -> bytes:
    if isinstance(value, int) and value not in _NUMBERS:
        raise RecordError(f"{value} has more than 64 bits")
    packed: bytes = _pack(value)
    return packed


def _decode(value: bytes) -> Value:
    decoded: Value = msgpack.unpackb(value)
    return decoded
