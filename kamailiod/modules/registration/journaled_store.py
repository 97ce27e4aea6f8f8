"""A location table whose changes are noted, for who writes them to a database later.

Owns which change is noted when; it must not know databases.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_

from shm import Binding, ChangeJournal, HashMap, LocationStore


class JournaledStore(LocationStore):
    """A location table that notes each address-of-record it changes before it changes it.

    A process killed between the two leaves a note too many, never one too few.
    """

    __slots__ = ("_journal",)

    def __init__(self, records: HashMap, table: bytes, journal: ChangeJournal) -> None:
        super().__init__(records, table)
        self._journal = journal

    def update(self, aor: bytes, function: Callable[[list[Binding]], list[Binding]]) -> bool:
        """Do what LocationStore does; a change is noted, with the ruids of what it removes."""

        def noted(old: list[Binding]) -> list[Binding]:
            before = tuple(old)
            new = function(old)
            if len(new) == len(before) and all(map(is_, new, before)):
                return new
            kept = {binding.ruid for binding in new}
            gone = [binding.ruid for binding in before if binding.ruid not in kept]
            self._journal.note(self._prefix + aor, gone)
            return new

        return super().update(aor, noted)

    def remove(self, aor: bytes) -> bool:
        """Remove an address-of-record with all its bindings; False when it is not there."""
        found = False

        def none(old: list[Binding]) -> list[Binding]:
            nonlocal found
            found = bool(old)
            return []

        self.update(aor, none)
        return found
