import pytest

from kamailiod.modules.dialog_tracking.attachment import attached_dialog
from kamailiod.script.context import Context
from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import CALLEE, CALLER, START, ProxiedCall, followed


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return followed(services)


def test_a_call_goes_through_its_states(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    assert call.state() == State.UNCONFIRMED
    assert call.dialog.expires == START + 300
    call.reply(180, b"Ringing")
    assert call.state() == State.EARLY
    call.reply(200)
    assert call.dialog.state == State.UNACKNOWLEDGED
    assert call.script.events == ["dialog:start"]
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    assert call.state() == State.CONFIRMED
    assert call.dialog.expires == START + 43200
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None
    assert call.script.events == ["dialog:start", "dialog:end"]
    assert call.services.statistics.counts["dialog:processed_dialogs"] == 1
    assert call.services.statistics.counts["dialog:failed_dialogs"] == 0


def test_gauges_go_up_and_down(call: ProxiedCall) -> None:
    counts = call.services.statistics.counts
    call.request(b"INVITE")
    assert (counts["dialog:early_dialogs"], counts["dialog:active_dialogs"]) == (0, 0)
    call.reply(180, b"Ringing")
    assert (counts["dialog:early_dialogs"], counts["dialog:active_dialogs"]) == (1, 0)
    call.reply(200)
    assert (counts["dialog:early_dialogs"], counts["dialog:active_dialogs"]) == (0, 1)
    counts.clear()  # a restarted process starts at 0
    call.restart_worker()
    assert (counts["dialog:early_dialogs"], counts["dialog:active_dialogs"]) == (0, 1)
    call.request(b"BYE", 2, to_tag=b"callee")
    assert (counts["dialog:early_dialogs"], counts["dialog:active_dialogs"]) == (0, 0)


def test_the_record_route_carries_both_numbers_backwards(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    dialog = call.dialog
    expected = b";did=%s.%s>" % ((b"%x" % dialog.h_entry)[::-1], (b"%x" % dialog.h_id)[::-1])
    assert (call.sent(b"INVITE")[0].header(b"record-route") or b"").endswith(expected)


def test_the_cookie_is_there_also_when_record_route_comes_later(services: FakeServices) -> None:
    call = ProxiedCall(services).start()
    call.records_route = False

    def prepare(context: Context) -> None:
        call.dialogs.dlg_manage(context)
        call.rr.record_route(context)

    call.prepare = prepare
    call.request(b"INVITE")
    assert b";did=" in (call.sent(b"INVITE")[0].header(b"record-route") or b"")


def test_a_stateless_answer_leaves_no_record(call: ProxiedCall) -> None:
    call.request(b"OPTIONS")
    context = call.contexts[-1]
    assert call.dialogs.dlg_manage(context) == -1
    invite = ProxiedCall.request
    call.prepare = lambda context: None
    context = invite(call, b"INVITE")
    assert call.dialogs.dlg_manage(context) == 1
    assert context.transaction is not None  # it is stored at once then
    assert call.dialog is not None


def test_before_there_is_a_transaction_nothing_is_stored(call: ProxiedCall) -> None:
    seen: list[object] = []

    def prepare(context: Context) -> None:
        assert call.dialogs.dlg_manage(context) == 1
        seen.append(call.dialog)

    call.prepare = prepare
    call.request(b"INVITE")
    assert seen == [None]
    assert call.dialog is not None


@pytest.fixture
def writes(call: ProxiedCall, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    records = type(call.dialogs.store._map)
    for name in ("put", "update", "delete"):
        original = getattr(records, name)

        def counted(self, *args, _name=name, _original=original):  # type: ignore[no-untyped-def]  # a wrapper of any method
            made.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(records, name, counted)
    return made


def test_a_call_costs_three_writes(call: ProxiedCall, writes: list[str]) -> None:
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    call.dialogs.tracker.records.flush()
    assert writes == ["put", "put", "delete"]


def test_what_is_written_is_not_written_again(call: ProxiedCall, writes: list[str]) -> None:
    call.request(b"INVITE")
    call.reply(180, b"Ringing")
    call.reply(200)
    call.dialogs.tracker.records.flush()
    assert writes == ["put", "put"]


def test_the_cookie_of_another_call_does_not_end_it(call: ProxiedCall) -> None:
    call.answer()
    call.call_id = b"call-2@127.0.0.1"
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is not None


def test_the_callee_may_hang_up(call: ProxiedCall) -> None:
    call.answer()
    context = call.request(b"BYE", 7, from_callee=True)
    assert call.dialog is None
    assert call.dialogs.dialog_context(context, b"dir", None) == 2
    assert call.dialogs.dialog(context, b"state", None) == 5


def test_a_call_without_record_route_is_found_by_its_tags(services: FakeServices) -> None:
    call = followed(services)
    call.records_route = False
    call.within = call.dialogs.dlg_manage
    call.answer()
    assert call.state() == State.CONFIRMED
    context = call.request(b"BYE", 2, to_tag=b"callee")
    assert attached_dialog(context) is not None
    assert call.dialog is None


@pytest.mark.parametrize("tag", [b"somebody"])
def test_another_tag_does_not_end_the_call(call: ProxiedCall, tag: bytes) -> None:
    call.answer()
    context = call.request(b"BYE", 2, to_tag=tag)
    assert call.dialogs.is_known_dlg(context) == -1
    assert call.dialog is not None


@pytest.mark.parametrize("cookie", [b"abc.def", b"x.y", b"..", b"", b"1.", b"ffffffffff.1"])
def test_a_foreign_cookie_finds_nothing(call: ProxiedCall, cookie: bytes) -> None:
    call.answer()
    call.recorded = [b"<sip:127.0.0.1;lr;did=%s>" % cookie]
    context = call.request(b"BYE", 2, to_tag=b"callee")
    assert attached_dialog(context) is None
    assert call.dialog is not None


def test_a_failed_call_is_removed(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    assert call.dialog is None
    assert call.script.events == ["dialog:failed"]
    assert call.services.statistics.counts["dialog:failed_dialogs"] == 1


def test_a_canceled_call_is_removed(call: ProxiedCall) -> None:
    call.request(b"INVITE", branch=b"inv")
    call.reply(180, b"Ringing")
    call.request(b"CANCEL", branch=b"inv")
    call.reply(487, b"Request Terminated", number=0)
    assert call.dialog is None
    assert call.script.events == ["dialog:failed"]


def test_no_answer_at_all_removes_the_dialog(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    for _ in range(400):
        call.pass_time(0.1)
    assert 408 in call.sent_codes()
    assert call.dialog is None


def test_a_second_call_with_the_same_call_id_is_another_dialog(call: ProxiedCall) -> None:
    call.request(b"INVITE", branch=b"one")
    first = call.dialog
    call.reply(486, b"Busy Here")
    call.request(b"INVITE", 2, branch=b"two")
    assert call.dialog.h_id != first.h_id


def test_a_spiral_makes_no_second_dialog(call: ProxiedCall) -> None:
    call.request(b"INVITE", branch=b"one")
    context = call.request(b"INVITE", branch=b"two")
    assert attached_dialog(context) is not None
    assert call.dialog is not None


def test_what_the_answer_says_is_kept(call: ProxiedCall) -> None:
    call.request(
        b"INVITE",
        more=(b"Record-Route: <sip:up2.example;lr>", b"Record-Route: <sip:up1.example;lr>"),
    )
    below = (b"Record-Route: <sip:d2.example;lr>, <sip:d1.example;lr>",)
    call.reply(200, to_tag=b"t2", more=below)
    dialog = call.dialog
    assert dialog.to_tag == b"t2"
    assert dialog.to_contact == b"sip:bob@127.0.0.1:%d" % CALLEE
    assert dialog.from_contact == b"sip:alice@127.0.0.1:%d" % CALLER
    assert dialog.to_route_set == b"<sip:d1.example;lr>,<sip:d2.example;lr>"
    assert dialog.from_route_set == b"<sip:up2.example;lr>,<sip:up1.example;lr>"
    assert (dialog.from_cseq, dialog.to_cseq) == (b"1", b"0")


def test_variables_set_before_are_kept_and_read_within(call: ProxiedCall) -> None:
    def prepare(context: Context) -> None:
        assert call.dialogs.var_sets(context, b"caller_name", b"alice") == 1
        assert call.dialogs.dlg_manage(context) == 1
        call.services.variables.accessors[b"$dlg_var(start_time)"].set(context, 1700)

    call.services.variables.register_module(call.dialogs)
    call.prepare = prepare
    call.answer()
    assert call.dialog.variables == {b"caller_name": b"alice", b"start_time": b"1700"}
    ended: list[object] = []
    call.script.on_event = lambda name, context: ended.append(
        call.dialogs.var_get(context, b"caller_name")
    )
    call.request(b"BYE", 2, to_tag=b"callee")
    assert ended == [b"alice"]


def test_variables_set_within_reach_the_store(call: ProxiedCall) -> None:
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    assert call.dialogs.var_sets(context, b"a", b"1") == 1
    assert call.dialogs.var_is_null(context, b"a") == -1
    call.dialogs.tracker.records.flush()
    assert call.dialog.variables == {b"a": b"1"}
    assert call.dialogs.var_rm(context, b"a") == 1
    assert call.dialogs.var_get(context, b"a") is None
    assert call.dialogs.var_gete(context, b"a") == b""
    assert call.dialogs.var_getw(context, b"a") == b"<null>"
    assert call.dialogs.var_is_null(context, b"a") == 1
    call.dialogs.tracker.records.flush()
    assert call.dialog.variables == {}


def test_dialog_end_of_the_script_runs_with_the_dialog(call: ProxiedCall) -> None:
    seen: list[tuple[bytes, object]] = []
    call.script.lua.add(b"dialog_end")
    call.script.on_route[b"dialog_end"] = lambda context: seen.append(
        (context.message.method, call.dialogs.variable(context, b"user", None))
    )
    call.prepare = lambda context: (
        call.dialogs.var_sets(context, b"user", b"bob"),
        call.dialogs.dlg_manage(context),
    )
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    call.request(b"BYE", 2, to_tag=b"callee", branch=b"again")
    assert seen == [(b"BYE", b"bob")]


def test_an_event_callback_of_the_script_takes_the_place_of_dialog_end(
    services: FakeServices,
) -> None:
    call = followed(services, event_callback="ksr_dialog_event")
    call.script.lua.add(b"dialog_end")
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.script.routes == []


def test_the_dialog_flag_follows_calls_by_itself(services: FakeServices) -> None:
    call = ProxiedCall(services, dlg_flag=4).start()
    call.request(b"INVITE")
    assert call.dialog is None

    def prepare(context: Context) -> None:
        context.shared.flags |= 1 << 4

    call.prepare = prepare
    call.request(b"INVITE", branch=b"two")
    assert call.dialog is not None


def test_a_restarted_worker_goes_on_with_the_call(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    call.restart_worker()
    assert call.dialog.state == State.CONFIRMED
    assert call.dialog.expires == START + 43200
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None
    assert call.script.events == ["dialog:start", "dialog:end"]


def test_an_ack_tells_a_restarted_worker_of_the_answer_it_missed(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    call.recorded = call.sent(b"INVITE")[0].headers(b"record-route")
    call.restart_worker()
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    assert call.state() == State.CONFIRMED
    assert call.dialog.to_tag == b"callee"
    assert call.dialog.to_contact == b"sip:u@127.0.0.1:%d" % CALLEE
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None


def test_a_full_store_lets_the_call_through(
    call: ProxiedCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(call.dialogs.store._map), "put", lambda *args: False)
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert len(call.sent(b"BYE")) == 1
    assert any("no room for a dialog" in line for line in call.services.lines)
