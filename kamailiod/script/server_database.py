"""Database servers (MySQL, PostgreSQL) through SQLAlchemy's asyncio engines.

SQLAlchemy is loaded with the first statement, in a thread: it takes a good half second, which the
process must not stand still for.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from kamailiod.script.database import TIMEOUT, DatabaseUrl, Health, Outcome, Parameters, Row
from kamailiod.script.server_errors import failures, is_refusal, kind_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

_DRIVERS = {
    "mysql": "mysql+aiomysql",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_CONNECTIONS = 4
_RECYCLE_SECONDS = 1800


class ServerDatabase:
    """One database of a server, with a small pool of connections that heals by itself."""

    def __init__(self, url: DatabaseUrl, health: Health) -> None:
        self._url = url
        self._health = health
        self._engine: AsyncEngine | None = None
        self._loading: asyncio.Future[None] | None = None

    def fetch_at_once(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return None: a server is always waited for."""
        return None

    async def fetch(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query; None when it failed or took longer than TIMEOUT."""
        return await self._guarded(self._fetch(statement, parameters))

    async def execute(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement, return how many rows it changed; None when it failed."""
        return await self._guarded(self._execute(statement, parameters))

    async def write(self, statement: str, parameters: Parameters) -> Outcome:
        """Run and commit a statement; what became of it."""
        return await self._written(self._execute(statement, parameters))

    async def write_many(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Run a statement with each of the rows, all or none; what became of it."""
        return await self._written(self._execute_many(statement, rows))

    async def _written(self, work: Coroutine[object, object, object]) -> Outcome:
        await self._loaded()
        try:
            async with asyncio.timeout(TIMEOUT):
                await work
        except failures() as error:
            if is_refusal(error):
                self._health.refused(kind_of(error))
                return Outcome.REFUSED
            self._health.bad(kind_of(error))
            return Outcome.UNREACHABLE
        self._health.good()
        return Outcome.WRITTEN

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
            database = ServerDatabase(self._url, self._health)
            try:
                return await work(database)
            finally:
                await database.close()

        # In a thread, as this one may run a loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, alone()).result()

    async def close(self) -> None:
        """Close all connections; the next statement opens new ones."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _fetch(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        from sqlalchemy import text

        async with self._opened().connect() as connection:
            result = await connection.execute(text(statement), dict(parameters))
            return [tuple(row) for row in result]

    async def _execute(self, statement: str, parameters: Parameters) -> int:
        from sqlalchemy import text

        async with self._opened().connect() as connection:
            result = await connection.execute(text(statement), dict(parameters))
            return int(result.rowcount)

    async def _execute_many(self, statement: str, rows: Sequence[Parameters]) -> None:
        from sqlalchemy import text

        async with self._opened().connect() as connection:
            transaction = await connection.execution_options(isolation_level="READ COMMITTED")
            async with transaction.begin():
                await transaction.execute(text(statement), [dict(row) for row in rows])

    async def _guarded(self, work: Coroutine[object, object, T]) -> T | None:
        await self._loaded()
        try:
            async with asyncio.timeout(TIMEOUT):
                result = await work
        except failures() as error:
            self._health.bad(kind_of(error))
            return None
        self._health.good()
        return result

    async def _loaded(self) -> None:
        if self._engine is None:
            if self._loading is None:
                loop = asyncio.get_running_loop()
                self._loading = loop.run_in_executor(None, _load, self._url.scheme)
            await self._loading

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            from sqlalchemy import URL
            from sqlalchemy.ext.asyncio import create_async_engine

            url = self._url
            self._engine = create_async_engine(
                URL.create(
                    _DRIVERS[url.scheme],
                    url.user or None,
                    url.password or None,
                    url.host or None,
                    url.port,
                    url.name,
                ),
                pool_size=_CONNECTIONS,
                pool_timeout=TIMEOUT,
                pool_recycle=_RECYCLE_SECONDS,
                pool_pre_ping=True,
                # Each statement is a transaction: two messages less than BEGIN and COMMIT take.
                isolation_level="AUTOCOMMIT",
            )
        return self._engine


def _load(scheme: str) -> None:
    import sqlalchemy.ext.asyncio  # noqa: F401  # what is loaded is what the engine will need

    with contextlib.suppress(ImportError):
        importlib.import_module("aiomysql" if scheme == "mysql" else "asyncpg")
