"""Rows of subscribers that were read a short while ago, in shared memory for all processes.

Owns how long they count and how they are forgotten; it must not know statements or digests.  A
user who is not there is asked for again each time.
"""

from __future__ import annotations

import time

import msgpack

from kamailiod.script.database import Row
from shm import HashMap

_EXPIRED_AT_ONCE = 1000


class CredentialCache:
    """Keeps rows for some seconds; `generation` is one shared word that removals count up."""

    def __init__(self, records: HashMap, generation: memoryview, seconds: int) -> None:
        self._records = records
        self._generation = generation
        self._seconds = seconds

    @property
    def generation(self) -> int:
        """How often something was removed: to be read before the row that is then put."""
        return int(self._generation[0])

    def get(self, key: bytes) -> Row | None:
        """Return a row that still counts."""
        found = self._records.lookup(key)
        if found is None or found[1] <= time.time():
            return None
        return tuple(msgpack.unpackb(found[0]))

    def put(self, key: bytes, row: Row, generation: int) -> None:
        """Keep a row that was read in a generation; one that is over may have changed it."""
        if generation != self.generation:
            return
        value = msgpack.packb([_plain(cell) for cell in row])
        self._records.put(key, value, int(time.time()) + self._seconds)
        if generation != self.generation:
            self._records.delete(key)

    def remove(self, user: str, domain: str = "") -> int:
        """Forget a user, of one domain or of all; returns how many rows that were."""
        self._generation[0] += 1
        start = user.encode() + b"\0"
        wanted = (domain.encode() + b"\0", b"\0")
        keys = [
            key
            for key, _ in self._records.items(start)
            if not domain or key[len(start) :].startswith(wanted)
        ]
        return sum(map(self._records.delete, keys))

    def flush(self) -> int:
        """Forget all; returns how many rows that were."""
        self._generation[0] += 1
        count = len(self._records)
        self._records.clear()
        return count

    def purge(self) -> None:
        """Give back the memory of what does not count any more: done now and then."""
        self._records.pop_expired(int(time.time()), _EXPIRED_AT_ONCE)


def cache_key(user: str, domain: str, table: str, columns: tuple[str, ...]) -> bytes:
    """Return the key of what a query for a user reads; empty for a name that is never kept."""
    if "\0" in user or "\0" in domain:
        return b""
    return "\0".join((user, domain, table, *columns)).encode()


def _plain(cell: object) -> object:
    return cell if cell is None or isinstance(cell, int | str | bytes) else str(cell)
