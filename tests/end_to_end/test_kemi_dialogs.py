"""Dialogs of KEMI scripts: time-out with BYE to both sides, dialog_end."""

from __future__ import annotations

from collections.abc import Callable

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.sip_client import Peer

MakePhone = Callable[..., Peer]

TRACKED = """
function new_call()
    KSR.dialog.dlg_manage()
    KSR.dialog.set_dlg_timeout(tonumber(KSR.hdr.get("X-Seconds")))
    KSR.pv.seti("$dlg_ctx(timeout_bye)", 1)
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end
function dialog_end()
    KSR.info("the dialog ended\\n")
end
"""


def test_a_dialog_that_lasts_too_long_is_ended(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(TRACKED)
    alice, bob = phone(server), phone(server, "bob")
    call = alice.invite(f"bob+{bob.port}", [("X-Seconds", "1")])
    invite = bob.expect("INVITE")
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200))
    bob.expect("ACK")
    to_bob, to_alice = bob.expect("BYE", 12), alice.expect("BYE", 12)
    assert to_bob.uri == bob.uri
    assert to_alice.uri == alice.uri
    assert (to_bob.call_id, to_alice.call_id) == (call.call_id, call.call_id)
    assert to_alice.header("From") == dialog.remote
    assert to_bob.header("From") == dialog.local
    assert int(to_bob.header("CSeq").split()[0]) > 1
    bob.reply(to_bob, 200)
    alice.reply(to_alice, 200)
    server.wait_for_log("the dialog ended")


def test_dialog_end_is_called_after_a_bye(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(TRACKED)
    alice, bob = phone(server), phone(server, "bob")
    call = alice.invite(f"bob+{bob.port}", [("X-Seconds", "60")])
    bob.reply(bob.expect("INVITE"), 200)
    dialog = alice.answered(call, alice.expect(200))
    bob.expect("ACK")
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)
    server.wait_for_log("the dialog ended")
