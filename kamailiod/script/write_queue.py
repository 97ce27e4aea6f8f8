"""Rows that must reach a database, also one that is away for a while: a queue of one process.

Owns their order, their bound and when a write is tried again; it must not know what they say.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import AbstractEventLoop, Task
from collections import deque
from collections.abc import Callable

from kamailiod.script.database import Database, Outcome, Parameters

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_LAST_PAUSE = 0.1


class WriteQueue:
    """Writes rows in their order, each until the database has taken or refused it.

    At most `limit` rows wait.  `lost` is called once for each row that will never be written: put
    into a full queue, refused for what it holds, or left when the process ends.  Without a loop
    (before `start`) rows only gather; to be used in one process.
    """

    __slots__ = ("_database", "_limit", "_loop", "_lost", "_rows", "_task", "_writing")

    def __init__(self, database: Database, limit: int, lost: Callable[[], object]) -> None:
        self._database = database
        self._limit = limit
        self._lost = lost
        self._rows: deque[tuple[str, Parameters]] = deque()
        self._loop: AbstractEventLoop | None = None
        self._task: Task[None] | None = None
        self._writing = False

    @property
    def pending(self) -> int:
        """How many rows are not written yet, with the one that is being written."""
        return len(self._rows)

    def put(self, statement: str, parameters: Parameters) -> bool:
        """Queue one row; False when the queue is full, the row is then lost."""
        if len(self._rows) >= self._limit:
            self._lost()
            return False
        self._rows.append((statement, parameters))
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
            if not self._settle(self._database.write_blocking(*self._rows[0])):
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
        if self._writing:
            # Written a second time, the row under way would be there twice.
            loop.run_until_complete(asyncio.wait((task,), timeout=seconds))
        task.cancel()

    def _wake(self) -> None:
        if self._task is None and self._rows and self._loop is not None:
            self._task = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        pause = _FIRST_PAUSE
        while self._rows and self._loop is not None:
            self._writing = True
            outcome = await self._database.write(*self._rows[0])
            self._writing = False
            if self._settle(outcome):
                pause = _FIRST_PAUSE
            elif self._loop is not None:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._task = None

    def _settle(self, outcome: Outcome) -> bool:
        if outcome is Outcome.UNREACHABLE:
            return False
        self._rows.popleft()
        if outcome is Outcome.REFUSED:
            self._lost()
        return True
