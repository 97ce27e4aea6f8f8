"""Requests that a route handles later, and a queue that a timer's route empties."""

from __future__ import annotations

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.sip_client import Peer

MODULES = """
loadmodule "async.so"
loadmodule "mqueue.so"
loadmodule "rtimer.so"
loadmodule "timer.so"
modparam("async", "ms_timer", 5)
modparam("mqueue", "mqueue", "name=calls;size=100")
modparam("rtimer", "timer", "name=drain;interval=100000u;mode=1")
modparam("rtimer", "exec", "timer=drain;route=drain_calls")
modparam("timer", "declare_timer", "once=run_once,100")
"""

SCRIPT = """
function new_call()
    local user = KSR.pv.get("$rU")
    KSR.mqueue.mq_add("calls", user, KSR.pv.get("$ci"))
    KSR.timer.timer_enable("once", 1)
    return KSR.async.ms_route(string.match(user, "^deny") and "deny" or "go_on", 50)
end

function go_on()
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end

function deny()
    KSR.tm.t_reply(403, "Not now")
end

function drain_calls(event)
    while KSR.mqueue.mq_fetch("calls") > 0 do
        KSR.warn(event .. " got " .. KSR.mqueue.mqk_get("calls") .. " "
                 .. KSR.mqueue.mqv_get("calls"))
    end
end

function run_once(event)
    KSR.warn("once by " .. event)
    KSR.timer.timer_enable("once", 0)
end
"""


def test_routes_that_run_later(kemi: Kemi) -> None:
    server = kemi(SCRIPT, more=MODULES)
    address = (server.host, server.port)
    with Peer(address, "alice") as alice, Peer(address, "bob") as bob:
        asked = alice.invite("deny")
        answer = alice.expect(403, call_id=asked.call_id)
        alice.ack_failure(asked, answer)
        server.wait_for_log(f"rtimer got deny {asked.call_id}")
        server.wait_for_log("once by timer")
        asked = alice.invite(f"bob+{bob.port}")
        request = bob.expect("INVITE")
        bob.reply(request, 486)
        answer = alice.expect(486, call_id=asked.call_id)
        alice.ack_failure(asked, answer)
        server.wait_for_log(f"rtimer got bob.{bob.port} {asked.call_id}")
