"""The location tables: contacts of users in shared memory, in the order in which they are tried.

Owns tables, which contact is which and their order; it must not know REGISTER, RPC or modparams.
"""

from __future__ import annotations

import os
import time
from enum import IntEnum

from shm import Binding, HashMap, LocationCounts, LocationStore


class Matching(IntEnum):
    """usrloc's matching_mode: what tells one contact of a user from another."""

    CONTACT_ONLY = 0
    CONTACT_CALL_ID = 1
    CONTACT_PATH = 2  # of a request without Path, the contact alone
    CALL_ID_ONLY = 3


class Locations:
    """All location tables of the server, in one map; a table exists from its first use on.

    With `newest_first` contacts are ordered by age instead of by q.
    """

    __slots__ = ("_matching", "_newest_first", "_records", "_ruid_prefix", "_ruids", "_tables")

    def __init__(self, records: HashMap, matching: Matching, newest_first: bool) -> None:
        self._records = records
        self._matching = matching
        self._newest_first = newest_first
        self._tables: dict[bytes, LocationStore] = {}
        self._ruid_prefix = b""
        self._ruids = 0

    def start_process(self) -> None:
        """Name the contacts of this process; to be called after the fork."""
        self._ruid_prefix = b"uloc-%x-%d-" % (int(time.time()), os.getpid())

    def table(self, name: bytes) -> LocationStore:
        """Return the table of a name; it is made, for all processes, when it is new."""
        table = self._tables.get(name)
        if table is None:
            table = LocationStore(self._records, name)
            self._records.put(b"\0" + name, b"")
            self._tables[name] = table
        return table

    def names(self) -> list[bytes]:
        """Return the names of all tables that any process has used."""
        return sorted(key[1:] for key, _ in self._records.items(b"\0"))

    def next_ruid(self) -> bytes:
        """Return an identifier for a contact that no other contact has."""
        self._ruids += 1
        return b"%b%x" % (self._ruid_prefix, self._ruids)

    def matching(self, bindings: list[Binding], contact: bytes, call_id: bytes, path: bytes) -> int:
        """Return the position of the binding that such a contact updates, -1 when it is new."""
        mode = self._matching
        for position, old in enumerate(bindings):
            if mode is Matching.CALL_ID_ONLY:
                if old.call_id == call_id:
                    return position
            elif (
                old.contact == contact
                and (mode is not Matching.CONTACT_CALL_ID or old.call_id == call_id)
                and (mode is not Matching.CONTACT_PATH or not path or old.path == path)
            ):
                return position
        return -1

    def place(self, bindings: list[Binding], new: Binding, position: int) -> None:
        """Put a contact into a list ordered by descending q, in the place of an old one if >= 0.

        With `newest_first` the newest is the first, whatever its q.
        """
        if position >= 0:
            if not self._newest_first and bindings[position].q == new.q:
                bindings[position] = new
                return
            del bindings[position]
        if self._newest_first:
            bindings.insert(0, new)
            return
        q = new.q
        at = len(bindings)
        while at and bindings[at - 1].q < q:
            at -= 1
        bindings.insert(at, new)

    def counts(self) -> dict[str, LocationCounts]:
        """Count users and contacts of each table, by looking through them."""
        return {name.decode("utf-8", "replace"): self.table(name).counts() for name in self.names()}
