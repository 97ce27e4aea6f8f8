"""200 calls a second for a minute on four workers: python -m tests.bench.soak.

Shows failures, hand-overs, each worker's share, and memory before, after and once all
transactions have ended.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench.load import LoadedServer, default_command


def main() -> int:
    """Run the load and print what came of it; 1 when a call failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=4)
    args = parser.parse_args()
    server = LoadedServer(default_command(), args.workers)
    try:
        server.register_callee()
        server.calls("call.xml", args.rate, 3).wait()
        server.until_quiet()
        warm = server.memory()
        server.calls("call.xml", args.rate, args.seconds).wait()
        good, bad, repeated = server.result()
        busy = server.memory()
        left = server.until_quiet()
        quiet = server.memory()
        print(f"calls: {good} good, {bad} failed, {repeated} retransmissions of sipp's")
        print(f"memory: {warm:.1f} MiB warm, {busy:.1f} at the end, {quiet:.1f} when quiet; "
              f"{left} transactions left")  # fmt: skip
        steered = server.metric("kamailiod_core_steered")
        handed = server.metric("kamailiod_core_handed_over")
        print(f"handed over: {sum(handed.values()):.0f} of "
              f"{sum(steered.values()) + sum(handed.values()):.0f} messages")  # fmt: skip
        total = sum(steered.values()) or 1
        for labels, value in sorted(steered.items()):
            if value:
                print(f"  {labels}: {value / total:.1%} of all")
        print(f"dialogs left: {server.rpc('dlg.stats_active')}")
        return 1 if bad else 0
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
