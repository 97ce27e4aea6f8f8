"""kill -9 of a worker every 5 s under 50 calls a second: python -m tests.bench.killed_workers.

Calls last 3 s.  Shows what failed, and that server, registrations and dialogs stay.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time

from tests.bench.load import LoadedServer, default_command


def main() -> int:
    """Run the load and the killing; 1 when the server, a registration or a dialog is lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=5.0)
    args = parser.parse_args()
    server = LoadedServer(default_command(), args.workers)
    try:
        server.register_callee()
        load = server.calls("held_call.xml", args.rate, args.seconds)
        kills = kill_now_and_then(server, args)
        load.wait()
        good, bad, repeated = server.result()
        restarts = sum(server.metric("kamailiod_core_worker_restarts").values())
        left = server.until_quiet(60)
        registered = server.rpc("ul.dump")
        dialogs = server.rpc("dlg.stats_active")
        print(f"kills: {kills}, restarts: {restarts:.0f}")
        share = bad / max(good + bad, 1)
        print(f"calls: {good} good, {bad} failed ({share:.2%}), {bad / max(kills, 1):.1f} a kill; "
              f"{repeated} retransmissions of sipp's")  # fmt: skip
        print(f"transactions left: {left}; dialogs left: {dialogs}")
        print(f"bob is registered: {'bob' in str(registered)}")
        return 0 if "bob" in str(registered) and restarts == kills else 1
    finally:
        server.stop()


def kill_now_and_then(server: LoadedServer, args: argparse.Namespace) -> int:
    """Kill a random worker every few seconds while the load runs; returns how often."""
    end = time.monotonic() + args.seconds
    kills = 0
    while time.monotonic() + args.every < end:
        time.sleep(args.every)
        rank = random.randint(1, args.workers)
        os.kill(server.pids()[rank], signal.SIGKILL)
        kills += 1
    return kills


if __name__ == "__main__":
    sys.exit(main())
