"""The table of destinations in a database.

Owns the statement on it and its layout; what the columns mean is destination.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

from kamailiod.modules.dispatching.destination import Entry, is_destination
from kamailiod.modules.dispatching.params import DispatcherParams
from kamailiod.script.database import Database, Row, identifier


class DestinationTable:
    """Reads all destinations of one table; None of its answers means that the database failed."""

    def __init__(self, database: Database, params: DispatcherParams) -> None:
        self._database = database
        self._extra = _extra_attributes(params.ds_db_extra_attrs)
        columns = [
            params.setid_col, params.destination_col, params.flags_col, params.priority_col,
            params.attrs_col, *(column for _, column in self._extra),
        ]  # fmt: skip
        wanted = ", ".join(map(identifier, columns))
        self._statement = f"SELECT {wanted} FROM {identifier(params.table_name)}"
        # Without an order each database would give another list.
        self._statement += f" ORDER BY {identifier(params.setid_col)}, id"

    def read_blocking(self) -> tuple[list[Entry], list[str]] | None:
        """Read the table where nothing may wait."""
        return self._entries(self._database.fetch_blocking(self._statement, {}))

    async def read(self) -> tuple[list[Entry], list[str]] | None:
        """Read the table; returns its entries and what is wrong with the rows left out."""
        return self._entries(await self._database.fetch(self._statement, {}))

    def _entries(self, rows: Sequence[Row] | None) -> tuple[list[Entry], list[str]] | None:
        if rows is None:
            return None
        entries, faults = [], []
        for row in rows:
            entry = self._entry(row)
            if entry is not None:
                entries.append(entry)
            else:
                faults.append(f"not a destination in the table: {row[0]} {row[1]}")
        return entries, faults

    def _entry(self, row: Row) -> Entry | None:
        uri = _bytes(row[1]).strip()
        if not is_destination(uri):
            return None
        attributes = _bytes(row[4])
        added = [
            b"%s=%s" % (name.encode(), _bytes(value))
            for (name, _), value in zip(self._extra, row[5:], strict=True)
            if value is not None and value != ""
        ]
        if added:
            attributes = b";".join([*([attributes.rstrip(b";")] if attributes else []), *added])
        return Entry(_int(row[0]), uri, _int(row[2]), _int(row[3]), attributes)


def _extra_attributes(text: str) -> list[tuple[str, str]]:
    pairs = []
    for item in text.split(";"):
        name, _, column = (part.strip() for part in item.partition("="))
        if name:
            pairs.append((name, column or name))
    return pairs


def _int(value: object) -> int:
    return int(str(value)) if value is not None else 0


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()
