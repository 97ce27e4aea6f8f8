"""The script's functions that act on a call: end it, refer a side, make one, choose a target.

Owns their names and answers; what is sent is endings.py's and bridge.py's.
"""

from __future__ import annotations

from kamailiod.modules.dialog_tracking.attachment import attached_dialog, attachment
from kamailiod.modules.dialog_tracking.bridge import Bridge
from kamailiod.modules.dialog_tracking.endings import BOTH, Endings
from kamailiod.script.context import Context
from kamailiod.script.module import Module, kemi
from kamailiod.sip.dialog import Event, State
from shm import Direction

_SIDES: dict[bytes, Direction] = {
    b"caller": Direction.UPSTREAM,
    b"callee": Direction.DOWNSTREAM,
}


class DialogControl(Module):
    """Acting on calls; the attributes are the module's."""

    endings: Endings
    bridge: Bridge

    @kemi("dialog.dlg_bye")
    def dlg_bye(self, context: Context, side: bytes) -> int:
        """End the dialog with BYE to "caller", "callee" or "all"."""
        dialog = attached_dialog(context)
        if dialog is None or not State.UNACKNOWLEDGED <= dialog.state < State.DELETED:
            return -1
        direction = _SIDES.get(side.lower())
        towards = BOTH if direction is None else (direction,)
        return 1 if self.endings.terminate(dialog, Event.BYE, towards) else -1

    @kemi(native="dlg_refer")
    def dlg_refer(self, context: Context, side: bytes, address: bytes) -> int:
        """Have the "caller" or "callee" call an address instead, and end its part of the call."""
        dialog, direction = attached_dialog(context), _SIDES.get(side.lower())
        if dialog is None or direction is None or not address:
            return -1
        return 1 if self.bridge.refer(dialog, direction, address) else -1

    @kemi("dialog.dlg_bridge")
    def dlg_bridge(self, context: Context, caller: bytes, callee: bytes, proxy: bytes) -> int:
        """Call somebody, over a proxy unless it is empty, and refer it to somebody else."""
        if not caller or not callee:
            return -1
        return 1 if self.bridge.call(caller, callee, proxy) else -1

    @kemi(native="dlg_set_ruri")
    def dlg_set_ruri(self, context: Context) -> int:
        """Set the request URI to the contact of the side the request goes to."""
        note = attachment(context)
        dialog, direction = note.dialog, note.direction
        if dialog is None or direction is None:
            return -1
        downstream = direction is Direction.DOWNSTREAM
        contact = dialog.to_contact if downstream else dialog.from_contact
        if not contact:
            return -1
        context.set_uri(contact)
        return 1
