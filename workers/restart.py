"""How long a process that died stays down; knows neither processes nor clocks."""

from __future__ import annotations

_FIRST = 0.1
_LONGEST = 5.0
_LIVED_WELL = 10.0


class RestartPause:
    """The pauses between a process's deaths and restarts: 0, 0.1, 0.2, 0.4 ... 5 seconds.

    A process that lived for ten seconds starts from the beginning again.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lived: float) -> float:
        """Return the pause, in seconds, after a life of so many seconds."""
        pause = 0.0 if lived >= _LIVED_WELL else self._next
        self._next = min(_LONGEST, pause * 2 or _FIRST)
        return pause
