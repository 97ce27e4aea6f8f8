"""Reading tables from a database and writing them back, at the start and end and by command.

Owns the order of statements and what is logged; the rows are of table_rows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time

from kamailiod.modules.hash_tables.table import HashTable
from kamailiod.modules.hash_tables.table_rows import Columns, RowError, TableRows
from kamailiod.script.database import Database, Row


class TableDatabase:
    """The tables of a database; what goes wrong is False and a line of the log."""

    def __init__(
        self, database: Database, columns: Columns, error: Callable[[str], object]
    ) -> None:
        self._database = database
        self._columns = columns
        self._error = error

    def check(self, table: HashTable) -> None:
        """Raise DatabaseError when a table or column has a name that cannot be one."""
        TableRows(table.definition, self._columns)

    def load_at_start(self, table: HashTable) -> bool:
        """Read a table, blocking."""
        rows = TableRows(table.definition, self._columns)
        return self._take(table, rows, self._database.fetch_blocking(rows.select(), {}))

    async def reload(self, table: HashTable) -> bool:
        """Read a table anew; what is no longer in the database goes."""
        rows = TableRows(table.definition, self._columns)
        return self._take(table, rows, await self._database.fetch(rows.select(), {}))

    def save_at_end(self, table: HashTable) -> bool:
        """Write a table for all rows there are, blocking."""
        rows = TableRows(table.definition, self._columns)
        statements = [rows.delete(), *rows.inserts(table.entries())]
        for statement, parameters in statements:
            if self._database.execute_blocking(statement, parameters) is None:
                return self._failed(table, "cannot be saved")
        return True

    async def store(self, table: HashTable) -> bool:
        """Add what a table holds to the rows there are."""
        rows = TableRows(table.definition, self._columns)
        for statement, parameters in rows.inserts(table.entries()):
            if await self._database.execute(statement, parameters) is None:
                return self._failed(table, "cannot be saved")
        return True

    def can_be_saved(self, table: HashTable) -> bool:
        """Whether a table can be written back."""
        return TableRows(table.definition, self._columns).can_be_saved

    def _take(self, table: HashTable, rows: TableRows, found: Sequence[Row] | None) -> bool:
        if found is None:
            return self._failed(table, "cannot be loaded")
        try:
            values = rows.values(found, int(time()))
        except RowError as error:
            return self._failed(table, f"cannot be loaded: {error}")
        if not table.replace(values):
            return self._failed(table, "is loaded in part: no shared memory left")
        return True

    def _failed(self, table: HashTable, what: str) -> bool:
        self._error(f"table {table.name.decode()} {what}")
        return False
