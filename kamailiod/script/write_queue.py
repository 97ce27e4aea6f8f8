"""Rows that must reach a database, also one that is away for a while: a queue of one process.

Owns their order, their bound and when a write is tried again; it must not know what they say.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import AbstractEventLoop, Task
from collections import deque
from collections.abc import Callable
from itertools import islice, takewhile
from typing import NamedTuple, cast

from kamailiod.script.database import Database, Outcome, Parameters
from shm import Spool

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_LAST_PAUSE = 0.1
_ROWS_AT_ONCE = 50


class _Row(NamedTuple):
    statement: str
    parameters: Parameters
    key: bytes


class WriteQueue:
    """Writes rows in their order, each until the database has taken or refused it.

    At most `limit` rows wait.  `lost` is called once for each row that will never be written: put
    into a full queue, refused for what it holds, or left when the process ends.  Without a loop
    (before `start`) rows only gather; to be used in one process.

    With a `spool` the rows survive the process, and what a killed one left is taken over.  Nobody
    knows how far the last of them came: a row may have a statement of its own for that case.  Rows
    that may come late wait `gather` seconds for others like them, which makes each cheaper.
    """

    __slots__ = (
        "_database", "_gather", "_limit", "_loop", "_lost", "_one_by_one", "_rows", "_spool",
        "_task", "_writing",
    )  # fmt: skip

    def __init__(
        self,
        database: Database,
        limit: int,
        lost: Callable[[], object],
        spool: Spool | None = None,
        gather: float = 0.0,
    ) -> None:
        self._gather = gather
        self._database = database
        self._limit = limit
        self._lost = lost
        self._spool = spool
        self._rows: deque[_Row] = deque()
        self._one_by_one = 0
        self._loop: AbstractEventLoop | None = None
        self._task: Task[None] | None = None
        self._writing = False
        if spool is not None:
            for key, row in spool.left():
                self._rows.append(_Row(*cast(tuple[str, Parameters], row), key))

    @property
    def pending(self) -> int:
        """How many rows are not written yet, with those that are being written."""
        return len(self._rows)

    def put(self, statement: str, parameters: Parameters, in_doubt: str = "") -> bool:
        """Queue one row; False when the queue is full, the row is then lost.

        `in_doubt` is the statement that writes the row unless it is there, for who takes it over.
        """
        if len(self._rows) >= self._limit:
            self._lost()
            return False
        key = b"" if self._spool is None else self._spool.add((in_doubt or statement, parameters))
        self._rows.append(_Row(statement, parameters, key))
        self._wake()
        return True

    def start(self, loop: AbstractEventLoop) -> None:
        """Write by this loop from now on; a second call does nothing."""
        if self._loop is None:
            self._loop = loop
            self._wake()

    def drain_blocking(self, seconds: float) -> bool:
        """Write what is left within some seconds, when the loop has ended; whether all is."""
        deadline = time.monotonic() + seconds
        self._end_task(seconds)
        while self._rows and time.monotonic() < deadline:
            rows = self._next_rows()
            values = [row.parameters for row in rows]
            outcome = self._database.write_many_blocking(rows[0].statement, values)
            if not self._settle(outcome, len(rows)):
                time.sleep(_LAST_PAUSE)
        complete = not self._rows
        while self._rows:
            self._rows.popleft()
            self._lost()
        return complete

    def _end_task(self, seconds: float) -> None:
        task, loop, self._task, self._loop = self._task, self._loop, None, None
        if task is None or loop is None or loop.is_closed():
            return
        if not self._writing:
            task.cancel()
        # Written a second time, rows under way would be there twice.
        loop.run_until_complete(asyncio.wait((task,), timeout=seconds))
        task.cancel()

    def _wake(self) -> None:
        if self._task is None and self._rows and self._loop is not None:
            self._task = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            pause = _FIRST_PAUSE
            if self._gather:
                await asyncio.sleep(self._gather)
            while self._rows and self._loop is not None:
                if await self._write_some():
                    pause = _FIRST_PAUSE
                elif self._loop is not None:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            self._task = None

    async def _write_some(self) -> bool:
        rows = self._next_rows()
        self._writing = True
        try:
            if len(rows) == 1:
                outcome = await self._database.write(rows[0].statement, rows[0].parameters)
            else:
                values = [row.parameters for row in rows]
                outcome = await self._database.write_many(rows[0].statement, values)
        finally:
            self._writing = False
        return self._settle(outcome, len(rows))

    def _next_rows(self) -> list[_Row]:
        """Return the first rows that one statement writes; after a refusal one by one."""
        if self._one_by_one:
            return [self._rows[0]]
        statement = self._rows[0].statement
        alike = takewhile(lambda row: row.statement == statement, self._rows)
        return list(islice(alike, _ROWS_AT_ONCE))

    def _settle(self, outcome: Outcome, count: int) -> bool:
        if outcome is Outcome.UNREACHABLE:
            return False
        if outcome is Outcome.REFUSED and count > 1:
            # All or none were written: find out which of them it was.
            self._one_by_one = count
            return True
        for _ in range(count):
            row = self._rows.popleft()
            if row.key and self._spool is not None:
                self._spool.remove(row.key)
        self._one_by_one = max(0, self._one_by_one - count)
        if outcome is Outcome.REFUSED:
            self._lost()
        return True
