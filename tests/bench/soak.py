"""200 calls a second for a minute on four workers: python -m tests.bench.soak.

Shows failures, hand-overs, each worker's share, and memory whenever all transactions have ended.
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
    parser.add_argument("--parts", type=int, default=4)
    args = parser.parse_args()
    server = LoadedServer(default_command(), args.workers)
    try:
        server.register_callee()
        bad = 0
        for part in range(args.parts):
            server.calls("call.xml", args.rate, args.seconds // args.parts).wait()
            good, failed, repeated = server.result()
            bad += failed
            left = server.until_quiet()
            print(f"part {part + 1}: {good} good, {failed} failed, {repeated} retransmissions of "
                  f"sipp's; {left} transactions left, {server.memory():.1f} MiB")  # fmt: skip
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
