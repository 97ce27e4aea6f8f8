"""The database behind the location tables (db_mode 1, 2 and 4): read at the start, written later.

Owns what is read and written when, and what happens when the database is away; statements and
columns are in location_rows.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from kamailiod.modules.registration.location_rows import LocationRows, Values, in_slices
from kamailiod.modules.registration.locations import Locations
from kamailiod.script.database import Database, Outcome, Parameters
from shm import Binding, ChangeJournal, Entry

_SLICE = 4000


@dataclass(frozen=True, slots=True)
class Query:
    """A query to run; it is answered by rows, or None when it failed."""

    statement: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Write:
    """Rows to write at once; answered by an Outcome."""

    statement: str
    rows: Sequence[Parameters]


Steps = Generator[Query | Write, Any, bool]
"""Work with a database that is the same whether it may wait or must block."""


class Backing:
    """Brings location tables back and writes what the journal says has changed.

    A database that is away costs nothing: changes stay noted in shared memory, a table that could
    not be read is read later.  `accepts` says which stored contacts are wanted back.
    """

    def __init__(
        self,
        locations: Locations,
        journal: ChangeJournal | None,
        rows: LocationRows,
        database: Database,
        fetch_rows: int,
        accepts: Callable[[Binding], bool],
    ) -> None:
        self._locations = locations
        self._journal = journal
        self._rows = rows
        self._database = database
        self._fetch_rows = max(fetch_rows, 1)
        self._accepts = accepts
        self._loaded: set[bytes] = set()

    def load_blocking(self, table: bytes) -> bool:
        """Bring a table back in mod_init; False when the database is away."""
        return self._block(self._loading(table))

    def lacks(self, tables: Iterable[bytes]) -> bool:
        """Whether any of the tables has not been read yet."""
        return not self._loaded.issuperset(tables)

    def skip(self, table: bytes) -> None:
        """Take a table as it is: it is not to be read."""
        self._loaded.add(table)

    async def load_missing(self) -> None:
        """Bring the tables back that could not be read before, or are new."""
        for table in self._locations.names():
            if table not in self._loaded and not await self._await(self._loading(table)):
                return

    async def flush(self) -> bool:
        """Write all changes; False when the database is away."""
        return await self._await(self._flushing())

    def flush_blocking(self) -> bool:
        """Do what `flush` does when the server ends."""
        return self._block(self._flushing())

    async def remove_expired(self) -> None:
        """Delete the rows that have expired (db_timer_clean)."""
        parameters = self._rows.expired_parameters(int(time.time()))
        for table in self._locations.names():
            statement = self._rows.deletion_of_expired(table.decode())
            await self._database.execute(statement, parameters)

    def _loading(self, table: bytes) -> Steps:
        statement = self._rows.selection(table.decode(), limit=True)
        last: object = 0
        while True:
            rows = yield Query(statement, {"last": last, "count": self._fetch_rows})
            if rows is None:
                return False
            self._take(table, rows)
            if len(rows) < self._fetch_rows:
                self._loaded.add(table)
                return True
            last = rows[-1][0]

    def _take(self, table: bytes, rows: Iterable[tuple[object, ...]]) -> None:
        found: dict[bytes, list[Binding]] = {}
        binding_of, aor_of, accepts = self._rows.binding, self._rows.aor, self._accepts
        for row in rows:
            binding = binding_of(row)
            aor = aor_of(row)
            if accepts(binding):
                found.setdefault(aor, []).append(binding)
            elif self._journal is not None:
                self._journal.note(b"%b\0%b" % (table, aor), [binding.ruid])
        store = self._locations.memory(table)
        order = self._locations.bring_into_order
        for aor, bindings in found.items():
            store.add(aor, bindings, order)

    def _flushing(self) -> Steps:
        journal = self._journal
        if journal is None:
            return True
        if journal.take_overflow():
            done = yield from self._rewriting()
            if not done:
                journal.overflow()
                return False
        while True:
            entries = journal.entries(_SLICE)
            entries.sort()
            for table, group in groupby(entries, key=_table):
                changed = list(group)
                done = yield from self._writing(table, *self._changes(table, changed))
                if not done:
                    return False
                for entry in changed:
                    journal.settle(entry)
            if len(entries) < _SLICE:
                return True

    def _changes(self, table: bytes, entries: Iterable[Entry]) -> tuple[list[Values], list[str]]:
        store = self._locations.memory(table)
        rows: list[Values] = []
        gone: list[str] = []
        skip = len(table) + 1
        for entry in entries:
            aor = entry.key[skip:]
            bindings = store.bindings(aor, 0)
            rows += [self._rows.values(aor, binding) for binding in bindings]
            if entry.gone:
                kept = {binding.ruid for binding in bindings}
                gone += [ruid.decode() for ruid in entry.gone if ruid not in kept]
        return rows, gone

    def _rewriting(self) -> Steps:
        """Write everything: which changes there were is not known any more."""
        for table in self._locations.names():
            known: set[str] = set()
            items = self._locations.memory(table).items()
            while some := list(islice(items, _SLICE)):
                rows = [self._rows.values(aor, b) for aor, bindings in some for b in bindings]
                known.update(str(row["ruid"]) for row in rows)
                if not (yield from self._writing(table, rows, [])):
                    return False
            found = yield Query(self._rows.ruids(table.decode()), {})
            if found is None:
                return False
            gone = [str(row[0]) for row in found if str(row[0]) not in known]
            if not (yield from self._writing(table, [], gone)):
                return False
        return True

    def _writing(self, table: bytes, rows: list[Values], gone: list[str]) -> Steps:
        name = table.decode()
        statements = self._rows
        deleted: list[Mapping[str, object]] = [{"ruid": ruid} for ruid in gone]
        work: list[tuple[str, Sequence[Parameters]]] = [(statements.deletion(name), deleted)]
        for some in in_slices(rows, _SLICE):
            if not statements.replaces:
                before = [statements.contact_parameters(row) for row in some]
                work.append((statements.deletion_of_contact(name), before))
            work.append((statements.insertion(name), some))
        for statement, parameters in work:
            if parameters and not (yield from _written(statement, parameters)):
                return False
        return True

    def _block(self, steps: Steps) -> bool:
        database = self._database
        answer: object = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return bool(end.value)
            if isinstance(step, Query):
                answer = database.fetch_blocking(step.statement, step.parameters)
            else:
                answer = database.write_many_blocking(step.statement, step.rows)

    async def _await(self, steps: Steps) -> bool:
        database = self._database
        answer: object = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return bool(end.value)
            if isinstance(step, Query):
                answer = await database.fetch(step.statement, step.parameters)
            else:
                answer = await database.write_many(step.statement, step.rows)


def _written(statement: str, rows: Sequence[Parameters]) -> Steps:
    outcome = yield Write(statement, rows)
    if outcome is Outcome.REFUSED and len(rows) > 1:
        # One row is at fault: the others are written without it.
        for row in rows:
            outcome = yield Write(statement, (row,))
            if outcome is Outcome.UNREACHABLE:
                return False
    return outcome is not Outcome.UNREACHABLE


def _table(entry: Entry) -> bytes:
    return entry.key.partition(b"\0")[0]
