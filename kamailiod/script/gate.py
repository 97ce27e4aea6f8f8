"""How many statements run at once: few, and more when they would have to wait for long.

Owns that number, by which a pool of connections grows; it must not know what a connection is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType

FIRST = 4
"""How many may run at once from the start."""

PATIENCE = 0.01
"""Seconds that the first in the queue waits before one more may run at once."""


class Gate:
    """Lets at most `most` through at once; whoever must wait has one more opened a time.

    A burst of short statements is thus done by few connections, and only those that take their
    time get many.  To be used on one loop, as `async with gate`.
    """

    def __init__(self, most: int) -> None:
        self._most = max(most, 1)
        self.width = min(FIRST, self._most)
        self._inside = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        if self._inside < self.width:
            self._inside += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        self._wait_for_more(PATIENCE)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._leave()

    def pause(self, seconds: float) -> None:
        """Open no more for a while: there are none to be had."""
        self.width = max(self.width - 1, min(FIRST, self._most))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._wait_for_more(seconds)

    def _leave(self) -> None:
        self._inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._inside < self.width:
            waiter = self._queue.popleft()
            if not waiter.done():
                self._inside += 1
                waiter.set_result(None)

    def _wait_for_more(self, seconds: float) -> None:
        if self._timer is None and self.width < self._most:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._widen)

    def _widen(self) -> None:
        self._timer = None
        while self._queue and self._queue[0].done():
            self._queue.popleft()
        if self._queue and self.width < self._most:
            self.width += 1
            self._let_in()
            if self._queue:
                self._wait_for_more(PATIENCE)
