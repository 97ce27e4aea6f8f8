"""The dialog's RPC commands, dlg.*.

They run in the RPC process: they read shared memory, and have a call's own worker end it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.script.module import Module, RpcFault, rpc
from kamailiod.sip.dialog import State
from shm import Dialog, DialogStore


class DialogCommands(Module):
    """The RPC commands; `store` and `tracker` are the module's."""

    store: DialogStore
    tracker: Tracker

    def owner(self, dialog: Dialog) -> int:
        """The rank of the worker that has the call."""
        raise NotImplementedError

    @rpc("dlg.list")
    def list_dialogs(self) -> object:
        """List all dialogs with all their fields."""
        return self._described(self.store.items())

    @rpc("dlg.dlg_list")
    def list_call(self, callid: str, ftag: str = "") -> object:
        """List the dialogs of one Call-ID, or the one that also has this From tag."""
        return self._described(self._of_call(callid, ftag)) or {}

    @rpc("dlg.list_match")
    def list_match(self, key: str, op: str, value: str, limit: int = 0) -> object:
        """List dialogs whose ruri, furi, turi, callid, sflags or stimestamp fits a value.

        Operators are eq, ne, re and sw for text, eq, lt and gt for numbers.
        """
        if key not in _MATCHED:
            raise RpcFault(500, "Invalid matching key parameter")
        if op not in _OPERATORS:
            raise RpcFault(500, "Invalid matching operator parameter")
        read, operator = _MATCHED[key], _OPERATORS[op]
        found = [dialog for dialog in self.store.items() if operator(read(dialog), value)]
        return self._described(found[:limit] if limit > 0 else found)

    @rpc("dlg.briefing")
    def briefing(self, fields: str = "ftcFT") -> object:
        """List all dialogs shortly; `fields` picks by letter which fields beside the numbers."""
        picked = [_BRIEF[letter] for letter in fields if letter in _BRIEF]
        return [
            {"h_entry": dialog.h_entry, "h_id": dialog.h_id}
            | {name: read(dialog) for name, read in picked}
            for dialog in self.store.items()
        ]

    @rpc("dlg.stats_active")
    def stats_active(self, mode: int = 0) -> object:
        """Count the dialogs by state."""
        counts = self.store.counts()
        answer = {
            "starting": counts[State.UNCONFIRMED],
            "connecting": counts[State.EARLY],
            "answering": counts[State.UNACKNOWLEDGED],
            "ongoing": counts[State.CONFIRMED],
        }
        return answer | {"all": sum(answer.values())}

    @rpc("dlg.terminate_dlg")
    def terminate(self, callid: str, ftag: str, ttag: str) -> object:
        """End a call, found by its Call-ID and tags, with BYE to both sides."""
        return self._ask_to_end(self._find(callid, ftag, ttag, "Couldnt find callid in dialog"))

    @rpc("dlg.end_dlg")
    def end_dialog(self, h_entry: int, h_id: int) -> object:
        """End a call, found by its numbers, with BYE to both sides."""
        dialog = self.store.get(h_entry, h_id)
        if dialog is None:
            raise RpcFault(404, "Dialog not found")
        return self._ask_to_end(dialog)

    @rpc("dlg.is_alive")
    def is_alive(self, callid: str, ftag: str, ttag: str) -> object:
        """Tell whether a dialog goes on."""
        found = self.store.find(callid.encode(), ftag.encode(), ttag.encode())
        if found is None:
            raise RpcFault(404, "Dialog not found")
        return "Alive"

    def _find(self, callid: str, ftag: str, ttag: str, missing: str) -> Dialog:
        found = self.store.find(callid.encode(), ftag.encode(), ttag.encode())
        if found is None:
            raise RpcFault(500, missing)
        return found[0]

    def _ask_to_end(self, dialog: Dialog) -> object:
        rank = self.owner(dialog)
        if not self.services.tell_worker(rank, "dialog.terminate", dialog.h_entry, dialog.h_id):
            raise RpcFault(500, "The call's worker cannot be reached")
        return {}

    def _of_call(self, callid: str, ftag: str) -> list[Dialog]:
        wanted, tag = callid.encode(), ftag.encode()
        return [
            dialog
            for dialog in self.store.items()
            if dialog.call_id == wanted and (not tag or dialog.from_tag == tag)
        ]

    def _described(self, dialogs: Iterable[Dialog]) -> list[dict[str, object]]:
        now = int(self.tracker.clock())
        return [described(dialog, now) for dialog in dialogs]


def described(dialog: Dialog, now: int) -> dict[str, object]:
    """Return a dialog as dlg.list shows it."""
    return {
        "h_entry": dialog.h_entry,
        "h_id": dialog.h_id,
        "ref": 1,
        "call-id": _shown(dialog.call_id),
        "from_uri": _shown(dialog.from_uri),
        "to_uri": _shown(dialog.to_uri),
        "state": int(dialog.state),
        "start_ts": dialog.start_time,
        "init_ts": dialog.init_time,
        "end_ts": 0,
        "duration": now - dialog.start_time if dialog.start_time else 0,
        "timeout": dialog.expires,
        "lifetime": dialog.timeout,
        "dflags": dialog.flags,
        "sflags": dialog.sflags,
        "iflags": dialog.flags,
        "caller": {
            "tag": _shown(dialog.from_tag),
            "contact": _shown(dialog.from_contact),
            "cseq": _shown(dialog.from_cseq),
            "route_set": _shown(dialog.from_route_set),
            "socket": _shown(dialog.from_socket),
        },
        "callee": {
            "tag": _shown(dialog.to_tag),
            "contact": _shown(dialog.to_contact),
            "cseq": _shown(dialog.to_cseq),
            "route_set": _shown(dialog.to_route_set),
            "socket": _shown(dialog.to_socket),
        },
        "profiles": [{_shown(name): _shown(value)} for name, value in dialog.profiles],
        "variables": [{_shown(name): _shown(value)} for name, value in dialog.variables.items()],
    }


def _shown(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_BRIEF: Mapping[str, tuple[str, Callable[[Dialog], object]]] = {
    "f": ("from_uri", lambda dialog: _shown(dialog.from_uri)),
    "t": ("to_uri", lambda dialog: _shown(dialog.to_uri)),
    "c": ("call-id", lambda dialog: _shown(dialog.call_id)),
    "F": ("from_tag", lambda dialog: _shown(dialog.from_tag)),
    "T": ("to_tag", lambda dialog: _shown(dialog.to_tag)),
    "I": ("init_ts", lambda dialog: dialog.init_time),
    "S": ("start_ts", lambda dialog: dialog.start_time),
    "E": ("end_ts", lambda dialog: 0),
    "s": ("state", lambda dialog: int(dialog.state)),
}

_MATCHED: Mapping[str, Callable[[Dialog], str]] = {
    "ruri": lambda dialog: _shown(dialog.request_uri),
    "furi": lambda dialog: _shown(dialog.from_uri),
    "turi": lambda dialog: _shown(dialog.to_uri),
    "callid": lambda dialog: _shown(dialog.call_id),
    "sflags": lambda dialog: str(dialog.sflags),
    "stimestamp": lambda dialog: str(dialog.start_time),
}

_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda held, value: held == value,
    "ne": lambda held, value: held != value,
    "sw": lambda held, value: held.startswith(value),
    "re": lambda held, value: re.search(value, held) is not None,
    "lt": lambda held, value: held.isdigit() and value.isdigit() and int(held) < int(value),
    "gt": lambda held, value: held.isdigit() and value.isdigit() and int(held) > int(value),
}
