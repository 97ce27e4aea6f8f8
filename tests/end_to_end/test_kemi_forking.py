"""Forking, failure routes and route callbacks of KEMI scripts."""

from __future__ import annotations

from collections.abc import Callable

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.sip_client import Peer

MakePhone = Callable[..., Peer]

PARALLEL = """
function new_call()
    local first, second = string.match(KSR.pv.get("$rU"), "(%d+)-(%d+)")
    KSR.pv.sets("$ru", "sip:one@127.0.0.1:" .. first)
    KSR.corex.append_branch_uri("sip:two@127.0.0.1:" .. second)
    KSR.tm.t_on_branch("each_branch")
    KSR.tm.t_on_reply("each_reply")
    KSR.tm.t_relay()
end
function each_branch()
    KSR.hdr.append("X-Branch: " .. KSR.pv.get("$T_branch_idx") .. "\\r\\n")
end
function each_reply()
    local status, branch = KSR.pv.get("$rs"), KSR.pv.get("$T_branch_idx")
    KSR.info("reply route " .. status .. " of branch " .. branch .. "\\n")
end
"""

SERIAL = """
function new_call()
    local first, second = string.match(KSR.pv.get("$rU"), "(%d+)-(%d+)")
    KSR.pv.sets("$avp(next)", second)
    KSR.pv.sets("$ru", "sip:one@127.0.0.1:" .. first)
    KSR.tm.t_on_failure("try_next")
    KSR.tm.t_relay()
end
function try_next()
    if KSR.tm.t_is_canceled() > 0 then return end
    if KSR.tm.t_check_status("4[0-9][0-9]|503") > 0 and KSR.pv.get("$avp(next)") then
        KSR.info("failure route " .. KSR.pv.get("$T_reply_code") .. "\\n")
        KSR.pv.sets("$ru", "sip:two@127.0.0.1:" .. KSR.pv.get("$avp(next)"))
        KSR.pv.unset("$avp(next)")
        KSR.tm.t_on_failure("try_next")
        KSR.tm.t_relay()
    end
end
"""


def test_of_two_that_ring_one_answers(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(PARALLEL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    to_one, to_two = one.expect("INVITE"), two.expect("INVITE")
    assert (to_one.headers("X-Branch"), to_two.headers("X-Branch")) == (["0"], ["1"])
    assert to_one.header("Via") != to_two.header("Via")
    one.reply(to_one, 180)
    two.reply(to_two, 180)
    tags = {alice.expect(180).header("To"), alice.expect(180).header("To")}
    assert len(tags) == 2
    two.reply(to_two, 200)
    alice.answered(call, alice.expect(200))
    two.expect("ACK")
    cancel = one.expect("CANCEL")
    assert cancel.header("Via") == to_one.header("Via")
    one.reply(cancel, 200)
    one.reply(to_one, 487)
    one.expect("ACK")
    alice.ping(call.call_id)
    assert not [m for m in alice.drain() if m.status >= 300]
    server.wait_for_log("reply route 180 of branch [01]", count=2)
    server.wait_for_log("reply route 200 of branch 1")


def test_the_best_of_two_failures_is_chosen(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(PARALLEL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    one.reply(one.expect("INVITE"), 500)
    one.expect("ACK")
    two.reply(two.expect("INVITE"), 404)
    two.expect("ACK")
    alice.ack_failure(call, alice.expect(404))


def test_a_6xx_ends_the_other_branch(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(PARALLEL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    to_one, to_two = one.expect("INVITE"), two.expect("INVITE")
    one.reply(to_one, 180)
    alice.expect(180)
    two.reply(to_two, 603)
    two.expect("ACK")
    one.reply(one.expect("CANCEL"), 200)
    one.reply(to_one, 487)
    one.expect("ACK")
    alice.ack_failure(call, alice.expect(603))


def test_both_ring_and_the_caller_gives_up(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(PARALLEL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    for callee in (one, two):
        invite = callee.expect("INVITE")
        callee.reply(invite, 180)
        alice.expect(180)
        callee.backlog.append(invite)
    alice.request("CANCEL", call, branch=call.branch)
    assert alice.expect(200).method == "CANCEL"
    for callee in (one, two):
        callee.reply(callee.expect("CANCEL"), 200)
        callee.reply(callee.expect("INVITE"), 487)
        callee.expect("ACK")
    alice.ack_failure(call, alice.expect(487))


def test_the_next_is_tried_after_a_failure(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(SERIAL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    one.reply(one.expect("INVITE"), 486)
    one.expect("ACK")
    invite = two.expect("INVITE")
    two.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200))
    two.expect("ACK")
    server.wait_for_log("failure route 486")
    alice.request("BYE", dialog)
    two.reply(two.expect("BYE"), 200)
    alice.expect(200)


def test_the_last_failure_reaches_the_caller(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(SERIAL)
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    call = alice.invite(f"{one.port}-{two.port}")
    one.reply(one.expect("INVITE"), 503)
    one.expect("ACK")
    two.reply(two.expect("INVITE"), 486)
    two.expect("ACK")
    alice.ack_failure(call, alice.expect(486))


def test_who_does_not_answer_is_given_up(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(SERIAL, more='modparam("tm", "fr_timer", 300)')
    alice, one, two = phone(server), phone(server, "one"), phone(server, "two")
    alice.invite(f"{one.port}-{two.port}")
    one.expect("INVITE")
    two.reply(two.expect("INVITE"), 200)
    alice.expect(200)
    server.wait_for_log("failure route 408")
