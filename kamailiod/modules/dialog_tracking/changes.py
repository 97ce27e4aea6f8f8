"""Changes of a dialog that scripts and RPC ask for, made by the process that owns the dialog.

Owns the way there: another process's change of a dialog is handed to the owner, whose copy is the
newest. What follows a call changes its own dialogs directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.profiles import Profiles
from kamailiod.modules.dialog_tracking.records import Records
from kamailiod.sip.dialog import State
from shm import Dialog

if TYPE_CHECKING:
    from kamailiod.script.services import Services

_NAME = "dialog.change"


class Changes:
    """The changes by name; `clock` gives unix seconds."""

    def __init__(
        self, services: Services, records: Records, profiles: Profiles,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self._services = services
        self._records = records
        self.profiles = profiles
        self.clock = clock
        services.on_worker(_NAME, self._take)

    def make(self, dialog: Dialog, name: str, *arguments: object, is_stored: bool = True) -> bool:
        """Change a dialog here, for the running script, and at its owner.

        False when its owner cannot be told. A dialog that is not stored yet is this process's.
        """
        owned = not is_stored or dialog.owner == self._services.rank
        _CHANGES[name](self, dialog, owned, *arguments)
        if not is_stored or dialog.state == State.DELETED:
            return True
        if owned:
            self._records.write_later(dialog)
            return True
        return self.ask(dialog, name, *arguments)

    def ask(self, dialog: Dialog, name: str, *arguments: object) -> bool:
        """Have the owner of a dialog change it; False when it cannot be told."""
        return self._services.tell_worker(
            dialog.owner, _NAME, dialog.h_entry, dialog.h_id, name, *arguments
        )

    def _take(self, h_entry: int, h_id: int, name: str, *arguments: object) -> None:
        dialog = self._records.get(h_entry, h_id)
        if dialog is not None and dialog.owner == self._services.rank:
            self.make(dialog, name, *arguments)

    def _variable(self, dialog: Dialog, owned: bool, name: bytes, value: bytes | None) -> None:
        if value is None:
            dialog.variables.pop(name, None)
        else:
            dialog.variables[name] = value

    def _flags(self, dialog: Dialog, owned: bool, value: int) -> None:
        dialog.sflags = value

    def _properties(self, dialog: Dialog, owned: bool, mask: int, value: bool) -> None:
        dialog.flags = dialog.flags | mask if value else dialog.flags & ~mask

    def _lifetime(self, dialog: Dialog, owned: bool, seconds: int) -> None:
        dialog.timeout = seconds
        if dialog.state == State.CONFIRMED:
            dialog.expires = int(self.clock()) + seconds

    def _toroute(self, dialog: Dialog, owned: bool, name: bytes) -> None:
        dialog.toroute = name

    def _join(self, dialog: Dialog, owned: bool, profile: bytes, value: bytes) -> None:
        self.profiles.join(dialog, profile, value, owned)

    def _leave(self, dialog: Dialog, owned: bool, profile: bytes, value: bytes) -> None:
        self.profiles.leave(dialog, profile, value, owned)


_CHANGES: Mapping[str, Callable[..., None]] = {
    "variable": Changes._variable,
    "flags": Changes._flags,
    "properties": Changes._properties,
    "lifetime": Changes._lifetime,
    "toroute": Changes._toroute,
    "join": Changes._join,
    "leave": Changes._leave,
}
