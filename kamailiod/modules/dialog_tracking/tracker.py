"""Following calls: from the INVITE's transaction and requests within to states, events and BYEs.

Owns when a dialog begins, changes and ends; sip/dialog.py says what the states are, Records
keeps them.  It knows nothing of script functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.attachment import (
    BYE_ON_TIMEOUT,
    NO_TIMEOUT_RESET,
    NOTE,
    Attachment,
    attachment,
)
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.modules.dialog_tracking.tally import Tally
from kamailiod.modules.tm import LocalRequest, Tm
from kamailiod.script.context import Context, Happening, Route
from kamailiod.script.log import ERROR, WARNING
from kamailiod.sip.dialog import (
    Event,
    State,
    contact_uri,
    cookie_value,
    direction_of,
    from_request,
    next_state,
    parse_cookie,
    request_within,
    take_answer,
)
from kamailiod.sip.message import SipMessage
from kamailiod.sip.uri import parameter_value
from shm import Dialog, Direction

if TYPE_CHECKING:
    from kamailiod.modules.dialog_tracking.params import DialogParams
    from kamailiod.modules.rr import Rr
    from kamailiod.script.services import Services
    from kamailiod.sip.transaction import Transaction

BOTH = (Direction.DOWNSTREAM, Direction.UPSTREAM)

Hook = Callable[[Context, Dialog, Event | None], None]
"""Called as hook(context, dialog, event); the event is None when a dialog begins."""


class Tracker:
    """One process's follower of calls.

    `hooks` are called when a dialog begins, is answered and has ended; a call that fails ends with
    Event.FAILED, also when it did so by its deadline.
    """

    def __init__(
        self,
        params: DialogParams,
        services: Services,
        records: Records,
        tm: Tm,
        rr: Rr,
        clock: Callable[[], float],
    ) -> None:
        self.params = params
        self.services = services
        self.records = records
        self.hooks: list[Hook] = []
        self.clock = clock
        self._tm = tm
        self._rr = rr
        self._cookie_name = params.rr_param.encode()
        self._in_setup: dict[bytes, Dialog] = {}
        self._headers = tuple(
            line for line in params.dlg_extra_hdrs.encode().split(b"\r\n") if line
        )
        self.tally: Tally
        self.count_processed: Callable[[], object]
        self.count_failed: Callable[[], object]
        self.count_expired: Callable[[], object]

    def open(self, counter: Callable[[str], Callable[..., object]]) -> None:
        """Open the counters, after the fork."""
        self.tally = Tally(counter)
        self.count_processed = counter("dialog:processed_dialogs")
        self.count_failed = counter("dialog:failed_dialogs")
        self.count_expired = counter("dialog:expired_dialogs")

    def begin(self, context: Context, timeout: int) -> bool:
        """Follow an initial INVITE; the dialog is stored as soon as there is a transaction.

        Until then a stateless answer of the script costs nothing and leaves nothing.
        """
        request = context.message
        dialog = from_request(request)
        if dialog is None or request.method != b"INVITE":
            return False
        note = attachment(context)
        known = self._in_setup.get(request.call_id) if self.params.detect_spirals else None
        if known is not None and known.from_tag == dialog.from_tag:
            note.attach(known, Direction.DOWNSTREAM)
            return True
        dialog.timeout = timeout
        dialog.variables = note.variables
        dialog.toroute = note.toroute
        dialog.sflags = note.flags
        if note.bye_on_timeout or self.params.send_bye:
            dialog.flags |= BYE_ON_TIMEOUT
        if self.params.timeout_noreset:
            dialog.flags |= NO_TIMEOUT_RESET
        dialog.from_socket = dialog.to_socket = context.source.local.text
        dialog.owner = self.services.rank
        note.dialog = dialog
        note.direction = Direction.DOWNSTREAM
        context.shared.listeners.append(self._listen)
        if context.transaction is not None:
            self.store_begun(context)
        return True

    def store_begun(self, context: Context) -> None:
        """Store the dialog that `begin` prepared, now that its transaction exists."""
        note = attachment(context)
        dialog = note.dialog
        if dialog is None or note.is_stored:
            return
        now = int(self.clock())
        dialog.init_time = now
        dialog.expires = now + self.params.early_timeout
        self._call_hooks(context, dialog, None)
        stored = self.records.create(dialog)
        if stored is None:
            note.dialog = None
            self.services.log.line(
                ERROR, "dialog", "no room for a dialog: the call is not followed"
            )
            return
        note.dialog = stored
        note.is_stored = True
        self._in_setup[stored.call_id] = stored
        self.count_processed()
        self._rr.add_parameter(context, self._cookie(stored))

    def on_route(self, context: Context, route_parameters: bytes) -> None:
        """Hear that a request came by our own Route: its cookie names the dialog."""
        value = parameter_value(route_parameters, self._cookie_name)
        if value is None:
            if self.params.dlg_match_mode:
                self.match(context)
            return
        numbers = parse_cookie(value)
        dialog = self.records.get(*numbers) if numbers is not None else None
        if dialog is not None and dialog.call_id == context.message.call_id:
            self._within(context, dialog)
        elif self.params.dlg_match_mode:
            self.match(context)

    def match(self, context: Context) -> bool:
        """Find the dialog of a message by Call-ID and tags; whether there is one."""
        note = context.shared.notes.get(NOTE)
        if type(note) is Attachment and note.is_stored:
            return True
        message = context.message
        dialog = self.records.find(message.call_id, message.from_tag, message.to_tag)
        if dialog is None:
            return False
        if message.is_request:
            return self._within(context, dialog)
        attachment(context).attach(dialog, direction_of(dialog, message.from_tag, message.to_tag))
        return True

    def _within(self, context: Context, dialog: Dialog) -> bool:
        message = context.message
        note = attachment(context)
        if note.is_stored:
            return True
        to_tag = message.to_tag
        direction = direction_of(dialog, message.from_tag, to_tag) if to_tag else None
        if direction is None:
            return False
        note.attach(dialog, direction)
        method = message.method
        if method == b"ACK":
            self._acknowledged(context, dialog)
        elif method == b"BYE":
            if next_state(dialog.state, Event.BYE) is not None:
                self.end(context, dialog, Event.BYE)
        else:
            self._continued(context, dialog, direction)
        return True

    def _acknowledged(self, context: Context, dialog: Dialog) -> None:
        if dialog.state < State.UNACKNOWLEDGED and dialog.call_id not in self._in_setup:
            # The worker that had the INVITE has died; its 2xx went upstream statelessly.
            dialog.to_tag = context.message.to_tag
            dialog.to_contact = context.uri
            self._answered(context, dialog)
        if self._move(dialog, Event.ACKNOWLEDGED):
            dialog.expires = dialog.start_time + dialog.timeout
            self.records.write_later(dialog)

    def _continued(self, context: Context, dialog: Dialog, direction: Direction) -> None:
        message = context.message
        number = b"%d" % message.cseq[0]
        if direction is Direction.DOWNSTREAM:
            dialog.from_cseq = number
        else:
            dialog.to_cseq = number
        if dialog.state == State.CONFIRMED and not dialog.flags & NO_TIMEOUT_RESET:
            dialog.expires = int(self.clock()) + dialog.timeout
        if message.method in (b"INVITE", b"UPDATE"):
            context.shared.listeners.append(self._listen_refresh)
        self.records.write_later(dialog)

    def _listen(
        self, what: Happening, transaction: Transaction, message: SipMessage | None, code: int
    ) -> None:
        if what is Happening.REPLY_OUT:
            note = transaction.context.shared.notes[NOTE]
            dialog = note.dialog
            if dialog is None or not note.is_stored or dialog.state > State.EARLY:
                return
            if code >= 300:
                context = transaction.context
                self.end(context, dialog, Event.FAILED, message)
            elif code >= 200:
                if message is not None:
                    take_answer(dialog, message, self._cookie(dialog))
                else:
                    dialog.to_tag = transaction.to_tag
                self._answered(transaction.context, dialog, message)
            elif message is not None and dialog.state == State.UNCONFIRMED:
                self._provisional(dialog, message)
        elif what is Happening.DESTROYED:
            self._abandoned(transaction)

    def _listen_refresh(
        self, what: Happening, transaction: Transaction, message: SipMessage | None, code: int
    ) -> None:
        # A 2xx to a request within the dialog moves the targets of both (RFC 3261 12.2).
        if what is not Happening.REPLY_OUT or message is None or code // 100 != 2:
            return
        note = attachment(transaction.context)
        dialog = note.dialog
        if dialog is None or dialog.state == State.DELETED:
            return
        asking, answering = contact_uri(transaction.request), contact_uri(message)
        if note.direction is Direction.UPSTREAM:
            asking, answering = answering, asking
        dialog.from_contact = asking or dialog.from_contact
        dialog.to_contact = answering or dialog.to_contact
        self.records.write_later(dialog)

    def _move(self, dialog: Dialog, event: Event) -> bool:
        state = next_state(dialog.state, event)
        if state is None:
            return False
        self.tally.moved(dialog.state, state)
        dialog.state = state
        return True

    def _provisional(self, dialog: Dialog, reply: SipMessage) -> None:
        tag = reply.to_tag
        if tag and self._move(dialog, Event.PROVISIONAL):
            dialog.to_tag = tag
            self.records.write_later(dialog)

    def _answered(
        self, context: Context, dialog: Dialog, answer: SipMessage | None = None
    ) -> None:
        self._move(dialog, Event.ANSWERED)
        now = int(self.clock())
        dialog.start_time = now
        dialog.expires = now + (self.params.noack_timeout or dialog.timeout)
        self._in_setup.pop(dialog.call_id, None)
        event = context.derive(Route.EVENT, answer)
        self._call_hooks(event, dialog, Event.ANSWERED)
        self.services.script.run_event("dialog", "start", event)
        self.records.write(dialog)

    def _abandoned(self, transaction: Transaction) -> None:
        note = attachment(transaction.context)
        dialog = note.dialog
        if dialog is not None and note.is_stored and dialog.state <= State.EARLY:
            self.end(transaction.context, dialog, Event.FAILED)

    def end(
        self, context: Context, dialog: Dialog, event: Event, message: SipMessage | None = None
    ) -> bool:
        """End a dialog, once: remove it, account it, tell the script."""
        failed = dialog.state <= State.EARLY
        self.tally.moved(dialog.state, State.DELETED)
        dialog.state = State.DELETED
        if self._in_setup.get(dialog.call_id) is dialog:
            del self._in_setup[dialog.call_id]
        if not self.records.remove(dialog):
            return False
        run = context.derive(Route.EVENT, message)
        script = self.services.script
        if failed:
            self.count_failed()
            script.run_event("dialog", "failed", run)
        else:
            script.run_event("dialog", "end", run)
            if not self.params.event_callback:
                script.run_function(b"dialog_end", run)
        self._call_hooks(run, dialog, Event.FAILED if failed else event)
        return True

    def terminate(
        self, dialog: Dialog, event: Event, towards: tuple[Direction, ...] = BOTH
    ) -> bool:
        """End a dialog on our own account, with BYEs towards these sides."""
        was_answered = dialog.state >= State.UNACKNOWLEDGED
        context = self.services.faked_context()
        attachment(context).attach(dialog, None)
        if not self.end(context, dialog, event):
            return False
        if was_answered:
            for direction in towards:
                self._send_bye(dialog, direction)
        return True

    def expire(self, h_entry: int, h_id: int) -> None:
        """End a dialog whose deadline the timer process saw, unless it has been moved since."""
        dialog = self.records.get(h_entry, h_id)
        if dialog is None:
            return
        if dialog.expires > self.clock():
            self.records.write(dialog)
            return
        self.services.log.line(
            WARNING,
            "dialog",
            f"dlg timeout - callid: '{dialog.call_id.decode('latin-1')}' tags:"
            f" '{dialog.from_tag.decode('latin-1')}' '{dialog.to_tag.decode('latin-1')}'"
            f" ostate: {int(dialog.state)}",
        )
        if dialog.toroute:
            context = self.services.faked_context()
            attachment(context).attach(dialog, None)
            self.services.script.run_route(context, dialog.toroute)
        never_acknowledged = dialog.state == State.UNACKNOWLEDGED
        with_bye = never_acknowledged or bool(dialog.flags & BYE_ON_TIMEOUT)
        if self.terminate(dialog, Event.TIMEOUT, BOTH if with_bye else ()):
            self.count_expired()

    def adopt(self, rank: int) -> None:
        """Take over what a dead worker of this rank left.

        An ACK may have come in its last second, before it was written: a dialog that waits for
        one counts as acknowledged, so that no live call is ended for the lack of it.
        """
        for held in list(self.records.store.items()):
            if held.owner != rank:
                continue
            self.tally.moved(0, held.state)
            if held.state != State.UNACKNOWLEDGED:
                continue
            dialog = self.records.get(held.h_entry, held.h_id)
            if dialog is not None:
                self._move(dialog, Event.ACKNOWLEDGED)
                dialog.expires = dialog.start_time + dialog.timeout
                self.records.write(dialog)

    def _send_bye(self, dialog: Dialog, direction: Direction) -> None:
        bye = request_within(dialog, b"BYE", direction)
        request = LocalRequest(
            bye.method, bye.uri, bye.from_, bye.to, bye.call_id, bye.cseq, bye.routes,
            self._headers, b"",
        )  # fmt: skip
        self._tm.send_request(request, _take_no_answer)

    def _cookie(self, dialog: Dialog) -> bytes:
        return b";%s=%s" % (self._cookie_name, cookie_value(dialog.h_entry, dialog.h_id))

    def _call_hooks(self, context: Context, dialog: Dialog, event: Event | None) -> None:
        for hook in self.hooks:
            hook(context, dialog, event)


def _take_no_answer(status: int, reply: SipMessage | None) -> None:
    # The dialog is over whatever the side answers, as a lost side cannot answer at all.
    del status, reply
