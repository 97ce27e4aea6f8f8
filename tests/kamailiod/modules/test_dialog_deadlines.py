import pytest

from kamailiod.script.context import Context
from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.proxied_call import CALLEE, CALLER, START, ProxiedCall, followed


@pytest.fixture
def call(services: FakeServices) -> ProxiedCall:
    return followed(services)


def test_a_deadline_ends_the_call_with_bye_to_both(services: FakeServices) -> None:
    call = followed(services, send_bye=1, dlg_extra_hdrs="X-Why: time\r\n")
    call.prepare = lambda context: (
        call.dialogs.dlg_manage(context),
        call.dialogs.dlg_set_timeout(context, 60),
    )
    call.request(
        b"INVITE", 4, more=(b"Record-Route: <sip:127.0.0.1:6001;lr>",)
    )
    call.reply(200, more=(b"Record-Route: <sip:127.0.0.1:6002;lr>",))
    call.request(b"ACK", 4, to_tag=b"callee", branch=b"ack")
    call.dialogs.tracker.records.flush()
    call.now += 59
    call.dialogs.hand_out_due()
    assert call.dialog is not None
    call.now += 1
    call.dialogs.hand_out_due()
    assert call.dialog is None
    downstream, upstream = call.sent(b"BYE")
    assert downstream.uri_text == b"sip:bob@127.0.0.1:%d" % CALLEE
    assert upstream.uri_text == b"sip:alice@127.0.0.1:%d" % CALLER
    assert downstream.header(b"route") == b"<sip:127.0.0.1:6002;lr>"
    assert upstream.header(b"route") == b"<sip:127.0.0.1:6001;lr>"
    assert (downstream.cseq[0], upstream.cseq[0]) == (5, 1)
    assert (downstream.from_tag, downstream.to_tag) == (b"caller", b"callee")
    assert (upstream.from_tag, upstream.to_tag) == (b"callee", b"caller")
    assert downstream.from_.uri_text == upstream.to.uri_text == b"sip:alice@a.example"
    assert downstream.header(b"x-why") == b"time"
    assert call.script.events[-1] == "dialog:end"
    assert call.services.statistics.counts["dialog:expired_dialogs"] == 1


def test_without_send_bye_a_deadline_only_forgets_the_call(call: ProxiedCall) -> None:
    call.answer()
    call.dialogs.tracker.records.flush()
    call.now += 43200
    call.dialogs.hand_out_due()
    assert call.dialog is None
    assert call.sent(b"BYE") == []
    assert call.script.events == ["dialog:start", "dialog:end"]


def test_a_call_never_acknowledged_ends_with_bye(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    call.reply(200)
    call.now += 60
    call.dialogs.hand_out_due()
    assert len(call.sent(b"BYE")) == 2
    assert call.dialog is None


def test_a_deadline_that_moved_meanwhile_ends_nothing(call: ProxiedCall) -> None:
    call.request(b"INVITE")
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")  # not written yet
    call.now += 60
    call.dialogs.hand_out_due()
    assert call.dialog.state == State.CONFIRMED
    assert call.sent(b"BYE") == []


def test_a_request_within_moves_the_deadline(call: ProxiedCall) -> None:
    call.answer()
    call.now += 100
    call.request(b"INFO", 9, to_tag=b"callee")
    call.dialogs.tracker.records.flush()
    assert call.dialog.expires == START + 100 + 43200
    assert call.dialog.from_cseq == b"9"


def test_timeout_noreset_keeps_the_deadline(services: FakeServices) -> None:
    call = followed(services, timeout_noreset=1)
    call.answer()
    call.now += 100
    call.request(b"INFO", 9, to_tag=b"callee")
    call.dialogs.tracker.records.flush()
    assert call.dialog.expires == START + 43200


def test_a_reinvite_moves_the_contacts(call: ProxiedCall) -> None:
    call.answer()
    call.request(b"INVITE", 3, to_tag=b"callee", branch=b"re")
    call.dialogs.tracker.records.get(call.dialog.h_entry, call.dialog.h_id).from_contact = b"old"
    call.reply(200)
    call.dialogs.tracker.records.flush()
    assert call.dialog.from_contact == b"sip:alice@127.0.0.1:%d" % CALLER
    assert call.dialog.state == State.CONFIRMED


def test_the_timeout_avp_gives_the_lifetime(services: FakeServices) -> None:
    call = ProxiedCall(services, timeout_avp="$avp(dlgt)").start()

    def prepare(context: Context) -> None:
        context.shared.avps[b"dlgt"] = [b"77"]
        call.dialogs.dlg_manage(context)

    call.prepare = prepare
    call.request(b"INVITE")
    assert call.dialog.timeout == 77
    call.reply(200)
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")

    def extend(context: Context) -> None:
        context.shared.avps[b"dlgt"] = [99]
        call.dialogs.dlg_manage(context)

    call.recorded, call.within = [], extend
    call.now += 10
    call.request(b"INFO", 2, to_tag=b"callee")
    call.dialogs.tracker.records.flush()
    assert (call.dialog.timeout, call.dialog.expires) == (99, call.now + 99)
