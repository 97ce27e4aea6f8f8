"""The dialog module: the script's functions for following calls, and where its parts meet.

Following a call is dialog_tracking/'s, the states are sip/dialog.py's, records are shm's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from kamailiod.modules.dialog_tracking.attachment import (
    NO_TIMEOUT_RESET,
    attached_dialog,
    attachment,
)
from kamailiod.modules.dialog_tracking.commands import DialogCommands
from kamailiod.modules.dialog_tracking.params import WITHOUT_EFFECT, DialogParams
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.modules.dialog_tracking.tally import ACTIVE, EARLY
from kamailiod.modules.dialog_tracking.tracker import BOTH, Hook, Tracker
from kamailiod.modules.dialog_tracking.variables import DialogVariables
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import Module, kemi
from kamailiod.sip.dialog import Event, State
from shm import Dialog, DialogStore, Direction

if TYPE_CHECKING:
    from kamailiod.script.services import Services
    from kamailiod.sip.transaction import Transaction

_SWEEP_SECONDS = 1.0
_DUE_AT_ONCE = 500
_PROPERTIES = {b"ka-src": 2, b"ka-dst": 4, b"timeout-noreset": NO_TIMEOUT_RESET}


class Dialogs(DialogVariables, DialogCommands, Module):
    """Dialogs that proxied calls make, from INVITE to BYE."""

    name: ClassVar[str] = "dialog"
    Params: ClassVar[type[DialogParams]] = DialogParams
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT
    gauges: ClassVar[tuple[str, ...]] = (ACTIVE, EARLY)
    statistics: ClassVar[tuple[str, ...]] = (
        "dialog:processed_dialogs",
        "dialog:failed_dialogs",
        "dialog:expired_dialogs",
        *gauges,
    )
    event_routes: ClassVar[tuple[str, ...]] = ("dialog:start", "dialog:end", "dialog:failed")

    params: DialogParams

    def __init__(self, params: DialogParams, services: Services) -> None:
        super().__init__(params, services)
        self._tm = services.module(Tm)
        self._rr = services.module(Rr)
        self._hooks: list[Hook] = []
        services.on_worker("dialog.expire", self._expire)
        services.on_worker("dialog.terminate", self._terminate)

    def mod_init(self) -> None:
        """Create the store and ask tm and rr to call."""
        records = self.services.hash_map(
            "dialog", self.params.hash_size, 0.25, hash_length=DialogStore.HASH_LENGTH
        )
        self.store = DialogStore(records, self.params.hash_size)
        self.tracker = Tracker(
            self.params, self.services, Records(self.store), self._tm, self._rr, time.time
        )
        self.tracker.hooks = self._hooks
        self._tm.on_transaction(self._on_transaction)
        self._rr.on_route(self.tracker.on_route)

    def child_init(self, rank: int) -> None:
        """Count and write late in the workers; look for deadlines in the timer process."""
        tracker = self.tracker
        tracker.open(self.services.statistics.counter)
        if rank == -1:
            self.services.timers.every(_SWEEP_SECONDS, self.hand_out_due)
        elif rank > 0:
            tracker.adopt(rank)
            self.services.timers.every(_SWEEP_SECONDS, tracker.records.flush)

    def child_exit(self, rank: int) -> None:
        """Write what is not written yet."""
        if rank > 0:
            self.tracker.records.flush()

    def on_change(self, hook: Hook) -> None:
        """Have a hook called when a dialog begins, is answered and has ended."""
        self._hooks.append(hook)

    def hand_out_due(self) -> None:
        """Tell the owners of dialogs whose deadline has come; who does not act is told again."""
        for dialog in self.store.due(int(self.tracker.clock()), _DUE_AT_ONCE):
            rank = self.owner(dialog)
            self.services.tell_worker(rank, "dialog.expire", dialog.h_entry, dialog.h_id)

    def owner(self, dialog: Dialog) -> int:
        """The rank of the worker that has the call, also after a restart with fewer workers."""
        if 1 <= dialog.owner <= self.services.worker_count:
            return dialog.owner
        return owner_rank(dialog.call_id, self.services.worker_count)

    def _on_transaction(self, context: Context, transaction: Transaction) -> None:
        if "dialog" in context.shared.notes:
            self.tracker.store_begun(context)
        flag = self.params.dlg_flag
        if (
            flag >= 0
            and transaction.is_invite
            and context.shared.flags >> flag & 1
            and not transaction.request.to_tag
            and attached_dialog(context) is None
        ):
            self._begin(context)
            self.tracker.store_begun(context)

    def _expire(self, h_entry: int, h_id: int) -> None:
        self.tracker.expire(h_entry, h_id)

    def _terminate(self, h_entry: int, h_id: int) -> None:
        dialog = self.tracker.records.get(h_entry, h_id)
        if dialog is not None:
            self.tracker.terminate(dialog, Event.BYE)

    def _begin(self, context: Context) -> bool:
        timeout = attachment(context).timeout
        if not timeout and self.params.timeout_avp:
            accessor = self.services.variables.accessors[self.params.timeout_avp.encode()]
            value = accessor.get(context)
            if isinstance(value, bytes):
                value = int(value) if value.isdigit() else 0
            timeout = value or 0
        return self.tracker.begin(context, timeout or self.params.default_timeout)

    @kemi("dialog.dlg_manage", routes=Route.REQUEST)
    def dlg_manage(self, context: Context) -> int:
        """Follow this call from here on; a request within a dialog is matched to it."""
        if attached_dialog(context) is not None:
            return 1
        if context.message.to_tag:
            self.tracker.match(context)
            return 1
        return 1 if self._begin(context) else -1

    @kemi("dialog.dlg_set_timeout", "dialog.set_dlg_timeout")
    def dlg_set_timeout(self, context: Context, timeout: int) -> int:
        """Set the lifetime of the dialog, or of the one to come, in seconds from the answer on."""
        if timeout <= 0:
            return -1
        note = attachment(context)
        note.timeout = timeout
        if note.dialog is not None:
            self._set_timeout(note.dialog, timeout, note.is_stored)
        return 1

    @kemi("dialog.dlg_set_timeout_id", native="dlg_set_timeout")
    def dlg_set_timeout_id(self, context: Context, timeout: int, h_entry: int, h_id: int) -> int:
        """Set the lifetime of the dialog of these numbers."""
        dialog = self.tracker.records.get(h_entry, h_id)
        if dialog is None or timeout <= 0:
            return -1
        self._set_timeout(dialog, timeout, True)
        return 1

    def _set_timeout(self, dialog: Dialog, timeout: int, is_stored: bool) -> None:
        dialog.timeout = timeout
        if dialog.state == State.CONFIRMED:
            dialog.expires = int(self.tracker.clock()) + timeout
        if is_stored and dialog.state != State.DELETED:
            self.tracker.records.write_later(dialog)

    @kemi("dialog.var_sets", "dialog.set_dlg_var", native=())
    def var_sets(self, context: Context, name: bytes, value: bytes) -> int:
        """Set a variable of the dialog, or of the one to come."""
        return 1 if self.set_variable(context, name, None, value) else -1

    @kemi("dialog.var_get", "dialog.get_dlg_var", native=())
    def var_get(self, context: Context, name: bytes) -> Value:
        """Return a variable of the dialog, nil when it is not set."""
        return self.variable(context, name, None)

    @kemi("dialog.var_gete", native=())
    def var_gete(self, context: Context, name: bytes) -> Value:
        """Return a variable of the dialog, an empty string when it is not set."""
        return attachment(context).variables.get(name, b"")

    @kemi("dialog.var_getw", native=())
    def var_getw(self, context: Context, name: bytes) -> Value:
        """Return a variable of the dialog, `<null>` when it is not set."""
        return attachment(context).variables.get(name, b"<null>")

    @kemi("dialog.var_rm", native=())
    def var_rm(self, context: Context, name: bytes) -> int:
        """Remove a variable of the dialog."""
        return 1 if self.set_variable(context, name, None, None) else -1

    @kemi("dialog.var_is_null", native=())
    def var_is_null(self, context: Context, name: bytes) -> int:
        """Tell whether a variable of the dialog is not set."""
        return -1 if name in attachment(context).variables else 1

    @kemi("dialog.is_known_dlg")
    def is_known_dlg(self, context: Context) -> int:
        """Tell whether the message belongs to a dialog that is followed."""
        if attached_dialog(context) is not None:
            return 1
        return 1 if context.message.to_tag and self.tracker.match(context) else -1

    @kemi("dialog.dlg_get")
    def dlg_get(self, context: Context, callid: bytes, ftag: bytes, ttag: bytes) -> int:
        """Make the dialog of this Call-ID and tags the current one."""
        dialog = self.tracker.records.find(callid, ftag, ttag)
        if dialog is None:
            return -1
        attachment(context).attach(dialog, Direction.DOWNSTREAM)
        return 1

    @kemi("dialog.dlg_bye")
    def dlg_bye(self, context: Context, side: bytes) -> int:
        """End the dialog with BYE to "caller", "callee" or "all"."""
        dialog = attached_dialog(context)
        if dialog is None or dialog.state < State.UNACKNOWLEDGED:
            return -1
        towards = _SIDES.get(side.lower(), BOTH)
        return 1 if self.tracker.terminate(dialog, Event.BYE, towards) else -1

    @kemi("dialog.dlg_setflag")
    def dlg_setflag(self, context: Context, flag: int) -> int:
        """Set a script flag, 0 to 31, of the dialog or of the one to come."""
        return self._change_flags(context, flag, 1)

    @kemi("dialog.dlg_resetflag")
    def dlg_resetflag(self, context: Context, flag: int) -> int:
        """Clear a script flag of the dialog or of the one to come."""
        return self._change_flags(context, flag, 0)

    @kemi("dialog.dlg_isflagset")
    def dlg_isflagset(self, context: Context, flag: int) -> int:
        """Tell whether a script flag of the dialog is set."""
        note = attachment(context)
        flags = note.dialog.sflags if note.dialog is not None else note.flags
        return 1 if 0 <= flag < 32 and flags >> flag & 1 else -1

    def _change_flags(self, context: Context, flag: int, value: int) -> int:
        if not 0 <= flag < 32:
            return -1
        note = attachment(context)
        held = note.dialog.sflags if note.dialog is not None else note.flags
        changed = held & ~(1 << flag) | value << flag
        self.set_dialog_context(context, b"flags", None, changed)
        return 1

    @kemi("dialog.dlg_set_property")
    def dlg_set_property(self, context: Context, name: bytes) -> int:
        """Set a property of the dialog: timeout-noreset, ka-src or ka-dst."""
        return self._change_property(context, name, True)

    @kemi("dialog.dlg_reset_property", native=())
    def dlg_reset_property(self, context: Context, name: bytes) -> int:
        """Clear a property of the dialog."""
        return self._change_property(context, name, False)

    def _change_property(self, context: Context, name: bytes, value: bool) -> int:
        note = attachment(context)
        dialog, mask = note.dialog, _PROPERTIES.get(name, 0)
        if dialog is None or not mask:
            return -1
        dialog.flags = dialog.flags | mask if value else dialog.flags & ~mask
        if note.is_stored:
            self.tracker.records.write_later(dialog)
        return 1


_SIDES: dict[bytes, tuple[Direction, ...]] = {
    b"caller": (Direction.UPSTREAM,),
    b"callee": (Direction.DOWNSTREAM,),
}
