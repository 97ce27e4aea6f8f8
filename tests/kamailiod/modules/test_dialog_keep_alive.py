"""OPTIONS within dialogs (ka_timer, ka_interval, ka_failed_limit, properties ka-src and ka-dst)."""

from typing import Any

import pytest

from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import CALLEE, CALLER, ProxiedCall, followed


def asked(services: FakeServices, *properties: bytes, **params: object) -> ProxiedCall:
    call = followed(services, ka_timer=10, ka_interval=60, **params)
    call.prepare = lambda context: (
        [call.dialogs.dlg_set_property(context, name) for name in properties],
        call.dialogs.dlg_manage(context),
    )
    call.answer()
    return call


def pass_seconds(call: ProxiedCall, seconds: int) -> None:
    for _ in range(seconds):
        call.pass_time(1)


def questions(call: ProxiedCall) -> list[Any]:
    """The OPTIONS that were sent, without their retransmissions."""
    return list({request.header(b"via"): request for request in call.sent(b"OPTIONS")}.values())


def test_both_sides_are_asked_with_numbers_they_have_seen(services: FakeServices) -> None:
    call = asked(services, b"ka-src", b"ka-dst")
    pass_seconds(call, 50)
    assert questions(call) == []
    pass_seconds(call, 15)
    to_caller, to_callee = questions(call)
    assert to_caller.uri_text == b"sip:alice@127.0.0.1:%d" % CALLER
    assert to_callee.uri_text == b"sip:bob@127.0.0.1:%d" % CALLEE
    assert (to_caller.cseq[0], to_callee.cseq[0]) == (1, 1)
    assert (to_caller.from_tag, to_callee.from_tag) == (b"callee", b"caller")
    assert call.dialogs.tracker.records.known()[0].from_cseq == b"1"


@pytest.mark.parametrize(("properties", "count"), [((b"ka-src",), 1), ((), 0)])
def test_who_has_no_property_is_not_asked(
    services: FakeServices, properties: tuple[bytes, ...], count: int
) -> None:
    call = asked(services, *properties)
    pass_seconds(call, 75)
    assert len(questions(call)) == count


def test_a_side_that_answers_stays(services: FakeServices) -> None:
    call = asked(services, b"ka-dst")
    for _ in range(3):
        pass_seconds(call, 65)
        call.reply(200)
    call.dialogs.hand_out_due()
    assert call.dialog is not None


@pytest.mark.parametrize("limit", [1, 2])
def test_a_side_that_knows_no_such_call_ends_it(services: FakeServices, limit: int) -> None:
    call = asked(services, b"ka-dst", send_bye=1, ka_failed_limit=limit)
    for _ in range(limit):
        call.dialogs.tracker.records.flush()
        assert call.dialog.expires > call.now + 10000
        pass_seconds(call, 65)
        call.reply(481, b"Call/Transaction Does Not Exist")
    assert call.dialog.expires == int(call.now) + 10
    pass_seconds(call, 11)
    call.dialogs.hand_out_due()
    assert call.dialog is None
    assert len(call.sent(b"BYE")) == 2
    assert call.script.events[-1] == "dialog:end"


def test_a_side_that_is_silent_ends_it(services: FakeServices) -> None:
    call = asked(services, b"ka-src")
    pass_seconds(call, 70 + 32)
    assert call.dialog.expires <= int(call.now) + 10
    pass_seconds(call, 11)
    call.dialogs.hand_out_due()
    assert call.dialog is None


def test_a_restarted_worker_goes_on_asking(services: FakeServices) -> None:
    call = asked(services, b"ka-dst")
    call.dialogs.tracker.records.flush()
    call.restart_worker(ka_timer=10, ka_interval=60)
    call.services.network.sent.clear()
    pass_seconds(call, 75)
    assert len(questions(call)) == 1
