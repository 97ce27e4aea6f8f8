"""Pings of the dispatcher: a gateway that is silent goes down, one that answers comes up."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.waiting import wait_until

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "dispatcher.list")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "ds_ping_interval", INTERVAL)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_ping_from", "sip:pinger@example.com")
modparam("dispatcher", "ds_ping_latency_stats", 1)
modparam("tm", "fr_timer", 400)

request_route {
    if (!ds_select_dst("1", "8")) {
        send_reply("500", "No destination");
        exit;
    }
    t_on_failure("NEXT");
    t_relay();
}

failure_route[NEXT] {
    if (t_check_status("503|408")) {
        ds_mark_dst("ip");
        if (ds_next_dst()) {
            t_relay();
            exit;
        }
    }
}

event_route[dispatcher:dst-down] {
    xlog("L_INFO", "gateway down: $rm $ru $rd $dsv(code)\\n");
}

event_route[dispatcher:dst-up] {
    xlog("L_INFO", "gateway up: $rm $ru $rd $dsv(code) $dsv(reason)\\n");
}
"""


@pytest.fixture
def gateways(stack: ExitStack) -> list[Peer]:
    return [stack.enter_context(Peer(("127.0.0.1", 9), f"gw{n}")) for n in range(2)]


Start = Callable[[int], RunningServer]


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack, gateways: list[Peer]) -> Start:
    """Runs a server that pings the gateways each so many seconds, the first one preferred."""

    def run(interval: int) -> RunningServer:
        lines = "".join(f"1 sip:127.0.0.1:{gateway.port}\n" for gateway in reversed(gateways))
        config = CONFIG.replace("INTERVAL", str(interval))
        running = stack.enter_context(
            RunningServer(tmp_path, config, files={"dispatcher.list": lines}, http=True)
        )
        for gateway in gateways:
            gateway.server = (running.host, running.port)
        return running

    return run


def states(server: RunningServer) -> dict[int, str]:
    """Return port -> letters, as dispatcher.list shows them."""
    asked = urllib.request.Request(
        f"http://{server.host}:{server.http_port}/rpc",
        b'{"jsonrpc":"2.0","method":"dispatcher.list","id":1}',
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=5) as answer:
        result: Any = json.load(answer)["result"]
    targets = result["RECORDS"][0]["SET"]["TARGETS"]
    return {int(t["DEST"]["URI"].rpartition(":")[2]): t["DEST"]["FLAGS"] for t in targets}


def answer_pings(*gateways: Peer) -> None:
    """Answer every ping that is there."""
    for gateway in gateways:
        for request in gateway.drain():
            if request.method == "OPTIONS" and not request.status:
                gateway.reply(request, 200, "Fine")


def answering(condition: Callable[[], bool], *gateways: Peer) -> Callable[[], bool]:
    def met() -> bool:
        answer_pings(*gateways)
        return condition()

    return met


def test_down_and_up_again(start: Start, gateways: list[Peer]) -> None:
    server = start(1)
    first, second = gateways
    ping = first.expect("OPTIONS")
    assert ping.header("From").startswith("<sip:pinger@example.com>;tag=")
    assert ping.uri == f"sip:127.0.0.1:{first.port}"
    down = f"gateway down: OPTIONS sip:127.0.0.1:{first.port} 127.0.0.1 408"
    wait_until(answering(lambda: down in server.log(), second), "the event")
    assert states(server)[first.port] == "IP"
    wait_until(answering(lambda: states(server)[second.port] == "AP", second), "the other's state")
    # What is down is not tried, whichever worker the call belongs to; a killed one changes nothing.
    killed = server.worker(1)
    killed.kill()
    server.wait_for_log(r"\(rank 1\) died")
    wait_until(lambda: server.worker(1).pid != killed.pid, "another worker")
    for _ in range(6):
        call = first.invite("x")
        second.reply(second.expect("INVITE", call_id=call.call_id), 486)
        first.ack_failure(call, first.expect(486, call_id=call.call_id))
        answer_pings(second)
    up = f"gateway up: OPTIONS sip:127.0.0.1:{first.port} 127.0.0.1 200 Fine"
    wait_until(answering(lambda: up in server.log(), first, second), "the event")
    assert states(server)[first.port] == "AP"


def test_marked_by_a_call(start: Start, gateways: list[Peer], stack: ExitStack) -> None:
    """What the failure route marks is seen by the other processes at once."""
    server = start(3600)
    first, second = gateways
    alice = stack.enter_context(Peer((server.host, server.port), "alice"))
    call = alice.invite("x")
    first.reply(first.expect("INVITE"), 503)
    invite = second.expect("INVITE")
    assert states(server)[first.port] == "IP"
    assert f"gateway down: OPTIONS sip:127.0.0.1:{first.port}" in server.log()
    second.reply(invite, 486)
    alice.ack_failure(call, alice.expect(486))
