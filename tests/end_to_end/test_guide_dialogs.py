"""The guide's scripts about dialogs, bit exact: 13 follows calls, 17 counts them by user.

17 keeps its counter in Redis: stand-ins over $sht take the place of the two functions it calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from kamailiod.net.ownership import owner_rank
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Call, Peer
from tests.end_to_end.test_guide_scripts import guide

MakePhone = Callable[..., Peer]

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "app_lua.so"
loadmodule "acc.so"
loadmodule "htable.so"
loadmodule "dialog.so"
modparam("htable", "htable", "redis=>size=8;")
modparam("app_lua", "load", "main.lua")
modparam("app_lua", "load", "{script}")
modparam("acc", "cdr_enable", 1)
cfgengine "lua"
"""
LOADER = """
function route_call()
    local user = KSR.pv.get("$rU")
    KSR.pv.sets("$ru", "sip:" .. user .. "@127.0.0.1:" .. string.match(user, "%+(%d+)$"))
    KSR.rr.record_route()
    KSR.tm.t_relay()
    return 1
end
function get_from_redis(key)
    return KSR.pv.get("$sht(redis=>" .. key .. ")")
end
function store_in_redis(key, value)
    KSR.pv.sets("$sht(redis=>" .. key .. ")", value)
    KSR.info("stored " .. key .. " " .. value .. "\\n")
end
function ksr_request_route()
    if KSR.siputils.has_totag() > 0 then
        KSR.rr.loose_route()
        if KSR.is_BYE() and handle_bye then handle_bye() end
        KSR.tm.t_relay()
    elseif KSR.is_CANCEL() then
        KSR.tm.t_relay()
    elseif handle_invite then
        handle_invite()
    elseif check_call_limit(KSR.pv.get("$fU"), 1) then
        route_call()
    end
end
"""


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> Callable[[str], RunningServer]:
    def run(number: str) -> RunningServer:
        script = guide(number)
        files: dict[str, Path | str] = {script.name: script, "main.lua": LOADER}
        config = CONFIG.format(script=script.name)
        return stack.enter_context(RunningServer(tmp_path, config, files=files, http=True))

    return run


Start = Callable[[str], RunningServer]


def call(alice: Peer, bob: Peer) -> Call:
    """Have alice call bob, who answers; returns alice's dialog."""
    asked = alice.invite(f"bob+{bob.port}")
    bob.reply(bob.expect("INVITE", call_id=asked.call_id), 200)
    dialog = alice.answered(asked, alice.expect(200, call_id=asked.call_id))
    bob.expect("ACK")
    return dialog


def hang_up(alice: Peer, bob: Peer, dialog: Call) -> None:
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)


def kill_owner(server: RunningServer, call_id: str) -> None:
    """Kill the worker that has a call, and wait until another one has taken its place."""
    rank = owner_rank(call_id.encode(), 2)
    killed = server.worker(rank)
    killed.kill()
    server.wait_for_log(rf"\(rank {rank}\) died")
    assert server.worker(rank).pid != killed.pid


@pytest.mark.parametrize("killed", [False, True])
def test_a_call_is_followed_to_its_end(start: Start, phone: MakePhone, killed: bool) -> None:
    """Script 13: what is kept with the dialog is there at the BYE, also in another process."""
    server = start("13")
    alice, bob = phone(server), phone(server, "bob")
    dialog = call(alice, bob)
    if killed:
        kill_owner(server, dialog.call_id)
    hang_up(alice, bob, dialog)
    server.wait_for_log(r"Call ended: alice, duration: \d+s")
    server.wait_for_log("duration=")


@pytest.mark.parametrize("killed", [False, True])
def test_calls_are_limited_by_user(start: Start, phone: MakePhone, killed: bool) -> None:
    """Script 17: the second call is refused, the end of the first makes room for a third."""
    server = start("17")
    alice, bob = phone(server), phone(server, "bob")
    dialog = call(alice, bob)
    second = alice.invite(f"bob+{bob.port}")
    alice.ack_failure(second, alice.expect(486, call_id=second.call_id))
    if killed:
        kill_owner(server, dialog.call_id)
    hang_up(alice, bob, dialog)
    server.wait_for_log("stored calls:alice 0")
    hang_up(alice, bob, call(alice, bob))
    server.wait_for_log("stored calls:alice 0", 2)
    assert server.log().count("stored calls:alice 0") == 2
    assert re.search(r"all +0\n", server.ctl("rpc", "dlg.stats_active"))
