"""What a process of the server is given: role, loop, timers, mailbox; knows no program."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from workers import signals
from workers.errors import NoEventLoop
from workers.mailbox import Mailbox
from workers.rank import Role
from workers.timers import TimerWheel

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# An orphan has no supervisor to kill it when its end takes too long.
_END_WITHIN = 3.0


class Process:
    """One process after the fork.

    `loop` and `timers` raise NoEventLoop in the supervisor, which only supervises.
    """

    __slots__ = ("_loop", "_timers", "mailbox", "role", "stopping")

    def __init__(self, role: Role, mailbox: Mailbox, loop: AbstractEventLoop | None) -> None:
        self.role = role
        self.mailbox = mailbox
        self.stopping = False
        self._loop = loop
        self._timers = None if loop is None else TimerWheel(loop.call_later)

    @property
    def loop(self) -> AbstractEventLoop:
        """The event loop, made after the fork."""
        if self._loop is None:
            raise NoEventLoop("the supervisor has no event loop")
        return self._loop

    @property
    def timers(self) -> TimerWheel:
        """The timers, driven by the loop."""
        if self._timers is None:
            raise NoEventLoop("the supervisor has no timers")
        return self._timers

    def run(self, report: Callable[[], None]) -> None:
        """Run the loop until TERM, INT or `stop()`; USR1 calls `report` on the loop."""
        loop = self.loop
        # uvloop forgets a signal that comes between add_signal_handler and its first turn.
        mask = signals.block()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, report)
        loop.call_soon(signals.restore, mask)
        loop.run_forever()

    def stop(self) -> None:
        """End `run()`; called on the loop. A second call does nothing."""
        if self.stopping:
            return
        self.stopping = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _END_WITHIN)
        self.loop.stop()
