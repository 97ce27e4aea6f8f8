"""What the parts of module htable share: the tables.

Owns the look-up by name; the functions, variables and commands are in the parts.
"""

from __future__ import annotations

from kamailiod.modules.hash_tables.table import HashTable
from kamailiod.modules.hash_tables.tables import HashTables
from kamailiod.script.module import Module
from kamailiod.script.services import Services


class TableModule(Module):
    """A module over hash tables."""

    def __init__(self, params: object, services: Services) -> None:
        super().__init__(params, services)
        self.tables = HashTables()

    def table(self, name: bytes) -> HashTable | None:
        """Return a table; None, and an error line, when there is none of this name."""
        found = self.tables.get(name)
        if found is None:
            self.services.log.error("htable", f"No such htable: {name!r}")
        return found
