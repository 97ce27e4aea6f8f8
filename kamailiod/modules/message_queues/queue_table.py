"""The rows of queues in a database: each queue has a table of its own name.

Owns the statements; when they run is the module's.
"""

from __future__ import annotations

from collections.abc import Iterable

from kamailiod.script.database import Database, identifier, parse_url
from kamailiod.script.table_query import cell


class QueueTable:
    """One queue's table, with the columns id, key and val; to be used where nothing may wait."""

    def __init__(self, database: Database, url: str, name: str) -> None:
        self._database = database
        quote = "`" if parse_url(url).scheme == "mysql" else '"'
        self._table = identifier(name)
        self._key, self._value = f"{quote}key{quote}", "val"

    def take_all(self) -> list[tuple[bytes, bytes]] | None:
        """Return and delete all rows, the oldest first; None when the database failed."""
        select = f"SELECT {self._key}, {self._value} FROM {self._table} ORDER BY id"
        found = self._database.fetch_blocking(select, {})
        if found is None:
            return None
        if found and self._database.execute_blocking(f"DELETE FROM {self._table}", {}) is None:
            return None
        return [(cell(key), cell(value)) for key, value in found]

    def add_all(self, items: Iterable[tuple[bytes, bytes]]) -> bool:
        """Write items as further rows; False when the database failed."""
        insert = f"INSERT INTO {self._table} ({self._key}, {self._value}) VALUES (:key, :value)"
        return all(
            self._database.execute_blocking(insert, {"key": _text(key), "value": _text(value)})
            is not None
            for key, value in items
        )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
