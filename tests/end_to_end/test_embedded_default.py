"""What a first user does: two phones register and call each other through the guide's script."""

from __future__ import annotations

from collections.abc import Callable

from tests.end_to_end.embedded_default import add_subscriber
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer, digest
from tests.end_to_end.sip_text import Received, tag

MakePhone = Callable[..., Peer]


def test_a_call_goes_through(pbx: RunningServer, alice: Peer, bob: Peer) -> None:
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    assert invite.uri == bob.uri
    assert len(invite.headers("Via")) == 2
    assert invite.header("Max-Forwards") == "69"
    assert invite.header("Record-Route")
    alice.expect(100)
    bob.reply(invite, 180)
    alice.expect(180)
    bob.reply(invite, 200)
    answer = alice.expect(200)
    assert len(answer.headers("Via")) == 1
    dialog = alice.answered(call, answer)
    assert bob.expect("ACK").uri == bob.uri
    alice.request("BYE", dialog)
    bye = bob.expect("BYE")
    assert not bye.headers("Route")
    bob.reply(bye, 200)
    assert alice.expect(200).method == "BYE"
    line = pbx.wait_for_log(rf"ACC: transaction answered: .*call_id={call.call_id};code=200")[0]
    assert f"method=INVITE;from_tag={tag(call.local)};to_tag={tag(dialog.remote)};" in line


def test_the_callee_hangs_up(pbx: RunningServer, alice: Peer, bob: Peer) -> None:
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 200)
    alice.answered(call, alice.expect(200))
    bob.expect("ACK")
    bob.request("BYE", bob.callee_dialog(invite))
    bye = alice.expect("BYE")
    assert bye.uri == alice.uri
    alice.reply(bye, 200)
    bob.expect(200)


def test_a_wrong_password_is_challenged_again(pbx: RunningServer, phone: MakePhone) -> None:
    add_subscriber(pbx, "alice", "secret")
    alice = phone(pbx)
    call = alice.new_call(f"sip:alice@{pbx.host}:{pbx.port}")
    alice.request("REGISTER", call)
    challenge = alice.expect(401).header("WWW-Authenticate")
    call.cseq += 1
    wrong = digest(challenge, "REGISTER", call.target, "alice", "guessed")
    alice.request("REGISTER", call, [("Authorization", wrong)])
    assert alice.expect(401).header("CSeq") == "2 REGISTER"


def _voicemail_takes(voicemail: Peer, alice: Peer) -> Received:
    invite = voicemail.expect("INVITE")
    voicemail.reply(invite, 200)
    answer = alice.expect(200)
    assert tag(answer.header("To")) == f"voicemail{voicemail.port}"
    return invite


def test_who_is_not_registered_goes_to_voicemail(alice: Peer, voicemail: Peer) -> None:
    alice.invite("carol")
    invite = _voicemail_takes(voicemail, alice)
    assert "carol@" in invite.uri


def test_the_voicemail_number(alice: Peer, voicemail: Peer) -> None:
    alice.invite("999")
    _voicemail_takes(voicemail, alice)


def test_busy_goes_to_voicemail(alice: Peer, bob: Peer, voicemail: Peer) -> None:
    call = alice.invite("bob")
    bob.reply(bob.expect("INVITE"), 486)
    bob.expect("ACK")
    _voicemail_takes(voicemail, alice)
    assert not [m for m in alice.drain() if m.status >= 300 and m.call_id == call.call_id]


def test_a_callee_that_ends_with_487_goes_to_voicemail(
    alice: Peer, bob: Peer, voicemail: Peer
) -> None:
    alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 180)
    alice.expect(180)
    bob.reply(invite, 487)
    bob.expect("ACK")
    _voicemail_takes(voicemail, alice)


def test_the_caller_gives_up(alice: Peer, bob: Peer, voicemail: Peer) -> None:
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 180)
    alice.expect(180)
    alice.request("CANCEL", call, branch=call.branch)
    assert alice.expect(200).method == "CANCEL"
    cancel = bob.expect("CANCEL")
    assert cancel.header("Via") == invite.header("Via")
    bob.reply(cancel, 200)
    bob.reply(invite, 487)
    bob.expect("ACK")
    alice.ack_failure(call, alice.expect(487))
    alice.ping(call.call_id)
    assert voicemail.drain() == []


def test_a_contact_is_removed(pbx: RunningServer, alice: Peer, bob: Peer, voicemail: Peer) -> None:
    bob.register("secret", expires=0)
    alice.invite("bob")
    _voicemail_takes(voicemail, alice)
    assert bob.drain() == []
