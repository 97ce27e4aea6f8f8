"""Following calls: from the INVITE's transaction and requests within to states and events.

Owns when a dialog begins, changes and ends by what its sides do; endings.py ends it on our own
account, sip/dialog.py says what the states are, Records keeps them. It knows no script function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.attachment import (
    NO_TIMEOUT_RESET,
    NOTE,
    Attachment,
    attachment,
)
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.modules.dialog_tracking.tally import Tally
from kamailiod.script.context import Context, Happening, Route
from kamailiod.script.log import ERROR
from kamailiod.sip.dialog import (
    Event,
    State,
    contact_uri,
    cookie_value,
    direction_of,
    from_request,
    next_state,
    parse_cookie,
    take_answer,
)
from kamailiod.sip.message import SipMessage
from kamailiod.sip.uri import parameter_value
from shm import Dialog, Direction

if TYPE_CHECKING:
    from kamailiod.modules.dialog_tracking.params import DialogParams
    from kamailiod.modules.dialog_tracking.profiles import Profiles
    from kamailiod.modules.rr import Rr
    from kamailiod.script.services import Services
    from kamailiod.sip.transaction import Transaction

COOKIE_ALONE, COOKIE_OR_TAGS, TAGS_ALONE = 0, 1, 2
"""dlg_match_mode: how a request within a dialog finds it."""

Hook = Callable[[Context, Dialog, Event | None], None]
"""Called as hook(context, dialog, event); the event is None when a dialog begins."""


class Tracker:
    """One process's follower of calls.

    `hooks` are called when a dialog begins, is answered and has ended; a call that fails ends with
    Event.FAILED, also when it did so by its deadline. `lifetime` gives the seconds (0: unchanged)
    that a request within a dialog asks for. `orphans` are dialogs in set-up of a dead process.
    """

    def __init__(
        self,
        params: DialogParams,
        services: Services,
        records: Records,
        profiles: Profiles,
        rr: Rr,
        clock: Callable[[], float],
    ) -> None:
        self.params = params
        self.services = services
        self.records = records
        self.profiles = profiles
        self.hooks: list[Hook] = []
        self.clock = clock
        self.initial_properties = 0
        self.lifetime: Callable[[Context], int] | None = None
        self.orphans: dict[bytes, Dialog] = {}
        self._rr = rr
        self._match_mode = params.dlg_match_mode
        self._cookie_name = params.rr_param.encode()
        self._in_setup: dict[bytes, Dialog] = {}
        self._hooks_in_script = params.initial_cbs_inscript != 0
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

    def begin(self, context: Context, timeout: int, request_uri: bytes) -> bool:
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
            self._add_cookie(context, known)
            return True
        dialog.timeout = timeout
        dialog.request_uri = request_uri
        dialog.variables = note.variables
        dialog.toroute = note.toroute
        dialog.sflags = note.flags
        dialog.flags = note.properties | self.initial_properties
        dialog.from_socket = dialog.to_socket = context.source.local.text
        dialog.owner = self.services.rank
        note.dialog = dialog
        note.direction = Direction.DOWNSTREAM
        if note.profiles:
            self.profiles.stored(note)
            self.profiles.watch(note)
        if self._hooks_in_script:
            self._call_hooks(context, dialog, None)
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
        if not self._hooks_in_script:
            self._call_hooks(context, dialog, None)
        if note.profiles:
            self.profiles.stored(note)
        if self.orphans and self._adopts(dialog):
            self.records.keep(dialog)
            stored: Dialog | None = dialog
        else:
            stored = self.records.create(dialog)
            if stored is not None:
                self.count_processed()
        if stored is None:
            note.dialog = None
            self.profiles.ended(dialog)
            self.services.log.line(
                ERROR, "dialog", "no room for a dialog: the call is not followed"
            )
            return
        note.dialog = stored
        note.is_stored = True
        self._in_setup[stored.call_id] = stored
        self._add_cookie(context, stored)

    def _adopts(self, dialog: Dialog) -> bool:
        # The INVITE has come before, to a worker that died with its transaction: its
        # retransmission goes on with that record, a later INVITE of the call shows it is over.
        orphan = self.orphans.get(dialog.call_id)
        if orphan is None or orphan.from_tag != dialog.from_tag:
            return False
        del self.orphans[dialog.call_id]
        if orphan.from_cseq != dialog.from_cseq:
            context = self.services.faked_context()
            attachment(context).attach(orphan, None)
            self.end(context, orphan, Event.FAILED)
            return False
        self.profiles.ended(orphan)
        self.tally.moved(orphan.state, State.UNCONFIRMED)
        dialog.h_entry, dialog.h_id = orphan.h_entry, orphan.h_id
        dialog.init_time = orphan.init_time
        return True

    def _add_cookie(self, context: Context, dialog: Dialog) -> None:
        if self._match_mode != TAGS_ALONE:
            self._rr.add_parameter(context, self.cookie(dialog))

    def on_route(self, context: Context, route_parameters: bytes) -> None:
        """Hear that a request came by our own Route: its cookie names the dialog."""
        value = None
        if self._match_mode != TAGS_ALONE:
            value = parameter_value(route_parameters, self._cookie_name)
        numbers = parse_cookie(value) if value is not None else None
        dialog = self.records.get(*numbers) if numbers is not None else None
        if dialog is not None and dialog.call_id == context.message.call_id:
            self._within(context, dialog, True)
        elif self._match_mode != COOKIE_ALONE:
            self._match(context, True)

    def match(self, context: Context) -> bool:
        """Find the dialog of a message by Call-ID and tags; whether there is one."""
        return self._match(context, False)

    def _match(self, context: Context, routed: bool) -> bool:
        note = context.shared.notes.get(NOTE)
        if type(note) is Attachment and note.is_stored:
            return True
        message = context.message
        dialog = self.records.find(message.call_id, message.from_tag, message.to_tag)
        if dialog is None:
            return False
        if message.is_request:
            return self._within(context, dialog, routed)
        attachment(context).attach(dialog, direction_of(dialog, message.from_tag, message.to_tag))
        return True

    def _within(self, context: Context, dialog: Dialog, routed: bool) -> bool:
        # `routed`: it came by our own Route.
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
        if (
            dialog.state < State.UNACKNOWLEDGED
            and method not in _BEFORE_THE_ANSWER
            # The ACK of a failure has no Route, and its transaction may have died.
            and (routed or method != b"ACK")
        ):
            self._missed_answer(context, dialog, direction)
        if method == b"ACK":
            self._acknowledged(dialog)
        elif method == b"BYE":
            if next_state(dialog.state, Event.BYE) is not None:
                self.end(context, dialog, Event.BYE)
        else:
            self._continued(context, dialog, direction)
        return True

    def _missed_answer(self, context: Context, dialog: Dialog, direction: Direction) -> None:
        # The worker that had the INVITE has died; its 2xx went upstream statelessly.
        if dialog.call_id in self._in_setup:
            return
        message = context.message
        if direction is Direction.DOWNSTREAM:
            dialog.to_tag = message.to_tag
            dialog.to_contact = context.uri
        else:
            dialog.to_tag = message.from_tag
            dialog.to_contact = contact_uri(message)
        self._answered(context, dialog)

    def _acknowledged(self, dialog: Dialog) -> None:
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
        if self.lifetime is not None:
            dialog.timeout = self.lifetime(context) or dialog.timeout
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
                    take_answer(dialog, message, self.cookie(dialog), self.params.keep_proxy_rr)
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
        if self.orphans:
            self.orphans.pop(dialog.call_id, None)
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
        """End a dialog, once: tell the script, account it, remove it; False when it had ended.

        The record goes last: should this process die before, the sides' retransmissions or the
        deadline end the dialog in the next one.
        """
        before = dialog.state
        if before == State.DELETED:
            return False
        failed = before <= State.EARLY
        self.tally.moved(before, State.DELETED)
        dialog.state = State.DELETED
        if self._in_setup.get(dialog.call_id) is dialog:
            del self._in_setup[dialog.call_id]
        if self.orphans:
            self.orphans.pop(dialog.call_id, None)
        if dialog.profiles:
            self.profiles.ended(dialog)
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
        self.records.remove(dialog)
        return True

    def forget(self, dialog: Dialog) -> None:
        """Remove a dialog without a word, as dlg.set_state 5 does."""
        self.tally.moved(dialog.state, State.DELETED)
        dialog.state = State.DELETED
        if dialog.profiles:
            self.profiles.ended(dialog)
        self.records.remove(dialog)

    def cookie(self, dialog: Dialog) -> bytes:
        """Return the Record-Route parameter that names a dialog."""
        return b";%s=%s" % (self._cookie_name, cookie_value(dialog.h_entry, dialog.h_id))

    def _call_hooks(self, context: Context, dialog: Dialog, event: Event | None) -> None:
        for hook in self.hooks:
            hook(context, dialog, event)


_BEFORE_THE_ANSWER = (b"PRACK", b"UPDATE", b"INFO", b"CANCEL")
"""Requests within an early dialog (RFC 3262, RFC 3311): they do not tell that it was answered."""
