"""kill -9 of a worker every 5 s under 100 calls a second: python -m tests.bench.killed_dialogs.

Calls last 3 s. Afterwards no dialog may be left, and each must have been accounted once: its CDR
is a line of the log. Calls that a kill made fail end by a deadline, which is short here.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter

from tests.bench.killed_workers import kill_now_and_then
from tests.bench.load import LoadedServer, default_command

_DEADLINE = 20
_MORE = f"""
loadmodule "acc.so"
modparam("acc", "cdr_enable", 1)
modparam("acc", "cdr_on_failed", 1)
modparam("acc", "cdr_expired_dlg_enable", 1)
modparam("acc", "cdr_extra", "callid=$dlg(callid);h_id=$dlg(h_id)")
modparam("acc", "log_level", -1)
modparam("tm", "fr_inv_timer", {_DEADLINE * 1000})
modparam("dialog", "early_timeout", {_DEADLINE})
modparam("dialog", "default_timeout", {_DEADLINE})
modparam("dialog", "timeout_noreset", 1)
"""
_CDR = re.compile(r"duration=.*callid=([^;]+); ?h_id=(\d+)")


def main() -> int:
    """Run the load and the killing; 1 when a dialog is left or not accounted exactly once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=5.0)
    args = parser.parse_args()
    server = LoadedServer(default_command(), args.workers, _MORE)
    try:
        server.register_callee()
        load = server.calls("held_call.xml", args.rate, args.seconds)
        kills = kill_now_and_then(server, args)
        load.wait()
        good, bad, _ = server.result()
        left = until_no_dialogs(server, 2 * _DEADLINE)
        processed = int(sum(server.metric("kamailiod_dialog_processed_dialogs").values()))
        records, calls = accounted(server)
        again = {name: count for name, count in records.items() if count > 1}
        print(f"kills: {kills}; calls: {good} good, {bad} failed; dialogs begun: {processed}")
        print(f"dialogs left: {left}")
        print(f"accounted: {len(records)} dialogs of {len(calls)} calls, {len(again)} again")
        several = sum(count > 1 for count in calls.values())
        print(f"calls with more than one dialog: {several}; good calls not accounted: "
              f"{max(good - len(calls), 0)}")  # fmt: skip
        missing = good - len(calls)
        return 0 if not left["all"] and not again and not several and missing <= 0 else 1
    finally:
        server.stop()


def until_no_dialogs(server: LoadedServer, seconds: float) -> dict[str, int]:
    """Wait until no dialog is left; returns what dlg.stats_active says then."""
    end = time.monotonic() + seconds
    while True:
        stats = server.rpc("dlg.stats_active")
        assert isinstance(stats, dict)
        if not stats["all"] or time.monotonic() > end:
            return stats
        time.sleep(0.5)


def accounted(server: LoadedServer) -> tuple[Counter[str], Counter[str]]:
    """Count the CDRs in the log by dialog, and the dialogs by Call-ID."""
    text = (server.folder / "log").read_text(errors="replace")
    records = Counter(match.groups() for match in _CDR.finditer(text))
    calls = Counter(call_id for call_id, _ in records)
    return Counter({"/".join(key): count for key, count in records.items()}), calls


if __name__ == "__main__":
    sys.exit(main())
