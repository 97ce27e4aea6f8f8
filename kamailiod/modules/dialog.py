"""The dialog module: the script's functions for following calls, and where its parts meet.

Following a call is dialog_tracking/'s, the states are sip/dialog.py's, records are shm's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from kamailiod.modules.dialog_tracking.attachment import (
    BYE_ON_TIMEOUT,
    KEEP_CALLEE_ALIVE,
    KEEP_CALLER_ALIVE,
    NO_TIMEOUT_RESET,
    attached_dialog,
    attachment,
)
from kamailiod.modules.dialog_tracking.bridge import Bridge
from kamailiod.modules.dialog_tracking.changes import Changes
from kamailiod.modules.dialog_tracking.commands import DialogCommands
from kamailiod.modules.dialog_tracking.control import DialogControl
from kamailiod.modules.dialog_tracking.endings import Endings
from kamailiod.modules.dialog_tracking.keep_alive import KeepAlive
from kamailiod.modules.dialog_tracking.params import WITHOUT_EFFECT, DialogParams
from kamailiod.modules.dialog_tracking.persistence import DialogPersistence
from kamailiod.modules.dialog_tracking.profile_functions import DialogProfiles
from kamailiod.modules.dialog_tracking.profiles import Profiles
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.modules.dialog_tracking.requests import DialogRequests
from kamailiod.modules.dialog_tracking.tally import ACTIVE, EARLY
from kamailiod.modules.dialog_tracking.tracker import Hook, Tracker
from kamailiod.modules.dialog_tracking.variables import DialogVariables
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import Module, kemi
from kamailiod.sip.dialog import direction_of
from shm import Dialog, DialogProfileStore, DialogStore

if TYPE_CHECKING:
    from kamailiod.script.services import Services
    from kamailiod.sip.transaction import Transaction

_SWEEP_SECONDS = 1.0
_DUE_AT_ONCE = 500
_SHORTEST_KEEP_ALIVE = 30
_LOCAL_ONLY = 1
_PROPERTIES = {
    b"ka-src": KEEP_CALLER_ALIVE,
    b"ka-dst": KEEP_CALLEE_ALIVE,
    b"timeout-noreset": NO_TIMEOUT_RESET,
}


class Dialogs(
    DialogVariables, DialogCommands, DialogControl, DialogProfiles, DialogPersistence, Module
):
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

    def mod_init(self) -> None:
        """Create the stores, bring back what a database has, ask tm and rr to call."""
        params, services = self.params, self.services
        first = services.settings.server_id if params.h_id_start == -1 else params.h_id_start
        self.first_id = first
        dialogs = services.hash_map(
            "dialog", params.hash_size, 0.25, hash_length=DialogStore.HASH_LENGTH
        )
        counts = services.hash_map(
            "dialog_profiles", 1024, 0.02, hash_length=DialogProfileStore.HASH_LENGTH
        )
        self.store = DialogStore(dialogs, params.hash_size, first, max(params.h_id_step, 1))
        self.profiles = Profiles(
            services, DialogProfileStore(counts), params.profiles_with_value,
            params.profiles_no_value,
        )  # fmt: skip
        self._compose()
        self._tm.on_transaction(self._on_transaction)
        self._rr.on_route(self.tracker.on_route)
        self.restore()

    def _compose(self) -> None:
        params, services = self.params, self.services
        records = Records(self.store)
        self.tracker = Tracker(params, services, records, self.profiles, self._rr, time.time)
        self.tracker.hooks = self._hooks
        if params.timeout_avp:
            self.tracker.lifetime = self._lifetime
        if params.send_bye:
            self.tracker.initial_properties |= BYE_ON_TIMEOUT
        if params.timeout_noreset:
            self.tracker.initial_properties |= NO_TIMEOUT_RESET
        self.changes = Changes(services, records, self.profiles, lambda: self.tracker.clock())
        self.requests = DialogRequests(params, services, self._tm)
        seconds = self._tm.params.fr_inv_timer / 1000
        self.endings = Endings(services, self.tracker, self.requests, seconds)
        self.bridge = Bridge(params, services, self._tm, self.requests)

    def child_init(self, rank: int) -> None:
        """Count, ask and write late in the workers; look for deadlines in the timer process."""
        tracker, timers = self.tracker, self.services.timers if rank != 0 else None
        tracker.open(self._counter())
        tracker.records.rank = rank
        if timers is None:
            return
        if rank == -1:
            timers.every(_SWEEP_SECONDS, self.hand_out_due)
        elif rank > 0:
            self.start_saving()
            self.endings.adopt(rank)
            timers.every(_SWEEP_SECONDS, tracker.records.flush)
            self._keep_alive()

    def _counter(self) -> Callable[[str], Callable[..., object]]:
        if self.params.enable_stats:
            return self.services.statistics.counter
        return lambda name: lambda by=1: None

    def _keep_alive(self) -> None:
        params = self.params
        if params.ka_timer > 0 and params.ka_interval > 0:
            keep_alive = KeepAlive(
                self.tracker.records, self.requests,
                max(params.ka_interval, _SHORTEST_KEEP_ALIVE), max(params.ka_failed_limit, 1),
                lambda: self.tracker.clock(),
            )  # fmt: skip
            self.services.timers.every(float(params.ka_timer), keep_alive.round)

    def child_exit(self, rank: int) -> None:
        """Write what is not written yet."""
        if rank > 0:
            self.tracker.records.flush()
        self.finish_saving(rank)

    def on_change(self, hook: Hook) -> None:
        """Have a hook called when a dialog begins, is answered and has ended."""
        self._hooks.append(hook)

    def hand_out_due(self) -> None:
        """Tell the owners of dialogs whose deadline has come; who does not act is told again."""
        now = int(self.tracker.clock())
        self.profiles.store.expire(now)
        for dialog in self.store.due(now, _DUE_AT_ONCE):
            if self.params.dlg_filter_mode & _LOCAL_ONLY and not self.is_local(dialog):
                continue
            rank = self.owner(dialog)
            self.services.tell_worker(rank, "dialog.expire", dialog.h_entry, dialog.h_id)

    def is_local(self, dialog: Dialog) -> bool:
        """Whether a dialog's own address is one of this server's."""
        return any(socket.text == dialog.from_socket for socket in self.services.network.sockets)

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

    def _begin(self, context: Context) -> bool:
        timeout = attachment(context).timeout
        if not timeout and self.tracker.lifetime is not None:
            timeout = self.tracker.lifetime(context)
        return self.tracker.begin(
            context, timeout or self.params.default_timeout, self._request_uri(context)
        )

    def _lifetime(self, context: Context) -> int:
        value = self.services.variables.accessors[self.params.timeout_avp.encode()].get(context)
        if isinstance(value, bytes):
            value = int(value) if value.isdigit() else 0
        return max(value or 0, 0)

    def _request_uri(self, context: Context) -> bytes:
        name = self.params.ruri_pvar
        if name == "$ru":
            return context.uri
        value = self.services.variables.accessors[name.encode()].get(context)
        return value if isinstance(value, bytes) else context.uri

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
            self.changes.make(note.dialog, "lifetime", timeout, is_stored=note.is_stored)
        return 1

    @kemi("dialog.dlg_set_timeout_id", native="dlg_set_timeout")
    def dlg_set_timeout_id(self, context: Context, timeout: int, h_entry: int, h_id: int) -> int:
        """Set the lifetime of the dialog of these numbers."""
        dialog = self.tracker.records.get(h_entry, h_id)
        if dialog is None or timeout <= 0:
            return -1
        return 1 if self.changes.make(dialog, "lifetime", timeout) else -1

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
        if not callid or not ftag:
            return -1
        dialog = self.tracker.records.find(callid, ftag, ttag)
        if dialog is None:
            return -1
        attachment(context).attach(dialog, direction_of(dialog, ftag, ttag))
        return 1

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
        """Set a property of the dialog, or of the one to come: timeout-noreset, ka-src, ka-dst."""
        return self._change_property(context, name, True)

    @kemi("dialog.dlg_reset_property")
    def dlg_reset_property(self, context: Context, name: bytes) -> int:
        """Clear a property of the dialog, or of the one to come."""
        return self._change_property(context, name, False)

    def _change_property(self, context: Context, name: bytes, value: bool) -> int:
        mask = _PROPERTIES.get(name, 0)
        if not mask:
            return -1
        self.set_property(attachment(context), mask, value)
        return 1
