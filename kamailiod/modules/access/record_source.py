"""Where the records of a table come from: a file or a database, read at the start or on demand.

Owns reading only; a record's meaning is its table's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kamailiod.modules.access.address_file import read_addresses
from kamailiod.modules.access.address_table import AddressRecord
from kamailiod.modules.access.errors import TableError
from kamailiod.script.database import Database, Row, identifier

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class RecordSource(Protocol[R_co]):
    """Gives all records, None when they cannot be had now; raises TableError for a bad one."""

    def read_blocking(self) -> Sequence[R_co] | None:
        """Read where nothing may wait: in mod_init."""

    async def read(self) -> Sequence[R_co] | None:
        """Read without blocking for long."""


class AddressFile:
    """The records of an address file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read_blocking(self) -> Sequence[AddressRecord]:
        """Read the file."""
        try:
            lines = Path(self._path).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            raise TableError(f"{self._path}: {error.strerror}") from error
        return list(read_addresses(lines, self._path))

    async def read(self) -> Sequence[AddressRecord]:
        """Read the file."""
        return self.read_blocking()


class DatabaseTable(Generic[R]):
    """The records of a table of a database; `make` makes one of a row."""

    def __init__(
        self, database: Database, table: str, columns: Sequence[str], make: Callable[[Row], R]
    ) -> None:
        names = ", ".join(map(identifier, columns))
        self._statement = f"SELECT {names} FROM {identifier(table)}"
        self._database = database
        self._make = make

    def read_blocking(self) -> Sequence[R] | None:
        """Read the table, blocking."""
        rows = self._database.fetch_blocking(self._statement, {})
        return None if rows is None else list(map(self._make, rows))

    async def read(self) -> Sequence[R] | None:
        """Read the table."""
        rows = await self._database.fetch(self._statement, {})
        return None if rows is None else list(map(self._make, rows))


def address_record(row: Row) -> AddressRecord:
    """Return the record of a row: group, address, mask, port, tag."""
    group, address, mask, port, tag = row
    if not isinstance(address, str) or not address:
        raise TableError(f"address {address!r} is no text")
    if not isinstance(group, int) or not isinstance(mask, int) or not isinstance(port, int):
        raise TableError(f"{address}: group, mask or port is no number")
    return AddressRecord(group, address, mask, port, None if tag is None else str(tag))
