"""The compiled kernel: the hot path's modules, made machine code by mypyc where that can be done.

Everything else of the build is in setup.cfg.  The kernel is the same Python source, so that
without mypy, a C compiler or Python's headers, or with KAMAILIOD_PURE=1, the build goes on without
it, after one line that says why.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNEL = (
    "kamailiod/metrics/statistics.py",
    "kamailiod/modules/dialog_tracking/attachment.py",
    "kamailiod/modules/dialog_tracking/records.py",
    "kamailiod/modules/dialog_tracking/tally.py",
    "kamailiod/modules/dialog_tracking/tracker.py",
    "kamailiod/modules/record_routing/own_route.py",
    "kamailiod/modules/registration/address_of_record.py",
    "kamailiod/modules/registration/change.py",
    "kamailiod/modules/registration/contact.py",
    "kamailiod/modules/registration/locations.py",
    "kamailiod/modules/registration/path.py",
    "kamailiod/modules/registration/routing.py",
    "kamailiod/modules/registration/saving.py",
    "kamailiod/modules/sanity_checks/checks.py",
    "kamailiod/modules/stateless_replies/replies.py",
    "kamailiod/net/address.py",
    "kamailiod/net/network.py",
    "kamailiod/net/ownership.py",
    "kamailiod/net/resolver.py",
    "kamailiod/net/udp.py",
    "kamailiod/receive.py",
    "kamailiod/script/arrivals.py",
    "kamailiod/script/context.py",
    "kamailiod/script/forwarded_request.py",
    "kamailiod/script/relay.py",
    "kamailiod/script/suspension.py",
    "kamailiod/script/transaction_statistics.py",
    "kamailiod/script/transactions.py",
    "kamailiod/sip/build.py",
    "kamailiod/sip/edits.py",
    "kamailiod/sip/fork.py",
    "kamailiod/sip/header_names.py",
    "kamailiod/sip/message.py",
    "kamailiod/sip/methods.py",
    "kamailiod/sip/name_addr.py",
    "kamailiod/sip/record_route.py",
    "kamailiod/sip/transaction.py",
    "kamailiod/sip/transaction_tables.py",
    "kamailiod/sip/uri.py",
    "kamailiod/sip/via.py",
    "lua/runtime.py",
    "shm/counters.py",
    "shm/histogram.py",
    "shm/layout.py",
    "workers/timers.py",
)
"""What is compiled: what runs for every message and gets quicker by it.

Left out is what mypyc cannot compile: a module's own file (its declarations are attributes of
functions), the stores (their records change their class), the variables; the map in shared memory,
whose every line is tested to survive a kill; what tests put a fake in the place of (Engine); and
what only runs at the start.
"""

# Strictness is `make check`'s; here only types that the compiler cannot work with are errors.
_MYPY_OPTIONS = (
    "--config-file=", "--cache-dir=build/mypy", "--ignore-missing-imports",
    "--follow-imports=silent",
)  # fmt: skip


class BuildKernel(build_ext):
    """Builds the whole kernel or nothing: its modules call each other without Python's imports."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            for built in self.get_outputs():
                Path(built).unlink(missing_ok=True)
            self.extensions = []
            self.distribution.ext_modules = []
            _explain(error)


def kernel() -> list[Extension]:
    """Return the extensions to build; none when they are not wanted or cannot be made."""
    if os.environ.get("KAMAILIOD_PURE") == "1":
        _explain("KAMAILIOD_PURE=1")
        return []
    try:
        from mypyc.build import mypycify

        extensions: list[Extension] = mypycify(
            [*_MYPY_OPTIONS, *KERNEL],
            group_name="kamailiod",
            opt_level="3",
            debug_level="0",
        )
    except (Exception, SystemExit) as error:
        _explain(f"mypyc: {error}")
        return []
    return extensions


def _explain(reason: object) -> None:
    print(f"kamailiod is built in pure Python: {reason}", file=sys.stderr)


if __name__ == "__main__":
    setup(ext_modules=kernel(), cmdclass={"build_ext": BuildKernel})
