"""Calls over a restart of the server: dialogs come back from SQLite, end and are accounted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from kamailiod.script.table_layouts import create_tables
from tests.end_to_end.kemi import CONFIG, PROXY
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Call, Peer

MakePhone = Callable[..., Peer]

SCRIPT = """
function new_call()
    KSR.dialog.dlg_manage()
    KSR.dialog.var_sets("user", KSR.pv.get("$fU"))
    KSR.dialog.set_dlg_profile("caller", KSR.pv.get("$fU"))
    KSR.pv.seti("$dlg_ctx(timeout_bye)", 1)
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end
function dialog_end()
    KSR.info("ended: " .. KSR.dialog.var_get("user") .. "\\n")
end
"""
MORE = """
loadmodule "dialog.so"
modparam("acc", "cdr_enable", 1)
modparam("acc", "cdr_expired_dlg_enable", 1)
modparam("dialog", "profiles_with_value", "caller")
modparam("dialog", "db_url", "sqlite:///dialogs.sqlite")
modparam("dialog", "db_mode", {mode})
modparam("dialog", "default_timeout", {timeout})
"""


class Restarted:
    """One server after the other, on the same ports and in the same folder."""

    def __init__(self, folder: Path, mode: int, timeout: int) -> None:
        self._folder = folder
        self._config = CONFIG.format(more=MORE.format(mode=mode, timeout=timeout))
        self._first: RunningServer | None = None
        create_tables(f"sqlite:///{folder}/dialogs.sqlite", ["dialog", "dialog_vars"])

    def start(self) -> RunningServer:
        files: dict[str, Path | str] = {"script.lua": PROXY + SCRIPT}
        server = RunningServer(self._folder, self._config, files=files, http=True)
        if self._first is not None:
            server.port, server.http_port = self._first.port, self._first.http_port
            server.command = self._first.command
        self._first = server
        return server


def call(alice: Peer, bob: Peer) -> Call:
    asked = alice.invite(f"bob+{bob.port}")
    bob.reply(bob.expect("INVITE"), 200)
    dialog = alice.answered(asked, alice.expect(200))
    bob.expect("ACK")
    return dialog


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_a_call_of_before_a_restart_ends(
    tmp_path: Path, stack: ExitStack, phone: MakePhone, mode: int
) -> None:
    servers = Restarted(tmp_path, mode, 3600)
    with servers.start() as first:
        alice, bob = phone(first), phone(first, "bob")
        dialog = call(alice, bob)
        assert first.ctl("rpc", "dlg.profile_get_size", "caller", "alice").strip() == "1"
    second = stack.enter_context(servers.start())
    assert second.ctl("rpc", "dlg.profile_get_size", "caller", "alice").strip() == "1"
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)
    second.wait_for_log("ended: alice")
    second.wait_for_log(r"start_time=\S+; end_time=\S+; duration=")
    assert second.ctl("rpc", "dlg.profile_get_size", "caller").strip() == "0"


def test_a_call_whose_time_comes_after_a_restart_ends(
    tmp_path: Path, stack: ExitStack, phone: MakePhone
) -> None:
    servers = Restarted(tmp_path, 1, 3)
    with servers.start() as first:
        alice, bob = phone(first), phone(first, "bob")
        call(alice, bob)
        first.wait_for_log("SIP on")
    second = stack.enter_context(servers.start())
    for side in (alice, bob):
        side.reply(side.expect("BYE", 12), 200)
    second.wait_for_log("ended: alice")
    second.wait_for_log("duration=")
