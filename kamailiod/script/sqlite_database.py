"""SQLite files: reads at once from the page cache, writes in a thread.

A look-up by an index takes some microseconds here, less than handing it to another thread; what
would wait for a lock is tried again later instead of blocking the process.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from kamailiod.script.database import TIMEOUT, Health, Outcome, Parameters, QueryResult, Row
from kamailiod.script.sqlite_queries import SqliteQueries

_AGAIN_SECONDS = 0.02
_LOOK_SECONDS = 1.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSALS = (
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_RANGE,
    # The statement itself: a table or column that is not there.
    sqlite3.SQLITE_ERROR,
)


class SqliteDatabase:
    """One SQLite file, opened when first used, and again within a second of being replaced."""

    def __init__(self, path: str, health: Health) -> None:
        self._path = path
        self._health = health
        self._reader: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._look_again = 0.0
        self._queries = SqliteQueries(path)

    def fetch_at_once(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query; None when the file is locked or broken just now."""
        try:
            rows: list[Row] = self._connection().execute(statement, parameters).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return None
        self._health.good()
        return rows

    async def fetch(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query, waiting for locks up to TIMEOUT; None when it failed."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                rows: list[Row] = self._connection().execute(statement, parameters).fetchall()
                self._health.good()
                return rows
            except (sqlite3.Error, OSError) as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    self._failed(error)
                    self._health.bad(str(error))
                    return None
            await asyncio.sleep(_AGAIN_SECONDS)

    async def execute(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement in a thread; how many rows changed, None when it failed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.execute_blocking, statement, parameters)

    def execute_blocking(self, statement: str, parameters: Parameters) -> int | None:
        """Run and commit a statement, blocking for up to TIMEOUT; may be called in any thread."""
        try:
            changed = self._change(statement, parameters)
        except sqlite3.Error as error:
            self._health.bad(str(error))
            return None
        self._health.good()
        return changed

    async def write(self, statement: str, parameters: Parameters) -> Outcome:
        """Run and commit a statement in a thread; what became of it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.write_blocking, statement, parameters)

    async def write_many(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Run a statement with each of the rows in a thread, all or none; what became of it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.write_many_blocking, statement, rows)

    async def query(
        self, statement: str, values: Sequence[object] | None = None
    ) -> QueryResult | None:
        """Run and commit any statement in a thread, for up to TIMEOUT; None when it failed."""
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(
                None, self._queries.run, statement, values, TIMEOUT
            )
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            self._query_failed(error)
            return None
        self._health.good()
        return result

    def _query_failed(self, error: Exception) -> None:
        if _error_code(error) == sqlite3.SQLITE_INTERRUPT:
            self._health.too_slow(TIMEOUT)
        elif isinstance(error, OSError) or _is_away(error):
            self._health.bad(_one_line(error))
        else:
            self._health.refused_statement(_one_line(error))

    def write_blocking(self, statement: str, parameters: Parameters) -> Outcome:
        """Run and commit a statement, blocking for up to TIMEOUT; may be called in any thread."""
        return self.write_many_blocking(statement, (parameters,))

    def write_many_blocking(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        """Do what `write_many` does, blocking; may be called in any thread."""
        try:
            connection = self._connect(TIMEOUT)
            try:
                with connection:
                    connection.executemany(statement, rows)
            finally:
                connection.close()
        except sqlite3.Error as error:
            if _is_refusal(error):
                self._health.refused(str(error))
                return Outcome.REFUSED
            self._health.bad(str(error))
            return Outcome.UNREACHABLE
        self._health.good()
        return Outcome.WRITTEN

    def _change(self, statement: str, parameters: Parameters) -> int:
        connection = self._connect(TIMEOUT)
        try:
            with connection:
                return connection.execute(statement, parameters).rowcount
        finally:
            connection.close()

    def fetch_blocking(self, statement: str, parameters: Parameters) -> Sequence[Row] | None:
        """Return the rows of a query, blocking for up to TIMEOUT; None when it failed."""
        try:
            connection = self._connect(TIMEOUT)
            try:
                rows: list[Row] = connection.execute(statement, parameters).fetchall()
            finally:
                connection.close()
        except sqlite3.Error as error:
            self._health.bad(str(error))
            return None
        self._health.good()
        return rows

    def _connection(self) -> sqlite3.Connection:
        now = time.monotonic()
        if self._reader is not None and now < self._look_again:
            return self._reader
        status = os.stat(self._path)
        file = (status.st_dev, status.st_ino)
        self._look_again = now + _LOOK_SECONDS
        if self._reader is None or file != self._file:
            self._close()
            self._reader = self._connect(0.0)
            self._file = file
        return self._reader

    def _connect(self, timeout: float) -> sqlite3.Connection:
        # Without mode=rw a missing file would be made, empty and readable for all.
        uri = Path(self._path).absolute().as_uri() + "?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=timeout)

    def _failed(self, error: Exception) -> None:
        if not _is_busy(error):
            self._close()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def create_file(path: str, statements: Sequence[str]) -> None:
    """Run statements in a SQLite file, made with its folder (0600, 0700) when it is absent.

    Meant for start-up: it blocks.  Raises OSError or sqlite3.Error.
    """
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, timeout=TIMEOUT)
    try:
        with connection:
            for statement in statements:
                connection.execute(statement)
    finally:
        connection.close()


def _is_busy(error: Exception) -> bool:
    return _error_code(error) in _BUSY


def _is_away(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and not _is_refusal(error)


def _error_code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _one_line(error: Exception) -> str:
    # SQLite quotes the statement, which may hold what a peer sent.
    return "".join(c if c.isprintable() else " " for c in str(error))[:200]


def _is_refusal(error: sqlite3.Error) -> bool:
    # What the binding itself cannot pass on, a type it does not know, has no code.
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in _REFUSALS
