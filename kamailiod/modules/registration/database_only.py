"""Location tables that are nowhere but in a database (db_mode 3).

Owns reading and writing a user's contacts there; statements and columns are in location_rows.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kamailiod.modules.registration.location_rows import LocationRows
from kamailiod.modules.registration.stored_locations import Fetched
from kamailiod.script.database import Database, Outcome, Parameters, Row
from shm import Binding

T = TypeVar("T")


class DatabaseLocations:
    """All location tables of a database; each call reads or writes there.

    `order` brings a user's contacts into the order in which they are tried.
    """

    def __init__(
        self, rows: LocationRows, database: Database, order: Callable[[list[Binding]], None]
    ) -> None:
        self._rows = rows
        self._database = database
        self._order = order

    def read_at_once(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return a user's contacts, expired ones included; None when that must be awaited."""
        statement = self._rows.of_user(table.decode())
        parameters = self._rows.user_parameters(aor)
        return self._bindings(self._database.fetch_at_once(statement, parameters))

    async def read(self, table: bytes, aor: bytes) -> list[Binding] | None:
        """Return a user's contacts, expired ones included; None when the database failed."""
        statement = self._rows.of_user(table.decode())
        parameters = self._rows.user_parameters(aor)
        return self._bindings(await self._database.fetch(statement, parameters))

    async def of_ruid(self, table: bytes, ruid: bytes) -> tuple[bytes, Binding] | None:
        """Return user and contact of a ruid; None when there is none."""
        statement = self._rows.of_ruid(table.decode())
        rows = await self._database.fetch(statement, {"ruid": ruid.decode("utf-8", "replace")})
        return (self._rows.aor(rows[0]), self._rows.binding(rows[0])) if rows else None

    async def all(self, table: bytes) -> list[tuple[bytes, list[Binding]]] | None:
        """Return all users with their contacts; None when the database failed."""
        rows = await self._database.fetch(self._rows.selection(table.decode()), {})
        if rows is None:
            return None
        found: dict[bytes, list[Binding]] = {}
        for row in rows:
            found.setdefault(self._rows.aor(row), []).append(self._rows.binding(row))
        for bindings in found.values():
            self._order(bindings)
        return list(found.items())

    async def update(self, table: bytes, aor: bytes, work: Callable[[Fetched], T]) -> T | None:
        """Have `work` change a user's contacts; returns what it returned, None when that failed."""
        bindings = await self.read(table, aor)
        if bindings is None:
            return None
        change = Fetched(bindings)
        result = work(change)
        return result if await self._write_change(table.decode(), aor, change) else None

    async def remove_expired(self, table: bytes, now: int) -> list[tuple[bytes, Binding]]:
        """Delete what expired by `now`, and give it."""
        name = table.decode()
        parameters = self._rows.expired_parameters(now)
        rows = await self._database.fetch(self._rows.expired(name), parameters)
        if rows:
            await self._database.execute(self._rows.deletion_of_expired(name), parameters)
        return [(self._rows.aor(row), self._rows.binding(row)) for row in rows or ()]

    async def _write_change(self, name: str, aor: bytes, change: Fetched) -> bool:
        if not change.is_changed:
            return True
        statements = self._rows
        gone = [{"ruid": binding.ruid.decode()} for binding in change.gone()]
        rows = [statements.values(aor, binding) for binding in change.put()]
        done = await self._write(statements.deletion(name), gone)
        if not statements.replaces:
            before = [statements.contact_parameters(row) for row in rows]
            done = done and await self._write(statements.deletion_of_contact(name), before)
        return done and await self._write(statements.insertion(name), rows)

    async def _write(self, statement: str, rows: Sequence[Parameters]) -> bool:
        return not rows or await self._database.write_many(statement, rows) is Outcome.WRITTEN

    def _bindings(self, rows: Sequence[Row] | None) -> list[Binding] | None:
        if rows is None:
            return None
        found = [self._rows.binding(row) for row in rows]
        if len(found) > 1:
            self._order(found)
        return found
