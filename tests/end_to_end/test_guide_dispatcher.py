"""The guide's script 08, bit exact: calls go to the next gateway on 503 and on silence."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.sipp import Sipp, needs_sipp
from tests.end_to_end.test_guide_scripts import guide

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "app_lua.so"
loadmodule "acc.so"
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "dispatcher.list")
modparam("tm", "fr_timer", 500)
modparam("acc", "log_flag", 2)
modparam("app_lua", "load", "main.lua")
modparam("app_lua", "load", "{script}")
cfgengine "lua"
"""
LOADER = """
function ksr_request_route()
    if KSR.siputils.has_totag() > 0 then
        KSR.rr.loose_route()
        KSR.tm.t_relay()
    elseif KSR.is_CANCEL() then
        KSR.tm.t_relay()
    else
        KSR.rr.record_route()
        KSR.acc.setflag(2)
        route_to_backend()
    end
end
"""
CALLS = 10

Start = Callable[..., RunningServer]


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> Start:
    """Runs script 08 over gateways, of which the last one named comes first."""

    def run(*ports: int) -> RunningServer:
        script = guide("08")
        files: dict[str, Path | str] = {
            script.name: script, "main.lua": LOADER,
            "dispatcher.list": "".join(f"1 sip:127.0.0.1:{port}\n" for port in ports),
        }  # fmt: skip
        config = CONFIG.format(script=script.name)
        return stack.enter_context(RunningServer(tmp_path, config, files=files, http=True))

    return run


@needs_sipp
def test_calls_that_a_gateway_refuses_go_to_the_next(start: Start, stack: ExitStack) -> None:
    good, bad = free_port(), free_port()
    server = start(good, bad)
    callee = stack.enter_context(Sipp(server, "callee", calls=CALLS, port=good))
    # The turns alternate: each second call tries the other one first.
    refusing = stack.enter_context(Sipp(server, "unavailable", calls=CALLS // 2, port=bad))
    stack.enter_context(Sipp(server, "caller", "-s", "x", "-r", "20", calls=CALLS)).finish()
    callee.finish()
    refusing.finish()
    server.wait_for_log("ACC: transaction answered: .*method=INVITE.*code=200", count=CALLS)


@needs_sipp
def test_calls_that_a_gateway_is_silent_to_go_to_the_next(start: Start, stack: ExitStack) -> None:
    good = free_port()
    silent = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    silent.bind(("127.0.0.1", 0))
    server = start(good, silent.getsockname()[1])
    callee = stack.enter_context(Sipp(server, "callee", calls=CALLS, port=good))
    stack.enter_context(Sipp(server, "caller", "-s", "x", "-r", "20", calls=CALLS)).finish()
    callee.finish()
    assert silent.recv(65536).startswith(b"INVITE ")
    server.wait_for_log("ACC: transaction answered: .*method=INVITE.*code=200", count=CALLS)


def test_one_more_gateway_is_tried_and_no_more(start: Start, stack: ExitStack) -> None:
    """The script's failure route does not arm itself again."""
    gateways = [stack.enter_context(Peer(("127.0.0.1", 9), f"gw{n}")) for n in range(3)]
    server = start(*(gateway.port for gateway in gateways))
    for gateway in gateways:
        gateway.server = (server.host, server.port)
    alice = stack.enter_context(Peer((server.host, server.port), "alice"))
    call = alice.invite("x")
    gateways[2].reply(gateways[2].expect("INVITE"), 503)
    second = gateways[1].expect("INVITE")
    gateways[1].reply(second, 486)
    alice.ack_failure(call, alice.expect(486))
    assert gateways[0].drain() == []


def test_no_gateway_left(start: Start, stack: ExitStack) -> None:
    server = start(free_port())
    server.ctl("rpc", "dispatcher.set_state", "i", "1", "all")
    alice = stack.enter_context(Peer((server.host, server.port), "alice"))
    call = alice.invite("x")
    alice.ack_failure(call, alice.expect(503))
