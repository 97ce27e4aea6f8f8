"""Dialogs in set-up whose worker has died, with their transaction."""

from __future__ import annotations

import pytest

from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import ProxiedCall, followed


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return followed(services)


def killed_in_setup(call: ProxiedCall, ringing: bool = False) -> None:
    call.request(b"INVITE")
    if ringing:
        call.reply(180, b"Ringing")
    call.recorded = call.sent(b"INVITE")[0].headers(b"record-route")
    call.dialogs.tracker.records.flush()
    call.restart_worker()
    call.prepare = call.dialogs.dlg_manage


def test_a_retransmitted_invite_goes_on_with_its_record(call: ProxiedCall) -> None:
    killed_in_setup(call)
    before = call.dialog
    call.request(b"INVITE")
    assert (call.dialog.h_entry, call.dialog.h_id) == (before.h_entry, before.h_id)
    assert call.script.events == []
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    assert call.state() == State.CONFIRMED
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None
    assert call.script.events == ["dialog:start", "dialog:end"]


def test_a_later_invite_of_the_call_ends_the_record(call: ProxiedCall) -> None:
    killed_in_setup(call)
    before = call.dialog
    call.request(b"INVITE", 2, branch=b"second")
    assert call.dialog.h_id != before.h_id
    assert call.script.events == ["dialog:failed"]


@pytest.mark.parametrize("ringing", [False, True])
def test_nothing_more_ends_it_by_its_deadline(call: ProxiedCall, ringing: bool) -> None:
    killed_in_setup(call, ringing)
    assert call.dialog.expires <= call.now + 121
    call.now += 122
    call.dialogs.hand_out_due()
    assert call.dialog is None
    assert call.script.events == ["dialog:failed"]
    call.dialogs.hand_out_due()
    assert call.script.events == ["dialog:failed"]


@pytest.mark.parametrize("from_callee", [False, True])
def test_a_bye_tells_of_the_answer(call: ProxiedCall, from_callee: bool) -> None:
    killed_in_setup(call, ringing=True)
    call.request(b"BYE", 2, to_tag=b"callee", from_callee=from_callee)
    assert call.dialog is None
    assert call.script.events == ["dialog:start", "dialog:end"]


def test_an_early_request_does_not_tell_of_an_answer(call: ProxiedCall) -> None:
    killed_in_setup(call, ringing=True)
    call.request(b"UPDATE", 2, to_tag=b"callee")
    assert call.state() == State.EARLY


def test_the_ack_of_a_failure_does_not_tell_of_an_answer(call: ProxiedCall) -> None:
    killed_in_setup(call, ringing=True)
    call.recorded = []
    call.within = call.dialogs.dlg_manage
    call.request(b"ACK", to_tag=b"callee", branch=b"INVITE15080")
    assert call.state() == State.EARLY


def test_a_death_in_the_script_of_the_end_leaves_the_end_to_the_next_bye(
    call: ProxiedCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    call.answer()
    call.dialogs.tracker.records.flush()

    class Killed(BaseException):
        pass

    def kill(name: str, context: object) -> None:
        raise Killed

    call.script.on_event = kill
    with pytest.raises(Killed):
        call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is not None
    call.script.on_event = lambda name, context: None
    call.script.events.clear()
    call.restart_worker()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None
    assert call.script.events == ["dialog:end"]
