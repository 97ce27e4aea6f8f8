"""A question to a database table as script functions ask it: columns by the values of others.

Owns the statement and the choice between an answer at once and a wait; it knows no table's meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kamailiod.script.database import Database, DatabaseError, Row, identifier
from kamailiod.script.log import Log
from lua import Wait

Rows = Sequence[Row] | None
"""What a query gives: rows, or None when the database failed."""

_CACHED = 256


class TableQuery:
    """A query by the equality of `keys`; the table is named at each call, as scripts do.

    `origin` is the module that log lines name.  Raises DatabaseError for a bad column name.
    """

    __slots__ = ("_columns", "_condition", "_database", "_log", "_origin", "_statements")

    def __init__(
        self, database: Database, log: Log, origin: str, columns: Sequence[str], keys: Sequence[str]
    ) -> None:
        self._database = database
        self._log = log
        self._origin = origin
        self._columns = ", ".join(map(identifier, columns))
        equal = (f"{identifier(key)} = :k{number}" for number, key in enumerate(keys))
        self._condition = " AND ".join(equal)
        self._statements: dict[bytes, str] = {}

    def ask(
        self, table: bytes, values: Sequence[bytes], answer: Callable[[Rows], int]
    ) -> int | Wait:
        """Return answer(rows), or the wait for it; the values are those of the keys in order.

        A bad name of a table is a failed query.
        """
        statement = self._statements.get(table) or self._statement(table)
        if not statement:
            return answer(None)
        # What is no UTF-8 is in no table, and must raise nothing in a driver.
        given = {f"k{n}": value.decode("utf-8", "replace") for n, value in enumerate(values)}
        rows = self._database.fetch_at_once(statement, given)
        if rows is not None:
            return answer(rows)

        async def later() -> object:
            return answer(await self._database.fetch(statement, given))

        return Wait(later)

    def _statement(self, table: bytes) -> str:
        try:
            name = identifier(table.decode("utf-8", "replace"))
        except DatabaseError as error:
            self._log.error(self._origin, str(error))
            return ""
        statement = f"SELECT {self._columns} FROM {name} WHERE {self._condition}"
        if len(self._statements) >= _CACHED:
            self._statements.clear()
        self._statements[table] = statement
        return statement


def cell(value: object) -> bytes:
    """Return a value of a row as the octets of a script; NULL is empty."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()
