"""The dialog's pseudo-variables: $dlg, $dlg_ctx, $dlg_var, $DLG_count, $DLG_status, $DLG_lifetime.

Owns their names and what they read; following calls is the tracker's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kamailiod.modules.dialog_tracking.attachment import (
    BYE_ON_TIMEOUT,
    Attachment,
    attached_dialog,
    attachment,
)
from kamailiod.modules.dialog_tracking.changes import Changes
from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, pseudo_variable
from kamailiod.sip.dialog import State
from shm import Dialog, DialogStore


class DialogVariables(Module):
    """The pseudo-variables; `store`, `tracker` and `changes` are the module's."""

    store: DialogStore
    tracker: Tracker
    changes: Changes

    @pseudo_variable("dlg_var", setter="set_variable")
    def variable(self, context: Context, inner: bytes, index: object) -> Value:
        """The dialog variable of this name."""
        return attachment(context).variables.get(inner)

    def set_variable(self, context: Context, inner: bytes, index: object, value: Value) -> bool:
        """Set a dialog variable, or remove it with None; numbers become strings."""
        note = attachment(context)
        text = b"%d" % value if isinstance(value, int) else value
        if note.dialog is not None:
            self.changes.make(note.dialog, "variable", inner, text, is_stored=note.is_stored)
        elif text is None:
            note.variables.pop(inner, None)
        else:
            note.variables[inner] = text
        return True

    @pseudo_variable("dlg")
    def dialog(self, context: Context, inner: bytes, index: object) -> Value:
        """A field of the dialog."""
        dialog = attached_dialog(context)
        getter = _FIELDS.get(inner)
        if dialog is None or getter is None:
            return None
        if not dialog.h_id:
            self.store.number(dialog)  # it is not stored yet, and the script asks for its numbers
        return getter(dialog)

    @pseudo_variable("dlg_ctx", setter="set_dialog_context")
    def dialog_context(self, context: Context, inner: bytes, index: object) -> Value:
        """What the script set for the dialog of this message."""
        note = attachment(context)
        getter = _CONTEXT.get(inner)
        return getter(note) if getter is not None else None

    def set_dialog_context(
        self, context: Context, inner: bytes, index: object, value: Value
    ) -> bool:
        """Set flags, timeout, timeout_bye or timeout_route of the dialog, or of the one to come."""
        note = attachment(context)
        if inner == b"timeout_route":
            note.toroute = _text(value)
            self._change(note, "toroute", note.toroute)
        elif inner == b"timeout_bye":
            self.set_property(note, BYE_ON_TIMEOUT, bool(_number(value)))
        elif inner == b"flags":
            note.flags = _number(value)
            self._change(note, "flags", note.flags)
        elif inner == b"timeout":
            note.timeout = _number(value)
        else:
            return False
        return True

    def set_property(self, note: Attachment, mask: int, value: bool) -> None:
        """Set or clear a property of the dialog, or of the one to come."""
        note.properties = note.properties | mask if value else note.properties & ~mask
        self._change(note, "properties", mask, value)

    def _change(self, note: Attachment, name: str, *arguments: object) -> None:
        if note.dialog is not None:
            self.changes.make(note.dialog, name, *arguments, is_stored=note.is_stored)

    @pseudo_variable("DLG_count")
    def count(self, context: Context, inner: bytes, index: object) -> Value:
        """How many answered dialogs there are now, on all workers."""
        counts = self.store.counts()
        return counts[State.UNACKNOWLEDGED] + counts[State.CONFIRMED]

    @pseudo_variable("DLG_status")
    def status(self, context: Context, inner: bytes, index: object) -> Value:
        """The state of the dialog, from 1 to 5."""
        note = attachment(context)
        return int(note.dialog.state) if note.dialog is not None and note.is_stored else None

    @pseudo_variable("DLG_lifetime")
    def lifetime(self, context: Context, inner: bytes, index: object) -> Value:
        """Seconds since the dialog was answered."""
        note = attachment(context)
        dialog = note.dialog
        if dialog is None or not note.is_stored:
            return None
        return int(self.tracker.clock()) - dialog.start_time if dialog.start_time else 0


_FIELDS: Mapping[bytes, Callable[[Dialog], Value]] = {
    b"h_id": lambda dialog: dialog.h_id,
    b"h_entry": lambda dialog: dialog.h_entry,
    b"ref": lambda dialog: 1,
    b"state": lambda dialog: int(dialog.state),
    b"to_rs": lambda dialog: dialog.to_route_set or None,
    b"from_rs": lambda dialog: dialog.from_route_set or None,
    b"dflags": lambda dialog: dialog.flags,
    b"sflags": lambda dialog: dialog.sflags,
    b"callid": lambda dialog: dialog.call_id,
    b"to_uri": lambda dialog: dialog.to_uri,
    b"to_tag": lambda dialog: dialog.to_tag or None,
    b"toroute": lambda dialog: dialog.toroute or None,
    b"to_cseq": lambda dialog: dialog.to_cseq,
    b"from_uri": lambda dialog: dialog.from_uri,
    b"from_tag": lambda dialog: dialog.from_tag,
    b"lifetime": lambda dialog: dialog.timeout,
    b"start_ts": lambda dialog: dialog.start_time,
    b"from_cseq": lambda dialog: dialog.from_cseq,
    b"to_contact": lambda dialog: dialog.to_contact or None,
    b"to_bindaddr": lambda dialog: dialog.to_socket or None,
    b"from_contact": lambda dialog: dialog.from_contact or None,
    b"from_bindaddr": lambda dialog: dialog.from_socket or None,
}

_CONTEXT: Mapping[bytes, Callable[[Attachment], Value]] = {
    b"on": lambda note: 0,
    b"set": lambda note: int(note.dialog is not None),
    b"dir": lambda note: int(note.direction or 0),
    b"flags": lambda note: note.dialog.sflags if note.dialog is not None else note.flags,
    b"timeout": lambda note: note.timeout,
    b"timeout_bye": lambda note: (
        (note.properties if note.dialog is None else note.dialog.flags) & BYE_ON_TIMEOUT
    ),
    b"timeout_route": lambda note: note.toroute or None,
    b"timeout_route_id": lambda note: 0,
}


def _number(value: Value) -> int:
    if isinstance(value, bytes):
        return int(value) if value.isdigit() else 0
    return value or 0


def _text(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else b"%d" % value
