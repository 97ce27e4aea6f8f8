"""Queries that nobody waits for: run one after the other in the background of a process.

Owns their order and bound; a query that fails is lost, as the log says.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from collections import deque

from kamailiod.script.database import Database


class QueryQueue:
    """Runs queries in their order; at most `limit` wait. To be used in one process."""

    __slots__ = ("_database", "_limit", "_loop", "_task", "_waiting")

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._loop: AbstractEventLoop | None = None
        self._task: Task[None] | None = None
        self._waiting: deque[str] = deque()

    def start(self, loop: AbstractEventLoop) -> None:
        """Run on this loop from now on."""
        self._loop = loop

    @property
    def started(self) -> bool:
        """Whether there is a background to run in."""
        return self._loop is not None

    def put(self, statement: bytes) -> bool:
        """Queue a statement; False when too many wait."""
        if self._loop is None or len(self._waiting) >= self._limit:
            return False
        self._waiting.append(statement.decode("utf-8", "replace"))
        if self._task is None:
            self._task = self._loop.create_task(self._run())
        return True

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._database.query(self._waiting[0])
                self._waiting.popleft()
        finally:
            self._task = None

    def finish(self, seconds: float) -> int:
        """Run what is left when the loop has ended, for so long; returns how many are lost."""
        task, loop = self._task, self._loop
        if task is not None and loop is not None and not loop.is_closed():
            loop.run_until_complete(asyncio.wait((task,), timeout=seconds))
            task.cancel()
        return len(self._waiting)
