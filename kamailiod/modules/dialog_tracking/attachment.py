"""What a message or transaction knows of its dialog.

Owns the note that dialog code leaves with a context; knows neither store nor transactions.
"""

from __future__ import annotations

from kamailiod.script.context import Context
from shm import Dialog, Direction

NOTE = "dialog"
"""The name of the note in Shared.notes."""

BYE_ON_TIMEOUT = 1
"""Property: send BYE to both sides at the deadline (Kamailio's iflags, as all of these)."""
KEEP_CALLER_ALIVE = 2
"""Property ka-src: ask the caller by OPTIONS whether it is still in the call."""
KEEP_CALLEE_ALIVE = 4
"""Property ka-dst: ask the callee."""
NO_TIMEOUT_RESET = 8
"""Property timeout-noreset: requests within the dialog do not move its deadline."""


class Attachment:
    """The dialog of a message, and what the script wants of the one that may begin with it.

    `dialog` is None before there is one and `is_stored` tells whether it is in shared memory.
    `variables`, `flags`, `properties`, `profiles`, `timeout` (seconds, 0: not set) and `toroute`
    are for a dialog to come.
    """

    __slots__ = (
        "dialog",
        "direction",
        "flags",
        "is_stored",
        "profiles",
        "properties",
        "timeout",
        "toroute",
        "variables",
    )

    def __init__(self) -> None:
        self.dialog: Dialog | None = None
        self.direction: Direction | None = None
        self.is_stored = False
        self.variables: dict[bytes, bytes] = {}
        self.flags = 0
        self.timeout = 0
        self.properties = 0
        self.profiles: list[tuple[bytes, bytes]] = []
        self.toroute = b""

    def attach(self, dialog: Dialog, direction: Direction | None) -> None:
        """Note a stored dialog; what was set for one to come is dropped, as Kamailio does."""
        self.dialog = dialog
        self.direction = direction
        self.is_stored = True
        self.variables = dialog.variables


def attachment(context: Context) -> Attachment:
    """Return the attachment of a context, a new one when it has none yet."""
    notes = context.shared.notes
    note = notes.get(NOTE)
    if type(note) is Attachment:
        return note
    new = notes[NOTE] = Attachment()
    return new


def attached_dialog(context: Context) -> Dialog | None:
    """Return the dialog of a context, None when it has none."""
    note = context.shared.notes.get(NOTE)
    return note.dialog if type(note) is Attachment else None
