"""The location store: the bindings of each address-of-record; it knows bytes and numbers, not SIP.

A record is a version octet, the number of bindings in two octets, and a msgpack array of bindings,
each an array of its fields in the order of `Binding`.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgpack

from shm.change import KEEP, Change
from shm.errors import RecordError
from shm.hashmap import HashMap

_VERSION: Final = 2
_PREFIX: Final = struct.Struct("<BH")
_PREFIX_SIZE: Final = _PREFIX.size


class Binding(NamedTuple):
    """One contact of an address-of-record.

    `expires` is in unix seconds, 0 for permanent; `q` in thousandths, -1 for none; `methods` a
    mask. `keepalive` is when the contact last answered one (unix seconds), `round_trip` how long
    that took (microseconds); `attributes` is whatever its owner keeps with it. A tuple, because a
    table's hot path makes and packs one for every REGISTER.
    """

    contact: bytes
    received: bytes
    path: bytes
    expires: int
    q: int
    call_id: bytes
    cseq: int
    flags: int
    cflags: int
    user_agent: bytes
    socket: bytes
    methods: int
    instance: bytes
    reg_id: int
    ruid: bytes
    connection_id: int
    server_id: int
    last_modified: float
    keepalive: int = 0
    round_trip: int = 0
    attributes: bytes = b""


@dataclass(frozen=True, slots=True)
class LocationCounts:
    """How many records (addresses-of-record) and contacts a table holds, expired ones included."""

    records: int
    contacts: int


class LocationStore:
    """One table (domain) of bindings within a map, which other tables may share."""

    __slots__ = ("_map", "_prefix")

    def __init__(self, records: HashMap, table: bytes) -> None:
        if b"\0" in table:
            raise RecordError("the name of a table cannot hold a zero octet")
        self._map = records
        self._prefix = table + b"\0"

    def bindings(self, aor: bytes, now: float) -> list[Binding]:
        """Give the bindings of an address-of-record that are not expired at `now` (unix time)."""
        found = self._map.lookup(self._prefix + aor)
        if found is None:
            return []
        bindings = _decode(found[0])
        return [binding for binding in bindings if not binding.expires or binding.expires > now]

    def update(self, aor: bytes, function: Callable[[list[Binding]], list[Binding]]) -> bool:
        """Replace the bindings by what `function` makes of them; nobody writes them meanwhile.

        The function gets all that are stored, expired ones included. An empty result removes the
        record. False, and nothing changed, when there is no room; what the function raises passes
        through.
        """

        def change(value: bytes | None, _: int) -> Change:
            if value is None:
                new = function([])
                return (_encode(new), _earliest(new)) if new else KEEP
            old = _decode(value)
            before = tuple(old)
            new = function(old)
            if len(new) == len(before) and all(map(is_, new, before)):
                return KEEP
            return (_encode(new), _earliest(new)) if new else (None, 0)

        return self._map.update(self._prefix + aor, change)

    def add(self, aor: bytes, new: list[Binding], order: Callable[[list[Binding]], None]) -> bool:
        """Add bindings to what is stored, brought into order by `order`: a record of a backing.

        What is stored already under a binding's ruid is the newer one and stays.  False without
        room.
        """

        def change(value: bytes | None, _: int) -> Change:
            if value is None:
                bindings = new
            else:
                bindings = _decode(value)
                known = {binding.ruid for binding in bindings}
                bindings += [binding for binding in new if binding.ruid not in known]
            if len(bindings) > 1:
                order(bindings)
            return _encode(bindings), _earliest(bindings)

        return self._map.update(self._prefix + aor, change)

    def hash_of(self, aor: bytes) -> int:
        """Return the number by which `of_hash` finds an address-of-record among few."""
        return crc32(self._prefix + aor)

    def of_hash(self, number: int) -> list[tuple[bytes, list[Binding]]]:
        """Give the addresses-of-record, with all their bindings, that may have this hash_of."""
        skip = len(self._prefix)
        bucket = number & (self._map.buckets - 1)
        found = self._map.records(self._prefix, range(bucket, bucket + 1))
        return [(record.key[skip:], _decode(record.value)) for record in found]

    @staticmethod
    def weigh(value: bytes) -> int:
        """Return how many bindings a record has: the weight of it in the map that holds it."""
        return _contacts(value) if value[:1] == _MARK else 0

    def remove(self, aor: bytes) -> bool:
        """Remove an address-of-record with all its bindings; False when it is not there."""
        return self._map.delete(self._prefix + aor)

    def aors(self) -> Iterator[bytes]:
        """Go through the addresses-of-record."""
        skip = len(self._prefix)
        return (key[skip:] for key, _ in self._map.items(self._prefix))

    def items(self) -> Iterator[tuple[bytes, list[Binding]]]:
        """Go through the addresses-of-record and their bindings, expired ones included."""
        skip = len(self._prefix)
        return ((key[skip:], _decode(value)) for key, value in self._map.items(self._prefix))

    def expire(self, now: int, limit: int) -> list[tuple[bytes, Binding]]:
        """Remove the bindings that expired by `now` from up to `limit` records, and give them."""
        removed: list[tuple[bytes, Binding]] = []
        for key, _ in self._map.expired(now, limit, self._prefix):
            aor = key[len(self._prefix) :]
            removed += [(aor, binding) for binding in self._expire(aor, now)]
        return removed

    def counts(self) -> LocationCounts:
        """Count by looking through the table: right after any crash, and slow for a large one."""
        records = contacts = 0
        for _, value in self._map.items(self._prefix):
            records += 1
            contacts += _contacts(value)
        return LocationCounts(records, contacts)

    def _expire(self, aor: bytes, now: int) -> list[Binding]:
        removed: list[Binding] = []

        def drop(bindings: list[Binding]) -> list[Binding]:
            removed.extend(binding for binding in bindings if 0 < binding.expires <= now)
            return [binding for binding in bindings if not 0 < binding.expires <= now]

        # Without room for the shorter record nothing was removed: the next call finds it again.
        return removed if self.update(aor, drop) else []


_pack: Final = msgpack.Packer().pack
_MARK: Final = bytes((_VERSION,))
_bound: Final[Callable[[list[Any]], Binding]] = partial(tuple.__new__, Binding)


def _encode(bindings: list[Binding]) -> bytes:
    try:
        packed: bytes = _pack(bindings)
        return _PREFIX.pack(_VERSION, len(bindings)) + packed
    except (OverflowError, TypeError, ValueError, struct.error) as error:
        raise RecordError(f"a binding cannot be stored: {error}") from error


def _decode(value: bytes) -> list[Binding]:
    if value[0] != _VERSION:
        raise RecordError(f"a location record of version {value[0]}")
    fields: list[list[Any]] = msgpack.unpackb(value[_PREFIX_SIZE:])
    return [_bound(one) for one in fields]


def _contacts(value: bytes) -> int:
    return value[1] | value[2] << 8


def _earliest(bindings: list[Binding]) -> int:
    if len(bindings) == 1:
        return bindings[0].expires
    return min((binding.expires for binding in bindings if binding.expires), default=0)
