"""The guide's scripts about Redis, bit exact, on a real one: 11 keeps calls, 17 counts them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.test_guide_dialogs import call, hang_up
from tests.end_to_end.test_guide_scripts import guide
from tests.end_to_end.waiting import wait_until
from tests.redis_servers import RedisServer

MakePhone = Callable[..., Peer]

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "app_lua.so"
loadmodule "acc.so"
loadmodule "dialog.so"
loadmodule "ndb_redis.so"
modparam("ndb_redis", "server", "name=srv1;addr=127.0.0.1;port={port}")
modparam("ndb_redis", "connect_timeout", 300)
modparam("ndb_redis", "cmd_timeout", 300)
modparam("app_lua", "load", "main.lua")
{loads}
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
function ksr_request_route()
    if KSR.siputils.has_totag() > 0 then
        KSR.rr.loose_route()
        KSR.tm.t_relay()
    elseif KSR.is_CANCEL() then
        KSR.tm.t_relay()
    elseif not check_call_limit then
        handle_invite()
    elseif check_call_limit(KSR.pv.get("$fU"), 1) then
        route_call()
    end
end
"""


@pytest.fixture
def start(
    tmp_path: Path, stack: ExitStack, redis_server: RedisServer
) -> Callable[..., RunningServer]:
    def run(*numbers: str) -> RunningServer:
        scripts = [guide(number) for number in numbers]
        files: dict[str, Path | str] = {script.name: script for script in scripts}
        files["main.lua"] = LOADER
        loads = "\n".join(f'modparam("app_lua", "load", "{script.name}")' for script in scripts)
        config = CONFIG.format(port=redis_server.port, loads=loads)
        return stack.enter_context(RunningServer(tmp_path, config, files=files, http=True))

    return run


Start = Callable[..., RunningServer]


def test_calls_are_kept(start: Start, phone: MakePhone, redis_server: RedisServer) -> None:
    """Script 11: the caller is in Redis by the call's id before the call goes on."""
    server = start("11")
    alice, bob = phone(server), phone(server, "bob")
    asked = alice.invite(f"bob+{bob.port}")
    invite = bob.expect("INVITE", call_id=asked.call_id)
    assert redis_server.get(f"call:{asked.call_id}") == b"alice"
    bob.reply(invite, 200)
    dialog = alice.answered(asked, alice.expect(200, call_id=asked.call_id))
    bob.expect("ACK")
    hang_up(alice, bob, dialog)
    assert "Redis command failed" not in server.log()


@pytest.mark.parametrize("harm", ["pause", "kill"])
def test_calls_go_on_without_redis(
    start: Start, phone: MakePhone, redis_server: RedisServer, harm: str
) -> None:
    """Script 11's error branch, within the time-out; Redis is used again when it is back."""
    server = start("11")
    alice, bob = phone(server), phone(server, "bob")
    hang_up(alice, bob, call(alice, bob))
    workers = [server.worker(rank).pid for rank in (1, 2)]
    getattr(redis_server, harm)()
    hang_up(alice, bob, call(alice, bob))
    server.wait_for_log("Redis command failed")
    if harm == "pause":
        redis_server.resume()
    else:
        redis_server.start()
    asked = alice.invite(f"bob+{bob.port}")
    bob.reply(bob.expect("INVITE", call_id=asked.call_id), 200)
    dialog = alice.answered(asked, alice.expect(200, call_id=asked.call_id))
    bob.expect("ACK")
    assert redis_server.get(f"call:{asked.call_id}") == b"alice"
    hang_up(alice, bob, dialog)
    assert [server.worker(rank).pid for rank in (1, 2)] == workers


def test_calls_are_limited(start: Start, phone: MakePhone, redis_server: RedisServer) -> None:
    """Script 17 over 11's functions: the second call is refused until the first has ended."""
    server = start("11", "17")
    alice, bob = phone(server), phone(server, "bob")
    dialog = call(alice, bob)
    assert redis_server.get("calls:alice") == b"1"
    second = alice.invite(f"bob+{bob.port}")
    alice.ack_failure(second, alice.expect(486, call_id=second.call_id))
    hang_up(alice, bob, dialog)
    wait_until(lambda: redis_server.get("calls:alice") == b"0", "the count to go down")
    dialog = call(alice, bob)
    assert redis_server.get("calls:alice") == b"1"
    hang_up(alice, bob, dialog)
    wait_until(lambda: redis_server.get("calls:alice") == b"0", "the count to go down")
