import msgpack
import pytest

from kamailiod.modules.dialog_tracking.attachment import NO_TIMEOUT_RESET, attached_dialog
from kamailiod.modules.dialog_tracking.params import WITHOUT_EFFECT, DialogParams
from kamailiod.script.context import Context, Route
from kamailiod.script.module import RpcFault, declared
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.modules.proxied_call import CALLEE, CALLER, ProxiedCall, followed


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return followed(services)


def test_dlg_bye_ends_one_side_or_both(call: ProxiedCall) -> None:
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    assert call.dialogs.dlg_bye(context, b"caller") == 1
    (bye,) = call.sent(b"BYE")
    assert bye.uri_text == b"sip:alice@127.0.0.1:%d" % CALLER
    assert call.dialog is None
    assert call.dialogs.dlg_bye(context, b"all") == -1


def test_dlg_get_makes_a_dialog_current(call: ProxiedCall) -> None:
    call.answer()
    context = call.services.faked_context()
    assert call.dialogs.is_known_dlg(context) == -1
    assert call.dialogs.dlg_get(context, call.call_id, b"caller", b"nobody") == -1
    assert call.dialogs.dlg_get(context, call.call_id, b"caller", b"callee") == 1
    assert call.dialogs.is_known_dlg(context) == 1
    assert call.dialogs.dialog(context, b"from_uri", None) == b"sip:alice@a.example"
    assert call.dialogs.status(context, b"", None) == 4
    assert call.dialogs.count(context, b"", None) == 1
    call.now += 12
    assert call.dialogs.lifetime(context, b"", None) == 12


def test_a_reply_without_transaction_finds_its_dialog_and_changes_nothing(
    call: ProxiedCall,
) -> None:
    call.answer()
    call.dialogs.tracker.records.flush()
    before = call.dialog
    reply = context_of(
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a>;tag=caller\r\n"
        b"To: <sip:b>;tag=callee\r\nCall-ID: %s\r\nCSeq: 99 INFO\r\n\r\n" % call.call_id,
        Route.REPLY,
    )
    assert call.dialogs.is_known_dlg(reply) == 1
    assert call.dialogs.dialog(reply, b"callid", None) == call.call_id
    call.dialogs.tracker.records.flush()
    assert call.dialog == before


def test_flags_and_properties(call: ProxiedCall) -> None:
    def prepare(context: Context) -> None:
        assert call.dialogs.dlg_setflag(context, 3) == 1
        assert call.dialogs.dlg_set_property(context, b"timeout-noreset") == 1
        call.dialogs.dlg_manage(context)
        assert attached_dialog(context).flags == NO_TIMEOUT_RESET
        assert call.dialogs.dlg_set_property(context, b"nonsense") == -1
        assert call.dialogs.dlg_setflag(context, 32) == -1

    call.prepare = prepare
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    assert call.dialogs.dlg_isflagset(context, 3) == 1
    assert call.dialogs.dlg_isflagset(context, 4) == -1
    assert call.dialogs.dlg_resetflag(context, 3) == 1
    assert call.dialogs.dlg_isflagset(context, 3) == -1
    assert call.dialogs.dlg_reset_property(context, b"timeout-noreset") == 1
    call.dialogs.tracker.records.flush()
    assert (call.dialog.sflags, call.dialog.flags) == (0, 0)


def test_the_context_variables_reach_the_dialog(call: ProxiedCall) -> None:
    def prepare(context: Context) -> None:
        for name, value in ((b"timeout", 33), (b"timeout_bye", 1), (b"timeout_route", b"LATE")):
            assert call.dialogs.set_dialog_context(context, name, None, value)
        assert not call.dialogs.set_dialog_context(context, b"dir", None, 1)
        assert call.dialogs.dialog_context(context, b"set", None) == 0
        call.dialogs.dlg_manage(context)
        assert call.dialogs.dialog_context(context, b"set", None) == 1

    call.prepare = prepare
    call.answer()
    call.dialogs.tracker.records.flush()
    assert call.dialog.timeout == 33
    call.now += 33
    call.dialogs.hand_out_due()
    assert call.script.routes == [b"LATE"]
    assert len(call.sent(b"BYE")) == 2


def test_dlg_list_has_kamailios_shape(call: ProxiedCall) -> None:
    call.answer()
    call.dialogs.tracker.records.flush()
    (entry,) = call.dialogs.list_dialogs()  # type: ignore[misc]  # RPC answers are objects
    assert list(entry) == [
        "h_entry", "h_id", "ref", "call-id", "from_uri", "to_uri", "state", "start_ts", "init_ts",
        "end_ts", "duration", "timeout", "lifetime", "dflags", "sflags", "iflags", "caller",
        "callee", "profiles", "variables",
    ]  # fmt: skip
    assert entry["callee"] == {
        "tag": "callee", "contact": f"sip:bob@127.0.0.1:{CALLEE}", "cseq": "0", "route_set": "",
        "socket": "udp:127.0.0.1:5060",
    }  # fmt: skip
    msgpack.packb(entry)
    assert call.dialogs.briefing() == [
        {"h_entry": entry["h_entry"], "h_id": entry["h_id"], "from_uri": "sip:alice@a.example",
         "to_uri": "sip:bob@b.example", "call-id": "call-1@127.0.0.1", "from_tag": "caller",
         "to_tag": "callee"}
    ]  # fmt: skip
    assert call.dialogs.stats_active() == {
        "starting": 0, "connecting": 0, "answering": 0, "ongoing": 1, "all": 1,
    }  # fmt: skip
    assert call.dialogs.list_call("call-1@127.0.0.1") == [entry]
    assert call.dialogs.list_call("another") == {}
    assert call.dialogs.list_match("furi", "re", "^sip:al") == [entry]
    assert call.dialogs.list_match("turi", "eq", "sip:x") == []
    with pytest.raises(RpcFault):
        call.dialogs.list_match("nothing", "eq", "x")


def test_rpc_ends_a_call(call: ProxiedCall) -> None:
    call.answer()
    with pytest.raises(RpcFault, match="Couldnt find callid"):
        call.dialogs.terminate("x", "y", "z")
    with pytest.raises(RpcFault, match="not in confirmed state"):
        call.dialogs.is_alive("call-1@127.0.0.1", "caller", "callee")
    call.dialogs.tracker.records.flush()
    assert call.dialogs.is_alive("call-1@127.0.0.1", "caller", "callee") == "Alive"
    assert call.dialogs.terminate("call-1@127.0.0.1", "caller", "callee") == {}
    assert call.dialog is None
    assert len(call.sent(b"BYE")) == 2
    with pytest.raises(RpcFault):
        call.dialogs.end_dialog(1, 2)


def test_every_function_of_the_first_tier_is_declared(call: ProxiedCall) -> None:
    names = {name for _, found in declared(call.dialogs, "kemi") for name in found.names}
    assert names >= {
        "dialog.dlg_manage", "dialog.dlg_set_timeout", "dialog.set_dlg_timeout", "dialog.var_sets",
        "dialog.set_dlg_var", "dialog.var_get", "dialog.get_dlg_var",
    }  # fmt: skip


def test_parameters_without_effect_exist() -> None:
    assert set(WITHOUT_EFFECT) <= set(DialogParams.__slots__)
