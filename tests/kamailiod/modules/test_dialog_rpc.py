"""The dialog's RPC commands beside those that list and end calls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kamailiod.modules.dialog_tracking.params import WITHOUT_EFFECT, DialogParams
from kamailiod.script.module import RpcFault, declared
from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import CALLEE, ProxiedCall, followed


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    call = followed(services, profiles_with_value="caller", profiles_no_value="all")
    call.prepare = lambda context: (
        call.dialogs.var_sets(context, b"user", b"alice"),
        call.dialogs.dlg_manage(context),
        call.dialogs.set_dlg_profile(context, b"caller", b"alice"),
        call.dialogs.set_dlg_profile_static(context, b"all"),
    )
    call.answer()
    call.dialogs.tracker.records.flush()
    return call


def test_end_dlg_adds_headers(call: ProxiedCall) -> None:
    dialog = call.dialog
    assert call.dialogs.end_dialog(dialog.h_entry, dialog.h_id, "X-Why: rpc\r\n") == {}
    assert {bye.header(b"x-why") for bye in call.sent(b"BYE")} == {b"rpc"}
    assert call.dialog is None


def test_set_state_ends_a_dialog_without_a_word(call: ProxiedCall) -> None:
    of_call = ("call-1@127.0.0.1", "caller", "callee")
    with pytest.raises(RpcFault, match="Invalid state value"):
        call.dialogs.set_state(*of_call, 6)
    with pytest.raises(RpcFault, match="Dialog not found"):
        call.dialogs.set_state("x", "y", "z", 5)
    assert call.dialogs.set_state(*of_call, 3) == "Done"
    assert call.dialog.state == State.UNACKNOWLEDGED
    assert call.dialogs.set_state(*of_call, 5) == "Done"
    assert call.dialog is None
    assert call.sent(b"BYE") == []
    assert call.script.events == ["dialog:start"]
    assert call.dialogs.profiles.store.size(b"caller") == 0
    assert call.services.statistics.counts["dialog:active_dialogs"] == 0


def test_a_file_of_all_dialogs(call: ProxiedCall, tmp_path: Path) -> None:
    file = tmp_path / "dialogs.json"
    assert call.dialogs.dump_file(str(file)) == {}
    assert call.dialogs.dump_file(str(file)) == {}
    first, second = (json.loads(line) for line in file.read_text().splitlines())
    assert first == second
    assert first["call_id"] == "call-1@127.0.0.1"
    assert first["profiles"] == {"caller": "alice", "all": ""}
    assert first["variables"] == {"user": "alice"}
    with pytest.raises(RpcFault, match="cannot write"):
        call.dialogs.dump_file(str(tmp_path / "no" / "folder"))


def test_lists_with_context_are_the_lists(call: ProxiedCall) -> None:
    dialogs = call.dialogs
    assert dialogs.list_dialogs_with_context() == dialogs.list_dialogs()
    assert dialogs.list_call_with_context("call-1@127.0.0.1", "caller") == dialogs.list_dialogs()
    assert dialogs.list_match_with_context("callid", "eq", "x") == []
    started = str(int(call.now) - 1)
    assert dialogs.list_match_with_context("start_ts", "gt", started) == dialogs.list_dialogs()


def test_bridge_dlg(call: ProxiedCall) -> None:
    assert call.dialogs.bridge_dialog(f"sip:bob@127.0.0.1:{CALLEE}", "sip:x@127.0.0.1") == {}
    assert len(call.sent(b"INVITE")) == 2
    call.services.tell_worker = lambda *arguments: False  # type: ignore[method-assign]  # a fake of a fake
    with pytest.raises(RpcFault):
        call.dialogs.bridge_dialog("sip:a@b", "sip:c@d")


def test_all_commands_are_there() -> None:
    from kamailiod.modules.dialog import Dialogs

    names = {declaration.name for _, declaration in declared(Dialogs, "rpc")}
    assert names == {
        f"dlg.{name}"
        for name in (
            "briefing", "list", "dump_file", "list_ctx", "list_match", "list_match_ctx",
            "dlg_list", "dlg_list_ctx", "end_dlg", "profile_get_size", "profile_list",
            "bridge_dlg", "terminate_dlg", "set_state", "stats_active", "is_alive",
        )
    }  # fmt: skip


def test_few_modparams_are_without_effect() -> None:
    assert len(WITHOUT_EFFECT) == 13
    assert set(WITHOUT_EFFECT) <= set(DialogParams.__slots__)
