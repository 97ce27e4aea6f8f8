"""Databases by the names that scripts have for them.

Owns the form `name=>url` of modparam sqlcon; it must not know results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from kamailiod.modules.sql_operations.query_queue import QueryQueue
from kamailiod.script.database import Database, DatabaseError, QueryResult

QUEUED = 10_000
"""How many queries in the background a process keeps for one connection."""


class Connection:
    """One named database, and what waits to be run on it in the background."""

    __slots__ = ("_database", "name", "queue")

    def __init__(self, name: str, database: Database) -> None:
        self.name = name
        self._database = database
        self.queue = QueryQueue(database, QUEUED)

    async def query(
        self, statement: bytes, values: Sequence[object] | None = None
    ) -> QueryResult | None:
        """Run a statement; None when it failed."""
        # What is no UTF-8 is no SQL either, and must raise nothing in a driver.
        return await self._database.query(statement.decode("utf-8", "replace"), values)


def connections(
    definitions: Iterable[str], database: Callable[[str], Database]
) -> dict[bytes, Connection]:
    """Return the connections of modparam sqlcon by name; raises ValueError."""
    made = {}
    for text in definitions:
        name, arrow, url = (part.strip() for part in text.partition("=>"))
        if not name or not arrow or not url:
            # Not the text itself: it may hold a password.
            raise ValueError('sqlops: a sqlcon is not "name=>url"')
        try:
            made[name.encode()] = Connection(name, database(url))
        except DatabaseError as error:
            raise ValueError(f"sqlops: connection {name}: {error}") from None
    return made
