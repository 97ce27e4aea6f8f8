"""Ending calls on our own account: at a deadline, for a script or RPC, and after a worker's death.

Owns what is sent and told then; following what the sides do is the tracker's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.attachment import BYE_ON_TIMEOUT, attachment
from kamailiod.modules.dialog_tracking.requests import DialogRequests
from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.script.log import WARNING
from kamailiod.sip.dialog import Event, State, next_state
from shm import Dialog, Direction

if TYPE_CHECKING:
    from kamailiod.script.services import Services

BOTH = (Direction.DOWNSTREAM, Direction.UPSTREAM)


class Endings:
    """Ends dialogs of this process; `answer_seconds` is how long an INVITE may go unanswered."""

    def __init__(
        self, services: Services, tracker: Tracker, requests: DialogRequests,
        answer_seconds: float,
    ) -> None:  # fmt: skip
        self._services = services
        self._tracker = tracker
        self._requests = requests
        self._answer_seconds = answer_seconds
        self.on_adopted: Callable[[Dialog], object] = lambda dialog: None
        services.on_worker("dialog.expire", self.expire)
        services.on_worker("dialog.terminate", self._terminate)
        services.on_worker("dialog.state", self._set_state)

    def terminate(
        self, dialog: Dialog, event: Event, towards: tuple[Direction, ...] = BOTH,
        headers: bytes = b"",
    ) -> bool:  # fmt: skip
        """End a dialog, with BYEs towards these sides when it was answered."""
        if dialog.owner != self._services.rank:
            sides = [int(side) for side in towards]
            return self._services.tell_worker(
                dialog.owner, "dialog.terminate", dialog.h_entry, dialog.h_id, sides, headers
            )
        was_answered = dialog.state >= State.UNACKNOWLEDGED
        context = self._services.faked_context()
        attachment(context).attach(dialog, None)
        if not self._tracker.end(context, dialog, event):
            return False
        if was_answered:
            for direction in towards:
                self._requests.bye(dialog, direction, headers)
        return True

    def _terminate(self, h_entry: int, h_id: int, sides: list[int], headers: bytes) -> None:
        dialog = self._tracker.records.get(h_entry, h_id)
        if dialog is not None:
            towards = tuple(Direction(side) for side in sides)
            self.terminate(dialog, Event.BYE, towards, headers)

    def _set_state(self, h_entry: int, h_id: int, state: int) -> None:
        tracker = self._tracker
        dialog = tracker.records.get(h_entry, h_id)
        if dialog is None:
            return
        if state == State.DELETED:
            tracker.forget(dialog)
            return
        tracker.tally.moved(dialog.state, state)
        dialog.state = state
        tracker.records.write(dialog)

    def expire(self, h_entry: int, h_id: int) -> None:
        """End a dialog whose deadline the timer process saw, unless it has been moved since."""
        tracker = self._tracker
        dialog = tracker.records.get(h_entry, h_id)
        if dialog is None:
            return
        if dialog.expires > tracker.clock():
            tracker.records.write(dialog)
            return
        self._services.log.line(
            WARNING,
            "dialog",
            f"dlg timeout - callid: '{dialog.call_id.decode('latin-1')}' tags:"
            f" '{dialog.from_tag.decode('latin-1')}' '{dialog.to_tag.decode('latin-1')}'"
            f" ostate: {int(dialog.state)}",
        )
        if dialog.toroute:
            self._run_route(dialog)
        never_acknowledged = dialog.state == State.UNACKNOWLEDGED
        with_bye = never_acknowledged or bool(dialog.flags & BYE_ON_TIMEOUT)
        if self.terminate(dialog, Event.TIMEOUT, BOTH if with_bye else ()):
            tracker.count_expired()

    def _run_route(self, dialog: Dialog) -> None:
        context = self._services.faked_context()
        attachment(context).attach(dialog, None)
        callback = self._tracker.params.event_callback
        if callback:
            self._services.script.call(context, callback.encode(), dialog.toroute)
        else:
            self._services.script.run_route(context, dialog.toroute)

    def adopt(self, rank: int) -> None:
        """Take over what a process of this rank left that died, or that was loaded at the start."""
        tracker = self._tracker
        tracker.profiles.store.forget(rank)
        for held in list(tracker.records.store.items()):
            if held.owner == rank:
                self.adopt_one(held.h_entry, held.h_id)

    def adopt_one(self, h_entry: int, h_id: int) -> None:
        """Take over one dialog.

        An ACK may have come in its process's last second, before it was written: a dialog that
        waits for one counts as acknowledged, so that no live call is ended for the lack of it. The
        transaction of a dialog in set-up died with its process: the INVITE may come again, or the
        ACK tell of an answer, within the time that an answer may take.
        """
        tracker = self._tracker
        dialog = tracker.records.get(h_entry, h_id)
        if dialog is None:
            return
        tracker.tally.moved(0, dialog.state)
        tracker.profiles.counted_anew(dialog)
        self.on_adopted(dialog)
        if dialog.state <= State.EARLY:
            tracker.orphans[dialog.call_id] = dialog
            latest = int(tracker.clock() + self._answer_seconds) + 1
            if dialog.expires > latest:
                dialog.expires = latest
                tracker.records.write(dialog)
            return
        state = next_state(dialog.state, Event.ACKNOWLEDGED)
        if state is not None:
            tracker.tally.moved(dialog.state, state)
            dialog.state = state
            dialog.expires = dialog.start_time + dialog.timeout
            tracker.records.write(dialog)
