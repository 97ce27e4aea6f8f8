"""Calls that wait 50 ms for PostgreSQL, here and on Kamailio: python -m tests.bench.waiting_sql.

Both servers have two workers, the same config and the same script, which runs `pg_sleep` before it
relays the INVITE; both get the same load, one after the other.  `--calls 200000 --sleep 0.001
--rate 600 --ours` shows the memory of our server over many such calls.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.load import HERE, default_command
from tests.database_servers import DatabaseServer, PostgresServer
from tests.end_to_end.running_server import free_port

CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
children=2
listen=udp:127.0.0.1:{port}
auto_aliases=no
disable_tcp=yes
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "db_postgres.so"
loadmodule "sqlops.so"
loadmodule "app_lua.so"
modparam("sqlops", "sqlcon", "db=>{url}")
modparam("app_lua", "load", "script.lua")
cfgengine "lua"
"""
SCRIPT = """
function ksr_request_route()
    if KSR.siputils.has_totag() > 0 then
        if KSR.rr.loose_route() > 0 or KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
        return 1
    end
    if KSR.sqlops.sql_query("db", "SELECT pg_sleep({sleep}), 1", "ra") < 0 then
        KSR.sl.send_reply(503, "Database")
        return 1
    end
    KSR.sqlops.sql_result_free("ra")
    KSR.rr.record_route()
    KSR.seturi("sip:bob@127.0.0.1:{callee}")
    KSR.tm.t_relay()
    return 1
end
"""
OURS, THEIRS = "kamailiod", "Kamailio"


class Run:
    """One server of the two under load, in a folder of its own."""

    def __init__(self, args: argparse.Namespace, url: str) -> None:
        self.args = args
        self.folder = Path(tempfile.mkdtemp(prefix="kamailiod-waiting-"))
        self.port, self.callee = free_port(), free_port()
        (self.folder / "kamailio.cfg").write_text(CONFIG.format(port=self.port, url=url))
        (self.folder / "script.lua").write_text(
            SCRIPT.format(sleep=args.sleep, callee=self.callee)
        )
        self._log = (self.folder / "log").open("wb")

    @contextmanager
    def running(self, command: list[str]) -> Iterator[psutil.Process]:
        """Run a server and its callee."""
        server = subprocess.Popen(
            [*command, "-f", "kamailio.cfg", "-DD", "-E", "-m", "64", "-w", str(self.folder),
             "-Y", str(self.folder), "-P", str(self.folder / "pid")],
            cwd=self.folder, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        callee = subprocess.Popen(
            self._sipp("uas.xml", self.callee), cwd=self.folder, stdout=subprocess.DEVNULL
        )
        try:
            time.sleep(2)
            if server.poll() is not None:
                sys.exit(f"no start, see {self.folder}/log")
            yield psutil.Process(server.pid)
        finally:
            callee.kill()
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()

    def calls(self, count: int) -> tuple[int, int]:
        """Make calls; how many went well and how many failed."""
        for old in self.folder.glob("*_rtt.csv"):
            old.unlink()
        seconds = count // self.args.rate
        subprocess.run(
            self._sipp(
                "call.xml", free_port(), "-r", str(self.args.rate), "-m", str(count), "-l", "20000",
                "-recv_timeout", "10000", "-timeout", f"{seconds + 30}s", "-trace_stat", "-stf",
                "calls.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1",
            ),
            cwd=self.folder, stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        with (self.folder / "calls.csv").open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        good = int(last["SuccessfulCall(C)"])
        return good, count - good

    def set_up_times(self) -> list[float]:
        """Return the milliseconds from INVITE to 200 of the last calls, sorted."""
        times: list[float] = []
        for path in self.folder.glob("*_rtt.csv"):
            with path.open() as file:
                rows = csv.reader(file, delimiter=";")
                next(rows, None)
                times += [float(row[1]) for row in rows if len(row) > 1]
        return sorted(times)

    def _sipp(self, scenario: str, port: int, *more: str) -> list[str]:
        return ["sipp", "-sf", str(HERE / "scenarios" / scenario), "-i", "127.0.0.1",
                "-p", str(port), "-nostdin", *more, f"127.0.0.1:{self.port}"]  # fmt: skip


def memory(server: psutil.Process) -> float:
    """Return the MiB that a server's processes use, shared pages counted once."""
    processes = [server, *server.children(recursive=True)]
    return float(sum(process.memory_full_info().pss for process in processes)) / 2**20


def measure(name: str, command: list[str], args: argparse.Namespace, url: str) -> bool:
    """Run the load and print what came of it; whether each call went well and soon enough."""
    run = Run(args, url)
    failed = 0
    with run.running(command) as server:
        run.calls(20)
        for part in range(args.parts):
            good, bad = run.calls(args.calls // args.parts)
            failed += bad
            times = run.set_up_times() or [0.0]
            if args.parts > 1:
                # Transactions end some seconds after their calls.
                time.sleep(6)
            median, late = times[len(times) // 2], times[len(times) * 99 // 100]
            print(
                f"{name}, part {part + 1}: {good} good, {bad} failed; set up in {median:.0f} ms"
                f" (median), {late:.0f} ms (99 of 100); {memory(server):.1f} MiB",
                flush=True,
            )
    shutil.rmtree(run.folder, ignore_errors=True)
    return not failed and median < args.bound


@contextmanager
def postgres() -> Iterator[DatabaseServer]:
    """Run a PostgreSQL server."""
    folder = Path(tempfile.mkdtemp(prefix="kamailiod-postgres-"))
    server = PostgresServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Measure ours and, when it is installed, Debian's; 1 when ours failed a call or was late."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--sleep", type=float, default=0.05)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--bound", type=float, default=150.0, help="milliseconds for the median")
    parser.add_argument("--ours", action="store_true", help="without Kamailio")
    args = parser.parse_args()
    with postgres() as database:
        good = measure(OURS, [default_command(), "--http", "none"], args, database.url)
        other = shutil.which("kamailio")
        if other and not args.ours:
            measure(THEIRS, [other, "-M", "8"], args, database.url)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
