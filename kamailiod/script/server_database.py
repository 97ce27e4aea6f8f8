"""Database servers (MySQL, PostgreSQL) through SQLAlchemy's asyncio engines.

SQLAlchemy is loaded with the first statement, in a thread: it takes a good half second, which the
process must not stand still for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from kamailiod.script.database import (
    TIMEOUT,
    DatabaseOptions,
    DatabaseUrl,
    Health,
    Outcome,
    Parameters,
    QueryResult,
    Row,
)
from kamailiod.script.gate import Gate
from kamailiod.script.server_engine import load_drivers, make_engine
from kamailiod.script.server_errors import (
    failures,
    is_full,
    is_refusal,
    is_statement_fault,
    kind_of,
)
from kamailiod.script.server_query import run_on_mysql, run_on_postgres

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
_FULL_SECONDS = 1.0


class ServerDatabase:
    """One database of a server, with a bounded pool of connections that heals by itself.

    The pool is that of the process's own loop, which `home` gives; on another loop (scripts' waits
    in mod_init, blocking ones) each statement has a connection of its own.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        health: Health,
        home: Callable[[], asyncio.AbstractEventLoop | None],
        options: Callable[[], DatabaseOptions] = DatabaseOptions,
    ) -> None:
        self._url = url
        self._health = health
        self._home = home
        self._options = options
        self._engine: AsyncEngine | None = None
        self._gate = Gate(1)
        self._loading: asyncio.Future[None] | None = None

    def fetch_at_once(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return None: a server is always waited for."""
        return None

    async def fetch(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query; None when it failed or took longer than TIMEOUT."""
        return await self._guarded(lambda database: database._fetch(statement, parameters))

    async def execute(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement, return how many rows it changed; None when it failed."""
        return await self._guarded(lambda database: database._execute(statement, parameters))

    async def query(
        self, statement: str, values: Sequence[object] | None = None
    ) -> QueryResult | None:
        """Run and commit any statement as it is; None when it failed, was refused or too slow."""
        return await self._guarded(
            lambda database: database._query(statement, values), self._query_failed
        )

    async def write(self, statement: str, parameters: Parameters) -> Outcome:
        """Run and commit a statement; what became of it."""
        return await self._written(lambda database: database._execute(statement, parameters))

    async def write_many(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Run a statement with each of the rows, all or none; what became of it."""
        return await self._written(lambda database: database._execute_many(statement, rows))

    async def _written(self, work: Callable[[ServerDatabase], Awaitable[object]]) -> Outcome:
        outcome = Outcome.WRITTEN

        def failed(error: Exception) -> None:
            nonlocal outcome
            if is_refusal(error):
                self._health.refused(kind_of(error))
                outcome = Outcome.REFUSED
            else:
                self._health.bad(kind_of(error))
                outcome = Outcome.UNREACHABLE

        await self._guarded(work, failed)
        return outcome

    def fetch_blocking(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query over a connection of its own, with no loop of the process."""
        return self._run(lambda database: database.fetch(statement, parameters))

    def execute_blocking(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement over a connection of its own."""
        return self._run(lambda database: database.execute(statement, parameters))

    def write_blocking(self, statement: str, parameters: Parameters) -> Outcome:
        """Run and commit a statement over a connection of its own; what became of it."""
        return self._run(lambda database: database.write(statement, parameters))

    def write_many_blocking(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Do what `write_many` does over a connection of its own."""
        return self._run(lambda database: database.write_many(statement, rows))

    def _run(self, work: Callable[[ServerDatabase], Coroutine[object, object, T]]) -> T:
        async def alone() -> T:
            return await self._apart(work)

        # In a thread, as this one may run a loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, alone()).result()

    async def _apart(self, work: Callable[[ServerDatabase], Coroutine[object, object, T]]) -> T:
        loop = asyncio.get_running_loop()
        options = self._options()
        database = ServerDatabase(self._url, self._health, lambda: loop, lambda: options)
        try:
            return await work(database)
        finally:
            await database.close()

    async def close(self) -> None:
        """Close all connections; the next statement opens new ones."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _fetch(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        from sqlalchemy import text

        async with self._connected() as connection:
            result = await connection.execute(text(statement), dict(parameters))
            return [tuple(row) for row in result]

    async def _execute(self, statement: str, parameters: Parameters) -> int:
        from sqlalchemy import text

        async with self._connected() as connection:
            result = await connection.execute(text(statement), dict(parameters))
            return int(result.rowcount)

    async def _execute_many(self, statement: str, rows: Sequence[Parameters]) -> None:
        from sqlalchemy import text

        async with self._connected() as connection:
            transaction = await connection.execution_options(isolation_level="READ COMMITTED")
            async with transaction.begin():
                await transaction.execute(text(statement), [dict(row) for row in rows])

    async def _query(self, statement: str, values: Sequence[object] | None) -> QueryResult:
        run = run_on_mysql if self._url.scheme == "mysql" else run_on_postgres
        async with self._connected() as connection:
            return await run(connection, statement, values)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection; a server that is full is asked again, until the time-out."""
        engine = self._opened()
        async with self._gate:
            connection = await self._started(engine)
            try:
                yield connection
            finally:
                await connection.close()

    async def _started(self, engine: AsyncEngine) -> AsyncConnection:
        while True:
            try:
                return await engine.connect().start()
            except failures() as error:
                if not is_full(error):
                    raise
            self._gate.pause(_FULL_SECONDS)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _query_failed(self, error: Exception) -> None:
        if is_statement_fault(error):
            self._health.refused_statement(kind_of(error))
        else:
            self._health.bad(kind_of(error))

    def _failed(self, error: Exception) -> None:
        self._health.bad(kind_of(error))

    async def _guarded(
        self,
        work: Callable[[ServerDatabase], Awaitable[T]],
        failed: Callable[[Exception], None] | None = None,
    ) -> T | None:
        """Await work with the time-out; None after `failed` was told why."""
        if asyncio.get_running_loop() is not self._home():
            return await self._apart(lambda database: database._guarded(work, failed))
        await self._loaded()
        try:
            async with asyncio.timeout(self._seconds()):
                result = await work(self)
        except failures() as error:
            (failed or self._failed)(error)
            return None
        self._health.good()
        return result

    def _seconds(self) -> float:
        return self._options().timeout or TIMEOUT

    async def _loaded(self) -> None:
        if self._engine is None:
            if self._loading is None:
                loop = asyncio.get_running_loop()
                self._loading = loop.run_in_executor(None, load_drivers, self._url.scheme)
            await self._loading

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            options = self._options()
            self._engine = make_engine(self._url, options, self._seconds())
            self._gate = Gate(options.connections or 1)
        return self._engine
