"""The script's functions and RPC commands about dialog profiles.

Owns their names and answers; memberships and counts are profiles.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

from kamailiod.modules.dialog_tracking.attachment import attachment
from kamailiod.modules.dialog_tracking.changes import Changes
from kamailiod.modules.dialog_tracking.listing import described
from kamailiod.modules.dialog_tracking.profiles import Profiles, is_member
from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, RpcFault, Variable, kemi, rpc
from shm import Dialog, DialogStore

_TRANSACTION_ROUTES = Route.REQUEST | Route.FAILURE | Route.ONREPLY | Route.REPLY | Route.BRANCH


class DialogProfiles(Module):
    """What scripts and RPC ask of profiles; the attributes are the module's."""

    store: DialogStore
    tracker: Tracker
    profiles: Profiles
    changes: Changes

    @kemi("dialog.set_dlg_profile_static", native="set_dlg_profile")
    def set_dlg_profile_static(self, context: Context, profile: bytes) -> int:
        """Put the dialog, or the one to come, into a profile without values."""
        return self.set_dlg_profile(context, profile, b"")

    @kemi("dialog.set_dlg_profile")
    def set_dlg_profile(self, context: Context, profile: bytes, value: bytes) -> int:
        """Put the dialog, or the one to come, into a profile with a value; -1: not declared."""
        checked = self._value(profile, value)
        if checked is None:
            return -1
        note = attachment(context)
        if note.dialog is None:
            if not context.message.is_request:
                return -1
            note.profiles.append((profile, checked))
            return 1
        if not note.is_stored and not note.dialog.profiles:
            self.profiles.watch(note)
        self.changes.make(note.dialog, "join", profile, checked, is_stored=note.is_stored)
        return 1

    @kemi("dialog.unset_dlg_profile_static", native="unset_dlg_profile", routes=_TRANSACTION_ROUTES)
    def unset_dlg_profile_static(self, context: Context, profile: bytes) -> int:
        """Take the dialog out of a profile without values."""
        return self.unset_dlg_profile(context, profile, b"")

    @kemi("dialog.unset_dlg_profile", routes=_TRANSACTION_ROUTES)
    def unset_dlg_profile(self, context: Context, profile: bytes, value: bytes) -> int:
        """Take the dialog out of a profile; -1 when it is not in it with this value."""
        checked = self._value(profile, value)
        note = attachment(context)
        held = note.dialog.profiles if note.dialog is not None else note.profiles
        if checked is None or (profile, checked) not in held:
            return -1
        if note.dialog is None:
            note.profiles.remove((profile, checked))
        else:
            self.changes.make(note.dialog, "leave", profile, checked, is_stored=note.is_stored)
        return 1

    @kemi("dialog.is_in_profile_static", native="is_in_profile")
    def is_in_profile_static(self, context: Context, profile: bytes) -> int:
        """Tell whether the dialog is in a profile without values."""
        return self.is_in_profile(context, profile, b"")

    @kemi("dialog.is_in_profile")
    def is_in_profile(self, context: Context, profile: bytes, value: bytes) -> int:
        """Tell whether the dialog is in a profile with this value."""
        checked = self._value(profile, value)
        dialog = attachment(context).dialog
        if checked is None or dialog is None:
            return -1
        return 1 if is_member(dialog.profiles, profile, checked) else -1

    @kemi("dialog.get_profile_size_static", native="get_profile_size")
    def get_profile_size_static(
        self, context: Context, profile: bytes, destination: Variable
    ) -> int:
        """Set an AVP or script variable to the number of dialogs in a profile without values."""
        return self.get_profile_size(context, profile, b"", destination)

    @kemi("dialog.get_profile_size", native=())
    def get_profile_size(
        self, context: Context, profile: bytes, value: bytes, destination: Variable
    ) -> int:
        """Set an AVP or script variable to the number of dialogs in a profile with a value."""
        checked = self._value(profile, value)
        if checked is None or not destination.startswith((b"$avp(", b"$var(")):
            return -1
        accessor = self.services.variables.compile(destination)
        if accessor is None:
            return -1
        size = self.profiles.store.size(profile, checked or None)
        return 1 if accessor.set(context, size) else -1

    @kemi(native="get_profile_size")
    def profile_size_in_native_routes(
        self, context: Context, profile: bytes, value: Variable, destination: Variable
    ) -> int:
        """Do as get_profile_size; the value is expanded here, as it may be named like one."""
        expanded = self.services.variables.format(value).expand(context)
        return self.get_profile_size(context, profile, expanded, destination)

    @kemi(native="dlg_set_timeout_by_profile")
    def set_timeout_by_profile_static(self, context: Context, profile: bytes, timeout: int) -> int:
        """Set the lifetime of all dialogs in a profile, in seconds from now on."""
        return self._set_timeouts(profile, None, timeout)

    @kemi(native="dlg_set_timeout_by_profile")
    def set_timeout_by_profile(
        self, context: Context, profile: bytes, value: bytes, timeout: int
    ) -> int:
        """Set the lifetime of all dialogs in a profile with a value."""
        return self._set_timeouts(profile, value, timeout)

    def _set_timeouts(self, profile: bytes, value: bytes | None, timeout: int) -> int:
        with_value = self.profiles.with_value.get(profile)
        if with_value is None or timeout <= 0 or (with_value and value == b""):
            return -1
        for dialog in self._members(profile, value if with_value else None):
            self.changes.ask(dialog, "lifetime", timeout)
        return 1

    @kemi(native="dlg_remote_profile")
    def remote_profile(
        self, context: Context, cmd: bytes, profile: bytes, value: bytes, uid: bytes, expires: int
    ) -> int:
        """Count ("add") or count no more ("rm") a member that another server has."""
        with_value = self.profiles.with_value.get(profile)
        if with_value is None or cmd not in (b"add", b"rm"):
            return -1
        member = value if with_value else None
        store = self.profiles.store
        if cmd == b"add":
            return 1 if store.add_remote(profile, member, uid, expires) else -1
        return 1 if store.remove_remote(profile, member, uid) else -1

    def _value(self, profile: bytes, value: bytes) -> bytes | None:
        # b"" for a profile without values, None for what cannot be.
        with_value = self.profiles.with_value.get(profile)
        if with_value is None:
            self.services.log.error("dialog", f"profile <{profile.decode('latin-1')}> not defined")
            return None
        if not with_value:
            return b""
        return value or None

    def _members(self, profile: bytes, value: bytes | None) -> Iterator[Dialog]:
        return (held for held in self.store.items() if is_member(held.profiles, profile, value))

    @rpc("dlg.profile_get_size")
    def profile_size(self, profile: str, value: str = "") -> object:
        """Count the dialogs in a profile, or in it with a value."""
        name = self._known_profile(profile)
        wanted = value.encode() if value and self.profiles.with_value[name] else None
        return self.profiles.store.size(name, wanted)

    @rpc("dlg.profile_list")
    def profile_list(self, profile: str, value: str = "") -> object:
        """List the dialogs in a profile, or in it with a value."""
        name = self._known_profile(profile)
        wanted = value.encode() if value and self.profiles.with_value[name] else None
        now = int(self.tracker.clock())
        return [described(dialog, now) for dialog in self._members(name, wanted)]

    def _known_profile(self, profile: str) -> bytes:
        name = profile.encode()
        if name not in self.profiles.with_value:
            raise RpcFault(404, f"Profile not found: {profile}")
        return name
