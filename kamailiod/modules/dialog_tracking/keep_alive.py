"""Asking the sides of calls by OPTIONS whether they are still there (properties ka-src, ka-dst).

Owns when a side is asked and how many answers may be missing; the deadline then ends the call.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.modules.dialog_tracking.attachment import KEEP_CALLEE_ALIVE, KEEP_CALLER_ALIVE
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.modules.dialog_tracking.requests import DialogRequests
from kamailiod.sip.dialog import State
from kamailiod.sip.message import SipMessage
from shm import Dialog, Direction

_LONGEST_WITHOUT = 10
_GONE = (408, 481)
_SIDES = ((KEEP_CALLER_ALIVE, Direction.UPSTREAM), (KEEP_CALLEE_ALIVE, Direction.DOWNSTREAM))
_ASKED = KEEP_CALLER_ALIVE | KEEP_CALLEE_ALIVE


class _Watch:
    """When a dialog is asked next, and how often each side has not answered."""

    __slots__ = ("due", "missed")

    def __init__(self, due: float) -> None:
        self.due = due
        self.missed = {Direction.UPSTREAM: 0, Direction.DOWNSTREAM: 0}


class KeepAlive:
    """Asks for the dialogs of one process, `interval` seconds apart; `clock` gives unix seconds."""

    def __init__(
        self, records: Records, requests: DialogRequests, interval: int, limit: int,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self._records = records
        self._requests = requests
        self._interval = interval
        self._limit = limit
        self._clock = clock
        self._watched: dict[tuple[int, int], _Watch] = {}

    def round(self) -> None:
        """Ask the sides of all dialogs that are due."""
        now = self._clock()
        before, self._watched = self._watched, {}
        for dialog in self._records.known():
            if not dialog.flags & _ASKED or dialog.state != State.CONFIRMED:
                continue
            numbers = (dialog.h_entry, dialog.h_id)
            watch = before.get(numbers) or _Watch(self._first(dialog, now))
            self._watched[numbers] = watch
            if now >= watch.due:
                watch.due = now + self._interval
                self._ask(dialog, watch)

    def _first(self, dialog: Dialog, now: float) -> float:
        # Of a dialog taken over from a dead process, many a due time has passed.
        return max(float(dialog.start_time + self._interval), now)

    def _ask(self, dialog: Dialog, watch: _Watch) -> None:
        for flag, direction in _SIDES:
            if dialog.flags & flag:
                self._requests.options(dialog, direction, self._hears(dialog, watch, direction))

    def _hears(
        self, dialog: Dialog, watch: _Watch, direction: Direction
    ) -> Callable[[int, SipMessage | None], None]:
        def answered(status: int, reply: SipMessage | None) -> None:
            del reply
            if status not in _GONE:
                watch.missed[direction] = 0
                return
            watch.missed[direction] += 1
            if watch.missed[direction] >= self._limit and dialog.state == State.CONFIRMED:
                dialog.expires = min(dialog.expires, int(self._clock()) + _LONGEST_WITHOUT)
                self._records.write(dialog)

        return answered
