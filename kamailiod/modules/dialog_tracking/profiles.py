"""Which dialogs are in which profile, and how many: Kamailio's way of counting calls.

Owns the names that the config declares and when a membership counts; a dialog's own record says
where it is in, the counts are shm's. It knows no script function.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.attachment import Attachment
from shm import Dialog, DialogProfileStore

if TYPE_CHECKING:
    from kamailiod.script.services import Services

_SETTLE_SECONDS = 0.05


class Profiles:
    """The profiles of one process; a membership is (name, value), b"" for no value.

    `with_value` tells of each declared name whether its members have values.
    """

    def __init__(
        self, services: Services, store: DialogProfileStore, with_value: str, without_value: str
    ) -> None:
        self._services = services
        self.store = store
        self.with_value = dict.fromkeys(_names(with_value), True)
        self.with_value |= dict.fromkeys(_names(without_value), False)

    def join(self, dialog: Dialog, profile: bytes, value: bytes, counted: bool) -> None:
        """Put a dialog into a profile; it is counted by who owns the dialog."""
        dialog.profiles.append((profile, value))
        if counted:
            self._count(profile, value)

    def leave(self, dialog: Dialog, profile: bytes, value: bytes, counted: bool) -> None:
        """Take a dialog out of a profile it is in."""
        if (profile, value) in dialog.profiles:
            dialog.profiles.remove((profile, value))
            if counted:
                self.store.leave(self._services.rank, profile, value or None)

    def ended(self, dialog: Dialog) -> None:
        """Count a dialog no more that is over; its record still says where it was in."""
        for profile, value in dialog.profiles:
            self.store.leave(self._services.rank, profile, value or None)

    def counted_anew(self, dialog: Dialog) -> None:
        """Count a dialog that another process counted before."""
        for profile, value in dialog.profiles:
            self._count(profile, value)

    def watch(self, note: Attachment) -> None:
        """Take the counts back of a dialog that is not stored when its script has ended."""
        self._services.timers.schedule(_SETTLE_SECONDS, self._settle, note)

    def _settle(self, note: Attachment) -> None:
        dialog = note.dialog
        if dialog is not None and not note.is_stored and dialog.profiles:
            self.ended(dialog)
            note.profiles, dialog.profiles = dialog.profiles, []

    def stored(self, note: Attachment) -> None:
        """Count a dialog again whose script waited before it made the transaction."""
        dialog = note.dialog
        if dialog is not None and note.profiles:
            for profile, value in note.profiles:
                self.join(dialog, profile, value, True)
            note.profiles = []

    def _count(self, profile: bytes, value: bytes) -> None:
        if not self.store.join(self._services.rank, profile, value or None):
            self._services.log.error("dialog", "no room for the count of a profile")


def is_member(profiles: list[tuple[bytes, bytes]], profile: bytes, value: bytes | None) -> bool:
    """Tell whether memberships hold a profile, with this value unless it is None."""
    return any(name == profile and value in (None, held) for name, held in profiles)


def _names(declared: str) -> list[bytes]:
    return [name.encode() for name in re.split(r"[;\s]+", declared) if name]
