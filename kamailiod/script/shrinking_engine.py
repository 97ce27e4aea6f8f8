"""An engine whose connections, opened by a burst, are closed when nobody needs them any more.

Owns when that is; how a connection is opened is server_engine.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kamailiod.script.server_errors import failures

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

PERIOD = 30.0
"""Seconds for which connections must have been idle."""

IDLE = 4
"""How many idle ones are left alone."""

_LOOK_SECONDS = 0.05


class ShrinkingEngine:
    """Replaces its engine by an empty one when too many connections were idle for a period.

    A pool of SQLAlchemy's cannot give up some of its connections: a new one opens those that are
    needed, and the old one ends with its last statement.  To be used on one loop.
    """

    def __init__(self, make: Callable[[], AsyncEngine]) -> None:
        self._make = make
        self._engine = make()
        self._least = 0
        self._watcher: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def current(self) -> AsyncEngine:
        """Return the engine for a statement that is about to be run."""
        self._least = min(self._least, max(_pool(self._engine).checkedin() - 1, 0))
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return self._engine

    @property
    def open(self) -> int:
        """How many connections the engine of now has."""
        pool = _pool(self._engine)
        return int(pool.checkedin() + pool.checkedout())

    async def close(self) -> None:
        """Close all connections."""
        tasks = [*self._closing, *([self._watcher] if self._watcher is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._engine.dispose()

    async def _watch(self) -> None:
        try:
            while self.open > IDLE:
                self._least = _pool(self._engine).checkedin()
                await asyncio.sleep(PERIOD)
                if self._least > IDLE:
                    self._replace()
        finally:
            self._watcher = None

    def _replace(self) -> None:
        old, self._engine = self._engine, self._make()
        task = asyncio.get_running_loop().create_task(_end(old))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _end(engine: AsyncEngine) -> None:
    try:
        while _pool(engine).checkedout():
            await asyncio.sleep(_LOOK_SECONDS)
        await engine.dispose()
    except failures():
        # The server is away: its connections have ended by themselves.
        return


def _pool(engine: AsyncEngine) -> Any:
    return engine.pool
