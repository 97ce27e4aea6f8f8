"""How requests find their dialog, and what modparams change in following a call."""

from __future__ import annotations

import pytest

from kamailiod.modules.dialog_tracking.attachment import attached_dialog
from kamailiod.script.context import Context
from kamailiod.sip.dialog import State
from shm import Dialog
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import ProxiedCall, followed


def without_cookie(call: ProxiedCall) -> None:
    call.recorded = [route.partition(b";did")[0] + b">" for route in call.recorded]


@pytest.mark.parametrize(("mode", "found"), [(0, False), (1, True), (2, True)])
def test_a_route_without_cookie(services: FakeServices, mode: int, found: bool) -> None:
    call = followed(services, dlg_match_mode=mode)
    call.answer()
    without_cookie(call)
    call.request(b"BYE", 2, to_tag=b"callee")
    assert (call.dialog is None) is found


def test_tags_alone_need_no_cookie(services: FakeServices) -> None:
    call = followed(services, dlg_match_mode=2)
    call.request(b"INVITE")
    assert b"did=" not in (call.sent(b"INVITE")[0].header(b"record-route") or b"")


def test_the_cookie_may_have_another_name(services: FakeServices) -> None:
    call = followed(services, rr_param="call")
    call.answer()
    assert b";call=" in call.recorded[0]
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None


def test_a_spiral_carries_the_cookie_of_its_dialog(services: FakeServices) -> None:
    call = followed(services)
    call.request(b"INVITE", branch=b"one")
    call.request(b"INVITE", branch=b"two")
    first, second = (invite.header(b"record-route") for invite in call.sent(b"INVITE"))
    assert first == second
    assert len(list(call.dialogs.store.items())) == 1


def test_without_detection_a_spiral_is_a_dialog_of_its_own(services: FakeServices) -> None:
    call = followed(services, detect_spirals=0)
    call.request(b"INVITE", branch=b"one")
    call.request(b"INVITE", branch=b"two")
    assert len(list(call.dialogs.store.items())) == 2


def test_a_request_within_another_fork_of_an_early_dialog(services: FakeServices) -> None:
    call = followed(services)
    call.request(b"INVITE")
    call.reply(180, b"Ringing", to_tag=b"fork-1")
    call.recorded = call.sent(b"INVITE")[0].headers(b"record-route")
    context = call.request(b"PRACK", 2, to_tag=b"fork-2")
    assert attached_dialog(context) is not None
    call.reply(200, to_tag=b"fork-2", number=0)
    call.request(b"ACK", to_tag=b"fork-2", branch=b"ack")
    assert call.state() == State.CONFIRMED
    assert call.dialog.to_tag == b"fork-2"
    context = call.request(b"BYE", 3, to_tag=b"fork-1")
    assert attached_dialog(context) is None
    assert call.dialog is not None


def test_an_update_moves_number_contact_and_deadline(services: FakeServices) -> None:
    call = followed(services)
    call.answer()
    call.now += 50
    call.request(b"UPDATE", 7, from_callee=True)
    known = call.dialogs.tracker.records.known()[0]
    known.to_contact = b"sip:old@127.0.0.1"
    call.reply(200, from_caller=True)
    call.dialogs.tracker.records.flush()
    assert call.dialog.to_cseq == b"7"
    assert call.dialog.to_contact.startswith(b"sip:bob@127.0.0.1")
    assert call.dialog.expires == call.now + 43200


@pytest.mark.parametrize(("in_script", "seen"), [(1, [True, False]), (0, [False, True])])
def test_initial_hooks_run_in_or_after_dlg_manage(
    services: FakeServices, in_script: int, seen: list[bool]
) -> None:
    call = ProxiedCall(services, initial_cbs_inscript=in_script)
    begun: list[Dialog] = []

    def hook(context: Context, dialog: Dialog, event: object) -> None:
        if event is None:
            begun.append(dialog)

    call.dialogs.on_change(hook)
    call.start()
    found: list[bool] = []

    def prepare(context: Context) -> None:
        call.dialogs.dlg_manage(context)
        found.append(len(begun) == 1)

    call.prepare = prepare
    call.request(b"INVITE")
    assert len(begun) == 1
    assert found == seen[:1]


def test_the_request_uri_is_that_of_a_variable(services: FakeServices) -> None:
    call = ProxiedCall(services, ruri_pvar="$avp(before)").start()

    def prepare(context: Context) -> None:
        context.shared.avps[b"before"] = [b"sip:dialled@example.com"]
        call.dialogs.dlg_manage(context)

    call.prepare = prepare
    call.request(b"INVITE")
    assert call.dialog.request_uri == b"sip:dialled@example.com"


def test_no_statistics_on_demand(services: FakeServices) -> None:
    call = followed(services, enable_stats=0)
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert not any(name.startswith("dialog:") for name in services.statistics.counts)


@pytest.mark.parametrize(
    ("keep", "to_callee", "to_caller"), [(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]
)
def test_our_own_routes_may_stay(
    services: FakeServices, keep: int, to_callee: int, to_caller: int
) -> None:
    call = followed(services, keep_proxy_rr=keep)
    call.request(b"INVITE", more=(b"Record-Route: <sip:up.example;lr>",))
    call.reply(200, more=(b"Record-Route: <sip:down.example;lr>",))
    dialog = call.dialog
    assert dialog.to_route_set.count(b"did=") == to_callee
    assert dialog.from_route_set.count(b"did=") == to_caller
    assert b"down.example" in dialog.to_route_set
    assert b"up.example" in dialog.from_route_set
    assert b"up.example" not in dialog.to_route_set


def test_headers_for_the_callee_alone(services: FakeServices) -> None:
    call = followed(services, lreq_callee_headers="TH: dlh\\r\\n")
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    assert call.dialogs.dlg_bye(context, b"all") == 1
    to_callee, to_caller = call.sent(b"BYE")
    assert (to_callee.header(b"th"), to_caller.header(b"th")) == (b"dlh", None)


@pytest.mark.parametrize(("mode", "ended"), [(0, True), (1, False)])
def test_dialogs_of_another_server_may_be_left_alone(
    services: FakeServices, mode: int, ended: bool
) -> None:
    call = followed(services, dlg_filter_mode=mode)
    call.answer()
    dialog = call.dialogs.tracker.records.known()[0]
    dialog.from_socket = b"udp:192.0.2.1:5060"
    call.dialogs.tracker.records.flush()
    call.now += 43200
    call.dialogs.hand_out_due()
    assert (call.dialog is None) is ended
    if not ended:
        assert call.dialogs.stats_active(1)["all"] == 0  # type: ignore[index]  # RPC answers are objects


def test_an_event_callback_hears_of_the_timeout_route(services: FakeServices) -> None:
    call = followed(services, event_callback="ksr_dialog_event")
    called: list[tuple[bytes, ...]] = []

    def record(context: Context, name: bytes, *arguments: bytes) -> int:
        called.append((name, *arguments))
        return 1

    call.script.call = record  # type: ignore[attr-defined]  # a fake of a fake
    call.prepare = lambda context: (
        call.dialogs.set_dialog_context(context, b"timeout_route", None, b"LATE"),
        call.dialogs.dlg_manage(context),
    )
    call.answer()
    call.dialogs.tracker.records.flush()
    call.now += 43200
    call.dialogs.hand_out_due()
    assert called == [(b"ksr_dialog_event", b"LATE")]
