"""The dialog's RPC commands, dlg.*.

They run in the RPC process: they read shared memory, and have a call's own worker end it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kamailiod.modules.dialog_tracking.listing import (
    BRIEF,
    MATCHED,
    OPERATORS,
    described,
    file_line,
)
from kamailiod.modules.dialog_tracking.tracker import Tracker
from kamailiod.script.module import Module, RpcFault, rpc
from kamailiod.sip.dialog import State
from shm import Dialog, DialogStore, Direction


class DialogCommands(Module):
    """The RPC commands; `store` and `tracker` are the module's."""

    store: DialogStore
    tracker: Tracker

    def owner(self, dialog: Dialog) -> int:
        """The rank of the worker that has the call."""
        raise NotImplementedError

    def is_local(self, dialog: Dialog) -> bool:
        """Whether a dialog's own address is one of this server's."""
        raise NotImplementedError

    @rpc("dlg.list")
    def list_dialogs(self) -> object:
        """List all dialogs with all their fields."""
        return self._described(self.store.items())

    @rpc("dlg.list_ctx")
    def list_dialogs_with_context(self) -> object:
        """List all dialogs; no module adds anything to them here."""
        return self.list_dialogs()

    @rpc("dlg.dump_file")
    def dump_file(self, path: str) -> object:
        """Append all dialogs to a file, a line of JSON each."""
        now = int(self.tracker.clock())
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.writelines(f"{file_line(dialog, now)}\n" for dialog in self.store.items())
        except OSError as error:
            raise RpcFault(500, f"cannot write {path}: {error.strerror}") from None
        return {}

    @rpc("dlg.dlg_list")
    def list_call(self, callid: str, ftag: str = "") -> object:
        """List the dialogs of one Call-ID, or the one that also has this From tag."""
        return self._described(self._of_call(callid, ftag)) or {}

    @rpc("dlg.dlg_list_ctx")
    def list_call_with_context(self, callid: str, ftag: str = "") -> object:
        """List the dialogs of one Call-ID; no module adds anything to them here."""
        return self.list_call(callid, ftag)

    @rpc("dlg.list_match")
    def list_match(self, key: str, op: str, value: str, limit: int = 0) -> object:
        """List dialogs whose ruri, furi, turi, callid, sflags or start_ts fits a value.

        Operators are eq, ne, re and sw for text, eq, lt and gt for numbers.
        """
        if key not in MATCHED:
            raise RpcFault(500, "Invalid matching key parameter")
        if op not in OPERATORS:
            raise RpcFault(500, "Invalid matching operator parameter")
        read, operator = MATCHED[key], OPERATORS[op]
        found = [dialog for dialog in self.store.items() if operator(read(dialog), value)]
        return self._described(found[:limit] if limit > 0 else found)

    @rpc("dlg.list_match_ctx")
    def list_match_with_context(self, key: str, op: str, value: str, limit: int = 0) -> object:
        """List matching dialogs; no module adds anything to them here."""
        return self.list_match(key, op, value, limit)

    @rpc("dlg.briefing")
    def briefing(self, fields: str = "ftcFT") -> object:
        """List all dialogs shortly; `fields` picks by letter which fields beside the numbers."""
        picked = [BRIEF[letter] for letter in fields if letter in BRIEF]
        return [
            {"h_entry": dialog.h_entry, "h_id": dialog.h_id}
            | {name: read(dialog) for name, read in picked}
            for dialog in self.store.items()
        ]

    @rpc("dlg.stats_active")
    def stats_active(self, mode: int = 0) -> object:
        """Count the dialogs by state; with a mode only those of this server's addresses."""
        counts = self.store.counts()
        if mode:
            counts = Counter(held.state for held in self.store.items() if self.is_local(held))
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
    def end_dialog(self, h_entry: int, h_id: int, headers: str = "") -> object:
        """End a call, found by its numbers, with BYE to both sides and these headers in it."""
        dialog = self.store.get(h_entry, h_id)
        if dialog is None:
            raise RpcFault(404, "Dialog not found")
        return self._ask_to_end(dialog, headers)

    @rpc("dlg.set_state")
    def set_state(self, callid: str, ftag: str, ttag: str, state: int = 5) -> object:
        """Force a dialog into a state; 5 removes it without events and BYE."""
        if not State.UNCONFIRMED <= state <= State.DELETED:
            raise RpcFault(500, "Invalid state value")
        dialog = self._find(callid, ftag, ttag, "Dialog not found")
        self._tell(dialog, "dialog.state", state)
        return "Done"

    @rpc("dlg.bridge_dlg")
    def bridge_dialog(self, caller: str, callee: str, proxy: str = ".", body: str = ".") -> object:
        """Call somebody and refer it to somebody else; "." for no proxy and a body of ours.

        The body is that of the INVITE; "_" sends it without.
        """
        sdp = None if body == "." else b"" if body in ("", "_") else body.encode()
        over = b"" if proxy == "." else proxy.encode()
        call = (caller.encode(), callee.encode(), over, sdp)
        if not self.services.tell_worker(1, "dialog.bridge", *call):
            raise RpcFault(500, "No worker can be reached")
        return {}

    @rpc("dlg.is_alive")
    def is_alive(self, callid: str, ftag: str, ttag: str) -> object:
        """Tell whether a call goes on: answered and not ended."""
        found = self.store.find(callid.encode(), ftag.encode(), ttag.encode())
        if found is None:
            raise RpcFault(404, "Dialog not found")
        if found[0].state != State.CONFIRMED:
            raise RpcFault(500, "Dialog not in confirmed state")
        return "Alive"

    def _find(self, callid: str, ftag: str, ttag: str, missing: str) -> Dialog:
        found = self.store.find(callid.encode(), ftag.encode(), ttag.encode())
        if found is None:
            raise RpcFault(500, missing)
        return found[0]

    def _ask_to_end(self, dialog: Dialog, headers: str = "") -> object:
        sides = [int(side) for side in Direction]
        self._tell(dialog, "dialog.terminate", sides, headers.encode())
        return {}

    def _tell(self, dialog: Dialog, name: str, *arguments: object) -> None:
        rank = self.owner(dialog)
        if not self.services.tell_worker(rank, name, dialog.h_entry, dialog.h_id, *arguments):
            raise RpcFault(500, "The call's worker cannot be reached")

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
