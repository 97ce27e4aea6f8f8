"""The location tables: contacts of users in shared memory, in the order in which they are tried.

Owns tables, which contact is which and their order; it must not know REGISTER, RPC or modparams.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import IntEnum

import msgpack

from kamailiod.modules.registration.journaled_store import JournaledStore
from shm import KEEP, Binding, Change, ChangeJournal, HashMap, LocationCounts, LocationStore

_TABLES = b"\0tables"
_PROCESS_BITS = 22
"""The length of the largest process id of Linux."""


class Matching(IntEnum):
    """usrloc's matching_mode: what tells one contact of a user from another."""

    CONTACT_ONLY = 0
    CONTACT_CALL_ID = 1
    CONTACT_PATH = 2  # of a request without Path, the contact alone
    CALL_ID_ONLY = 3


class Locations:
    """All location tables of the server, in one map; a table exists from its first use on.

    With `newest_first` contacts are ordered by age instead of by q.  A journal, if given, notes
    the changes of all tables.  `server_id` is in the identifiers of this server's contacts.
    """

    __slots__ = (
        "_journal", "_matching", "_memory", "_newest_first", "_records", "_ruid_prefix", "_ruids",
        "_server_id", "_tables",
    )  # fmt: skip

    def __init__(
        self,
        records: HashMap,
        matching: Matching,
        newest_first: bool,
        journal: ChangeJournal | None = None,
        server_id: int = 0,
    ) -> None:
        self._records = records
        self._matching = matching
        self._newest_first = newest_first
        self._journal = journal
        self._server_id = server_id
        self._tables: dict[bytes, LocationStore] = {}
        self._memory: dict[bytes, LocationStore] = {}
        self._ruid_prefix = b""
        self._ruids = 0

    def start_process(self, shared: bool = False) -> None:
        """Name the contacts of this process; to be called after the fork.

        Where other servers have contacts in the same place (`shared`), one that started in the same
        second may have a process of the same number: a random part is added to it.
        """
        server = b"%d-" % self._server_id if self._server_id else b""
        process = os.getpid()
        if shared:
            process += int.from_bytes(os.urandom(4), "big") << _PROCESS_BITS
        self._ruid_prefix = b"uloc-%b%x-%x-" % (server, int(time.time()), process)

    def table(self, name: bytes) -> LocationStore:
        """Return the table of a name; it is made, for all processes, when it is new."""
        table = self._tables.get(name)
        if table is None:
            table = self._memory[name] = LocationStore(self._records, name)
            if self._journal is not None:
                table = JournaledStore(self._records, name, self._journal)
            self._records.update(_TABLES, _with(name))
            self._tables[name] = table
        return table

    def memory(self, name: bytes) -> LocationStore:
        """Return the table of a name without its journal: what changes there is not written."""
        self.table(name)
        return self._memory[name]

    def names(self) -> list[bytes]:
        """Return the names of all tables that any process has used."""
        value = self._records.get(_TABLES)
        return sorted(msgpack.unpackb(value)) if value is not None else []

    def next_ruid(self) -> bytes:
        """Return an identifier for a contact that no other contact has."""
        self._ruids += 1
        return b"%b%x" % (self._ruid_prefix, self._ruids)

    def matching(
        self,
        bindings: list[Binding],
        contact: bytes,
        call_id: bytes,
        path: bytes,
        instance: bytes = b"",
        reg_id: int = 0,
    ) -> int:
        """Return the position of the binding that such a contact updates, -1 when it is new.

        An instance is known by its name and flow, wherever it is (RFC 5626 6); what has another
        name is another contact.
        """
        if instance:
            for position, old in enumerate(bindings):
                if old.instance == instance and old.reg_id == reg_id:
                    return position
        mode = self._matching
        for position, old in enumerate(bindings):
            if instance and old.instance:
                continue
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

    def bring_into_order(self, bindings: list[Binding]) -> None:
        """Order contacts as `place` does."""
        if self._newest_first:
            bindings.sort(key=_age)
        else:
            bindings.sort(key=_rank)

    def total(self) -> LocationCounts:
        """Count users and contacts of all tables, at no cost."""
        others = self._records.get(_TABLES) is not None
        return LocationCounts(len(self._records) - others, self._records.weight())

    def counts(self) -> dict[str, LocationCounts]:
        """Count users and contacts of each table: a single one at no cost, several slowly."""
        names = self.names()
        if len(names) == 1:
            return {names[0].decode("utf-8", "replace"): self.total()}
        return {name.decode("utf-8", "replace"): self.table(name).counts() for name in names}


def _with(name: bytes) -> Callable[[bytes | None, int], Change]:
    def change(value: bytes | None, _: int) -> Change:
        names: list[bytes] = msgpack.unpackb(value) if value is not None else []
        return KEEP if name in names else (msgpack.packb([*names, name]), 0)

    return change


def _rank(binding: Binding) -> int:
    return -binding.q


def _age(binding: Binding) -> float:
    return -binding.last_modified
