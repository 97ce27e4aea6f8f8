"""Every function of the dialog module from Lua, as scripts call them; others have profiles, DB."""

from __future__ import annotations

import pytest

from kamailiod.modules.dialog_tracking.attachment import attached_dialog
from kamailiod.script.context import Context
from kamailiod.script.functions import native_functions
from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.proxied_call import CALLEE, CALLER, ProxiedCall


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return ProxiedCall(services, bridge_controller="sip:ctd@127.0.0.1").start()


@pytest.fixture
def lua(call: ProxiedCall) -> LuaCalls:
    return LuaCalls(call.services, [call.dialogs])


@pytest.fixture
def within(call: ProxiedCall, lua: LuaCalls) -> Context:
    """A request within a call that a script follows."""

    def prepare(context: Context) -> None:
        assert lua(context, "return KSR.dialog.dlg_manage()") == 1

    call.prepare = prepare
    call.answer()
    return call.request(b"INFO", 2, to_tag=b"callee")


def flushed(call: ProxiedCall) -> object:
    call.dialogs.tracker.records.flush()
    return call.dialog


def test_variables(call: ProxiedCall, lua: LuaCalls, within: Context) -> None:
    for text, expected in (
        ('var_sets("a", "1")', 1), ('var_get("a")', b"1"), ('var_gete("a")', b"1"),
        ('var_getw("a")', b"1"), ('var_is_null("a")', -1), ('var_rm("a")', 1),
        ('var_get("a")', None), ('var_gete("a")', b""), ('var_getw("a")', b"<null>"),
        ('var_is_null("a")', 1), ('set_dlg_var("n", 17)', 1), ('get_dlg_var("n")', b"17"),
        ('get_dlg_var("none")', None),
    ):  # fmt: skip
        assert lua(within, f"return KSR.dialog.{text}") == expected, text
    assert flushed(call).variables == {b"n": b"17"}  # type: ignore[attr-defined]  # a record


def test_the_lifetime(call: ProxiedCall, lua: LuaCalls, within: Context) -> None:
    numbers = f"{call.dialog.h_entry}, {call.dialog.h_id}"
    for text, seconds in (
        ("dlg_set_timeout(100)", 100), ("set_dlg_timeout(200)", 200),
        (f"dlg_set_timeout_id(300, {numbers})", 300),
    ):  # fmt: skip
        assert lua(within, f"return KSR.dialog.{text}") == 1
        assert flushed(call).expires == call.now + seconds  # type: ignore[attr-defined]  # a record
    assert lua(within, "return KSR.dialog.dlg_set_timeout(0)") == -1
    assert lua(within, "return KSR.dialog.dlg_set_timeout_id(5, 1, 2)") == -1


def test_flags_and_properties(call: ProxiedCall, lua: LuaCalls, within: Context) -> None:
    for text, expected in (
        ("dlg_setflag(5)", 1), ("dlg_isflagset(5)", 1), ("dlg_isflagset(6)", -1),
        ("dlg_setflag(32)", -1), ("dlg_resetflag(-1)", -1), ('dlg_set_property("ka-src")', 1),
        ('dlg_set_property("ka-dst")', 1), ('dlg_set_property("timeout-noreset")', 1),
        ('dlg_reset_property("ka-dst")', 1), ('dlg_set_property("other")', -1),
    ):  # fmt: skip
        assert lua(within, f"return KSR.dialog.{text}") == expected, text
    dialog = flushed(call)
    assert (dialog.sflags, dialog.flags) == (32, 10)  # type: ignore[attr-defined]  # a record
    assert lua(within, "return KSR.dialog.dlg_resetflag(5)") == 1
    assert lua(within, "return KSR.dialog.dlg_isflagset(5)") == -1


def test_finding_a_dialog(call: ProxiedCall, lua: LuaCalls, within: Context) -> None:
    assert lua(within, "return KSR.dialog.is_known_dlg()") == 1
    context = call.services.faked_context()
    assert lua(context, "return KSR.dialog.is_known_dlg()") == -1
    assert lua(context, 'return KSR.dialog.dlg_get("", "x", "y")') == -1
    assert lua(context, 'return KSR.dialog.dlg_get("call-1@127.0.0.1", "x", "y")') == -1
    assert lua(context, 'return KSR.dialog.dlg_get("call-1@127.0.0.1", "callee", "caller")') == 1
    assert call.dialogs.dialog_context(context, b"dir", None) == 2
    assert lua(context, "return KSR.dialog.is_known_dlg()") == 1


@pytest.mark.parametrize(
    ("side", "ports"), [("all", {CALLER, CALLEE}), ("caller", {CALLER}), ("CALLEE", {CALLEE})]
)
def test_bye(
    call: ProxiedCall, lua: LuaCalls, within: Context, side: str, ports: set[int]
) -> None:
    assert lua(within, f'return KSR.dialog.dlg_bye("{side}")') == 1
    assert {int(bye.uri_text.rpartition(b":")[2]) for bye in call.sent(b"BYE")} == ports
    assert call.dialog is None
    assert call.script.events == ["dialog:start", "dialog:end"]
    assert lua(within, f'return KSR.dialog.dlg_bye("{side}")') == -1
    assert lua(call.services.faked_context(), 'return KSR.dialog.dlg_bye("all")') == -1


def test_refer_asks_one_side_and_ends_its_part(call: ProxiedCall, within: Context) -> None:
    refer = native_functions([call.dialogs])["dlg_refer/2"].call
    assert refer(within, b"nobody", b"sip:x@127.0.0.1") == -1
    assert refer(within, b"callee", b"") == -1
    assert refer(within, b"callee", b"sip:x@127.0.0.1") == 1
    (sent,) = call.sent(b"REFER")
    assert sent.header(b"refer-to") == b"sip:x@127.0.0.1"
    assert sent.header(b"referred-by") == b"sip:ctd@127.0.0.1"
    assert sent.cseq[0] == 3
    call.reply(202, b"Accepted")
    (bye,) = call.sent(b"BYE")
    assert (bye.uri_text, bye.cseq[0]) == (b"sip:bob@127.0.0.1:%d" % CALLEE, 4)
    assert call.dialog is not None


def test_bridge_calls_refers_and_leaves(call: ProxiedCall, lua: LuaCalls) -> None:
    context = call.services.faked_context()
    assert lua(context, 'return KSR.dialog.dlg_bridge("", "sip:x@127.0.0.1", "")') == -1
    text = 'return KSR.dialog.dlg_bridge("sip:bob@127.0.0.1:%d", "sip:x@127.0.0.1:1", "")'
    assert lua(context, text % CALLEE) == 1
    (invite,) = call.sent(b"INVITE")
    assert invite.from_.uri_text == b"sip:ctd@127.0.0.1"
    assert b"c=IN IP4 0.0.0.0" in invite.body
    call.reply(200, more=(b"Record-Route: <sip:127.0.0.1:6001;lr>",))
    (ack,) = call.sent(b"ACK")
    assert (ack.cseq[0], ack.uri_text) == (1, b"sip:bob@127.0.0.1:%d" % CALLEE)
    assert ack.header(b"route") == b"<sip:127.0.0.1:6001;lr>"
    (refer,) = call.sent(b"REFER")
    assert (refer.cseq[0], refer.to_tag) == (2, b"callee")
    assert refer.header(b"refer-to") == b"sip:x@127.0.0.1:1"
    call.reply(202, b"Accepted")
    (bye,) = call.sent(b"BYE")
    assert bye.cseq[0] == 3
    assert call.dialog is None


def test_a_bridge_that_is_refused_ends(call: ProxiedCall, lua: LuaCalls) -> None:
    call.dialogs.bridge_dialog(f"sip:bob@127.0.0.1:{CALLEE}", "sip:x@127.0.0.1", ".", "_")
    (invite,) = call.sent(b"INVITE")
    assert invite.body == b""
    call.reply(486, b"Busy Here")
    assert call.sent(b"REFER") == []


def test_the_target_of_a_request(call: ProxiedCall, within: Context) -> None:
    set_uri = native_functions([call.dialogs])["dlg_set_ruri/0"].call
    within.set_uri(b"sip:somebody@else")
    assert set_uri(within) == 1
    assert within.uri == b"sip:bob@127.0.0.1:%d" % CALLEE
    other = call.request(b"INFO", 9, from_callee=True)
    assert set_uri(other) == 1
    assert other.uri == b"sip:alice@127.0.0.1:%d" % CALLER
    assert set_uri(call.services.faked_context()) == -1


def test_the_variables_of_a_dialog(call: ProxiedCall, lua: LuaCalls, within: Context) -> None:
    dialog = attached_dialog(within)
    assert dialog is not None
    accessors = call.services.variables.accessors
    expected: dict[bytes, object] = {
        b"h_id": dialog.h_id, b"h_entry": dialog.h_entry, b"callid": call.call_id,
        b"from_uri": b"sip:alice@a.example", b"to_uri": b"sip:bob@b.example",
        b"from_tag": b"caller", b"to_tag": b"callee", b"state": int(State.CONFIRMED),
        b"toroute": None, b"lifetime": 43200, b"start_ts": int(call.now), b"dflags": 0,
        b"sflags": 0, b"from_cseq": b"2", b"to_cseq": b"0", b"from_rs": None, b"to_rs": None,
        b"from_contact": b"sip:alice@127.0.0.1:%d" % CALLER,
        b"to_contact": b"sip:bob@127.0.0.1:%d" % CALLEE, b"ref": 1,
        b"from_bindaddr": b"udp:127.0.0.1:5060", b"to_bindaddr": b"udp:127.0.0.1:5060",
        b"nothing": None,
    }  # fmt: skip
    for name, value in expected.items():
        assert accessors[b"$dlg(%s)" % name].get(within) == value, name
    for name in (b"flags", b"timeout_bye"):
        assert accessors[b"$dlg_ctx(%s)" % name].set(within, 1)
        assert accessors[b"$dlg_ctx(%s)" % name].get(within) == 1
    assert accessors[b"$dlg_ctx(set)"].get(within) == 1
    assert accessors[b"$dlg_ctx(dir)"].get(within) == 1
    assert accessors[b"$DLG_status"].get(within) == 4
    assert accessors[b"$DLG_lifetime"].get(within) == 0
    assert accessors[b"$DLG_count"].get(within) == 1


def test_the_numbers_are_known_before_the_dialog_is_stored(call: ProxiedCall) -> None:
    accessors = call.services.variables.accessors
    call.services.variables.register_module(call.dialogs)
    seen: list[object] = []

    def prepare(context: Context) -> None:
        call.dialogs.dlg_manage(context)
        seen.extend(accessors[b"$dlg(%s)" % name].get(context) for name in (b"h_entry", b"h_id"))

    call.prepare = prepare
    call.request(b"INVITE")
    assert seen == [call.dialog.h_entry, call.dialog.h_id]
