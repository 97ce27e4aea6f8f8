"""How many dialogs this process has ringing and answered, as gauges that all processes' sum up.

Owns the two numbers; what a state means is sip/dialog.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.sip.dialog import State

ACTIVE = "dialog:active_dialogs"
EARLY = "dialog:early_dialogs"

_ANSWERED = (State.UNACKNOWLEDGED, State.CONFIRMED)


class Tally:
    """Counts dialogs by what they move between.

    A gauge starts at 0 with its process and never goes below: a dialog that another process
    counted before a restart ends uncounted here.
    """

    __slots__ = ("_active", "_active_gauge", "_early", "_early_gauge")

    def __init__(self, counter: Callable[[str], Callable[..., object]]) -> None:
        self._active = 0
        self._early = 0
        self._active_gauge = counter(ACTIVE)
        self._early_gauge = counter(EARLY)

    def moved(self, before: int, after: int) -> None:
        """Count a dialog that went from one state (0: none) to another."""
        early = (after == State.EARLY) - (before == State.EARLY)
        active = (after in _ANSWERED) - (before in _ANSWERED)
        if early and self._early + early >= 0:
            self._early += early
            self._early_gauge(early)
        if active and self._active + active >= 0:
            self._active += active
            self._active_gauge(active)
