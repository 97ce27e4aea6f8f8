"""Iterators over a table by name, as a script has them: they belong to its request.

Owns which value is the current one; it blocks nobody, and sees what is there when it comes by.
"""

from __future__ import annotations

from kamailiod.modules.hash_tables.table import HashTable
from kamailiod.script.context import Context
from shm.stores.htable import Value

_NOTE = "htable iterators"


class TableIterator:
    """One way through a table; there is no current value before the first and after the last."""

    __slots__ = ("_entries", "name", "table", "value")

    def __init__(self, table: HashTable) -> None:
        self.table = table
        self.name: bytes | None = None
        self.value: Value | None = None
        self._entries = table.items()

    def next(self) -> bool:
        """Go to the next value; False after the last one."""
        self.name, self.value = next(self._entries, (None, None))
        return self.name is not None

    def set(self, value: Value) -> bool:
        """Change the current value; False without one, or without room."""
        if self.name is None or not self.table.set(self.name, value):
            return False
        self.value = value
        return True


def iterators(context: Context) -> dict[bytes, TableIterator]:
    """Return the iterators of a request by name."""
    found = context.shared.notes.setdefault(_NOTE, {})
    assert isinstance(found, dict)
    return found
