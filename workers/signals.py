"""Signals as a queue that a poll can wait for; knows nothing of what they mean."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from types import FrameType

# Python's handlers are inherited over a fork, and the supervisor's pipe with them: a signal to a
# child that has not yet set its own must wait, or it would arrive in the supervisor's queue.
SUPERVISED = frozenset(
    {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD}
)


class SignalQueue:
    """Takes the signals given to `open` as they arrive; `drain` returns those that have come."""

    __slots__ = ("_reader", "_writer")

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def open(self, signals: Iterable[signal.Signals]) -> None:
        """Queue these signals from now on; only the main thread may ask for it."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _take)

    def fileno(self) -> int:
        """Return the descriptor that is readable while a signal is queued."""
        return self._reader

    def drain(self) -> list[int]:
        """Return the numbers of the queued signals, oldest first."""
        try:
            return list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Stop queueing: further signals are ignored."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def block() -> set[int | signal.Signals]:
    """Hold back the supervised signals; returns the mask to give to `restore`."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED)


def restore(mask: set[int | signal.Signals]) -> None:
    """Set the mask of held back signals; what was held back arrives now."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def reset() -> None:
    """Leave the queue of the parent, after a fork: TERM and INT end the process at once again."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED)


def _take(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the number is already in the pipe."""
