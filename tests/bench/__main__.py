"""All measurements that need nothing but this machine: make bench.

The side-by-side run against Debian's Kamailio is a program of its own, see README.md.
"""

from __future__ import annotations

import runpy
import sys

PARTS = ("hot_path", "lua_calls", "shared_memory", "kill_store", "soak", "killed_workers",
         "waiting_http", "waiting_sql", "waiting_redis")  # fmt: skip


def main() -> None:
    """Run the parts one after the other, or those named on the command line."""
    for name in sys.argv[1:] or PARTS:
        print(f"== {name}", flush=True)
        sys.argv = [name]
        try:
            runpy.run_module(f"tests.bench.{name}", run_name="__main__")
        except SystemExit as end:
            if end.code:
                print(f"{name}: exit status {end.code}")


if __name__ == "__main__":
    main()
