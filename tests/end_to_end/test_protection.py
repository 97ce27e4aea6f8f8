"""A server that is flooded, and one whose address table changes while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.waiting import wait_until

MakePhone = Callable[..., Peer]

CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "jsonrpcs.so"
loadmodule "pike.so"
loadmodule "permissions.so"
loadmodule "pipelimit.so"
loadmodule "ratelimit.so"
loadmodule "statistics.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
modparam("pike", "sampling_time_unit", 30)
modparam("pike", "reqs_density_per_unit", 10)
modparam("permissions", "address_file", "addresses")
modparam("permissions", "reload_delta", 0)
modparam("pipelimit", "timer_interval", 3600)
modparam("ratelimit", "timer_interval", 3600)
modparam("ratelimit", "pipe", "0:TAILDROP:0")
modparam("ratelimit", "queue", "0:INFO")
modparam("statistics", "variable", "asked")

request_route {
    if (is_method("OPTIONS")) {
        update_stat("asked", "+1");
        if (allow_source_address("2")) {
            sl_send_reply("200", "$pp");
            exit;
        }
        sl_send_reply("403", "$pp");
        exit;
    }
    if (is_method("MESSAGE")) {
        if (!pl_check("$si", "TAILDROP", "3")) {
            pl_drop("7");
            exit;
        }
    }
    if (is_method("INFO")) {
        if (!rl_check()) {
            sl_send_reply("503", "Limiting");
            exit;
        }
    }
    if (is_method("SUBSCRIBE")) {
        if (!pike_check_req()) {
            sl_send_reply("403", "$rc");
            exit;
        }
    }
    sl_send_reply("200", "$pp");
}
"""


def server(folder: Path, addresses: str = "1 192.0.2.1\n") -> RunningServer:
    return RunningServer(folder, CONFIG, files={"addresses": addresses}, http=True)


def answers(phone: Peer, method: str, times: int) -> list[tuple[int, str]]:
    """Send requests of that many calls, which both workers share; return codes and reasons."""
    found = []
    for _ in range(times):
        call = phone.new_call("server")
        phone.request(method, call)
        reply = phone.expect_that(lambda m, own=call: m.call_id == own.call_id, "a reply")  # type: ignore[misc]  # bound at once
        found.append((reply.status, reply.start.split(" ", 2)[2]))
    return found


def test_a_flood_is_found_over_both_workers(tmp_path: Path, phone: MakePhone) -> None:
    with server(tmp_path) as running:
        flooding = phone(running)
        found = answers(flooding, "SUBSCRIBE", 40)
        codes = [code for code, _ in found]
        first = codes.index(403)
        assert codes == [200] * first + [403] * (40 - first)
        assert first == 13, "4 requests to grow the tree, and the 10th of the address itself"
        assert len({reason for code, reason in found if code == 200}) == 2, "two workers"
        running.wait_for_log("BLOCKing ip 127.0.0.1")
        assert "127.0.0.1" in running.ctl("rpc", "pike.top", "HOT")


def test_pipes_limit_over_both_workers(tmp_path: Path, phone: MakePhone) -> None:
    with server(tmp_path) as running:
        alice = phone(running)
        limited = Counter(code for code, _ in answers(alice, "MESSAGE", 12))
        assert limited == {200: 3, 503: 9}
        assert "limit" in running.ctl("rpc", "pl.list", "127.0.0.1")
        assert answers(alice, "INFO", 2) == [(503, "Limiting")] * 2
        assert "PIPE[0]: 2:TAILDROP" in running.ctl("rpc", "rl.get_pipes")


def test_a_reload_is_seen_by_both_workers(tmp_path: Path, phone: MakePhone) -> None:
    with server(tmp_path) as running:
        alice = phone(running)

        def seen() -> dict[int, set[str]]:
            found = answers(alice, "OPTIONS", 12)
            return {c: {reason for code, reason in found if code == c} for c, _ in found}

        before = seen()
        assert list(before) == [403]
        assert len(before[403]) == 2, "both workers"
        (tmp_path / "addresses").write_text("2 127.0.0.0 8\n")
        assert "Reload OK" in running.ctl("rpc", "permissions.addressReload")
        assert list(seen()) == [200]
        running.worker(1).kill()
        wait_until(lambda: len(seen().get(200, ())) == 2, "the worker's successor")
        assert int(running.ctl("rpc", "stats.fetchn", "asked").split()[-1]) >= 24
