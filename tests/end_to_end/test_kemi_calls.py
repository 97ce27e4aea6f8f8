"""Calls through a KEMI proxy: retransmissions, transports, compact forms, other workers, errors."""

from __future__ import annotations

from collections.abc import Callable

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.sip_text import compose

MakePhone = Callable[..., Peer]

RELAY = """
function new_call()
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end
"""


AUTH_IF_LOADED = """
function new_call()
    if not KSR.auth then
        KSR.sl.send_reply(480, "No auth here")
        return
    end
    KSR.auth_db.auth_check("example.com", "subscriber", 0)
    KSR.auth.auth_challenge("example.com", 1)
end
"""


def test_a_module_that_a_script_asks_for_is_there_only_when_loaded(
    kemi: Kemi, phone: MakePhone
) -> None:
    alice = phone(kemi(AUTH_IF_LOADED))
    alice.request("INVITE", alice.new_call("bob"))
    alice.expect(480)


def test_a_loaded_module_is_there_for_a_script_that_asks(kemi: Kemi, phone: MakePhone) -> None:
    alice = phone(kemi(AUTH_IF_LOADED, more='loadmodule "auth.so"\nloadmodule "auth_db.so"'))
    alice.request("INVITE", alice.new_call("bob"))
    alice.expect(407)


def test_retransmissions_are_absorbed(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(RELAY)
    alice, bob = phone(server), phone(server, "bob")
    call = alice.new_call(f"bob+{bob.port}")
    for _ in range(3):
        alice.request("INVITE", call, branch="z9hG4bKonce")
    invite = bob.expect("INVITE")
    alice.ping(call.call_id)
    assert not [m for m in bob.drain() if m.header("Via") != invite.header("Via")]
    bob.reply(invite, 486)
    bob.expect("ACK")
    failure = alice.expect(486)
    alice.request("INVITE", call, branch="z9hG4bKonce")
    assert alice.expect(486).data == failure.data
    call.branch = "z9hG4bKonce"
    alice.ack_failure(call, failure)
    alice.ping(call.call_id)
    assert {m.header("Via") for m in bob.drain()} <= {invite.header("Via")}


def test_the_server_repeats_an_invite_until_it_is_answered(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(RELAY, more='modparam("tm", "retr_timer1", 100)')
    alice, bob = phone(server), phone(server, "bob")
    alice.invite(f"bob+{bob.port}")
    assert bob.expect("INVITE").data == bob.expect("INVITE").data == bob.expect("INVITE").data


def test_every_200_is_passed_on(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(RELAY)
    alice, bob = phone(server), phone(server, "bob")
    alice.invite(f"bob+{bob.port}")
    invite = bob.expect("INVITE")
    for _ in range(3):
        bob.reply(invite, 200)
        alice.expect(200)


def test_from_tcp_to_udp_and_back(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(RELAY, children=1)
    alice, bob = phone(server, "alice", "tcp"), phone(server, "bob")
    call = alice.invite(f"bob+{bob.port}")
    invite = bob.expect("INVITE")
    assert invite.header("Via").startswith("SIP/2.0/UDP")
    routes = invite.values("Record-Route")
    assert len(routes) == 2
    assert "transport=tcp" in routes[1]
    assert all("r2=on" in route for route in routes)
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200))
    ack = bob.expect("ACK")
    assert not ack.headers("Route")
    bob.request("INFO", bob.callee_dialog(invite))
    info = alice.expect("INFO")
    assert not info.headers("Route")
    alice.reply(info, 200)
    bob.expect(200)
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)


def test_compact_headers(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(RELAY)
    alice, bob = phone(server), phone(server, "bob")
    target = f"sip:bob+{bob.port}@{server.host}:{server.port}"
    headers = [
        ("v", alice.via("z9hG4bKshort")), ("f", f"<{alice.uri}>;tag=1"), ("t", f"<{target}>"),
        ("i", "short@test"), ("CSeq", "1 INVITE"), ("m", f"<{alice.uri}>"),
    ]  # fmt: skip
    alice.send(compose(f"INVITE {target} SIP/2.0", headers))
    invite = bob.expect("INVITE")
    assert "i: short@test" in invite.lines
    bob.reply(invite, 200)
    assert alice.expect(200).call_id == "short@test"


def test_calls_of_odd_spelling_find_their_worker(kemi: Kemi, phone: MakePhone) -> None:
    """What the kernel cannot steer is handed over: BYE with `i:` finds the INVITE's dialog."""
    script = RELAY + 'function ksr_reply_route() KSR.info("at " .. KSR.pv.get("$pp") .. "\\n") end'
    server = kemi(script, children=4)
    alice, bob = phone(server), phone(server, "bob")
    for number in range(12):
        spelling = ("Call-ID", "i", "CALL-ID", "i ")[number % 4]
        call_id = f"handed over {number}".replace(" ", "-") + "-0123456789"
        target = f"sip:bob+{bob.port}@{server.host}:{server.port}"
        headers = [
            ("Via", alice.via(f"z9hG4bKodd{number}")), ("From", f"<{alice.uri}>;tag=1"),
            ("To", f"<{target}>"), (spelling, call_id), ("CSeq", "1 INVITE"),
            ("Contact", f"<{alice.uri}>"),
        ]  # fmt: skip
        alice.send(compose(f"INVITE {target} SIP/2.0", headers))
        invite = bob.expect("INVITE", call_id=call_id)
        cancel = [(name, value.replace("INVITE", "CANCEL")) for name, value in headers]
        cancel[3] = ("Call-ID", call_id)
        bob.reply(invite, 180)
        alice.expect(180, call_id=call_id)
        alice.send(compose(f"CANCEL {target} SIP/2.0", cancel))
        bob.reply(bob.expect("CANCEL", call_id=call_id), 200)
        bob.reply(invite, 487)
        alice.expect(487, call_id=call_id)


def test_a_script_error_is_a_500_with_a_trace(kemi: Kemi, phone: MakePhone) -> None:
    script = """
function deeper() local nothing = nil; return nothing.field end
function new_call() deeper() end
"""
    server = kemi(script, children=1)
    alice = phone(server)
    call = alice.invite("bob")
    alice.ack_failure(call, alice.expect(500))
    server.wait_for_log(r"script\.lua:\d+ in function 'deeper': attempt to index local 'nothing'")
    server.wait_for_log("in function 'new_call'")
    assert alice.ping().status == 200


def test_an_endless_script_is_stopped(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi("function new_call() while true do end end", children=1,
                  more='modparam("app_lua", "instruction_budget", 1000000)')  # fmt: skip
    alice = phone(server)
    alice.invite("bob")
    alice.expect(500)
    assert alice.ping().status == 200


def test_an_unreachable_callee_fails_the_call(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi('function new_call() KSR.pv.sets("$ru", "sip:x@no-such-host.invalid")'
                  ' if KSR.tm.t_relay() < 0 then KSR.sl.sl_reply_error() end end')  # fmt: skip
    alice = phone(server)
    alice.invite("bob")
    failed = alice.expect_that(lambda m: m.status >= 400, "a failure")
    assert failed.status in (404, 408, 477, 478, 500, 503)
