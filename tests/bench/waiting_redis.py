"""Calls that each ask a Redis which stalls and dies: python -m tests.bench.waiting_redis.

The script answers 503 when its command fails; no call may be left without an answer, none may take
much longer than the time-outs allow, and all are good again once Redis is back.  Debian's Kamailio
gets the stall too, with the same script and as many processes, where it is installed.  The parts at
the end show what memory kamailiod uses over many calls.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.callers import Callee, Report, measure
from tests.bench.load import default_command
from tests.bench.waiting_http import KAMAILIO, free_port, wait_until_up
from tests.redis_servers import RedisServer, running_redis

TIMEOUT = 0.5
CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children={workers}
listen=udp:127.0.0.1:{port}
auto_aliases=no
disable_tcp=yes
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "app_lua.so"
loadmodule "ndb_redis.so"
modparam("ndb_redis", "server", "name=srv1;addr=127.0.0.1;port={redis}")
modparam("ndb_redis", "cmd_timeout", {timeout})
modparam("ndb_redis", "connect_timeout", {timeout})
modparam("app_lua", "load", "{script}")
cfgengine "lua"
"""
SCRIPT = """
function ksr_request_route()
    if KSR.is_OPTIONS() then
        KSR.sl.send_reply(200, "OK")
    elseif KSR.is_INVITE() then
        local redis = KSR.ndb_redis
        if redis.redis_cmd_p2("srv1", "SET call:%s %s EX 60", KSR.pv.get("$ci"),
                KSR.pv.get("$fU"), "r") < 0
            or redis.redis_cmd_p1("srv1", "GET call:%s", KSR.pv.get("$ci"), "r") < 0 then
            KSR.sl.send_reply(503, "Redis")
            return
        end
        KSR.pv.sets("$ru", "sip:bob@127.0.0.1:CALLEE")
        KSR.tm.t_relay()
    end
end
"""


class Server:
    """kamailiod or Kamailio with the script."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.address = ("127.0.0.1", port)
        self._process = process

    def processes(self) -> list[psutil.Process]:
        """Return all its processes."""
        found = psutil.Process(self._process.pid)
        return [found, *found.children(recursive=True)]

    def memory(self) -> float:
        """Return the MiB of their own that they use."""
        return sum(process.memory_full_info().uss for process in self.processes()) / (1 << 20)


@contextmanager
def running(command: str, workers: int, redis: int, callee: int) -> Iterator[Server]:
    """Run a server in a folder of its own, on a free port."""
    folder = Path(tempfile.mkdtemp(prefix="waiting-redis-"))
    port = free_port()
    script, config = folder / "script.lua", folder / "kamailio.cfg"
    script.write_text(SCRIPT.replace("CALLEE", str(callee)))
    config.write_text(
        CONFIG.format(
            workers=workers, port=port, script=script, redis=redis, timeout=int(TIMEOUT * 1000)
        )
    )
    own = ["-w", str(folder), "--http", "none"]
    its = ["-Y", str(folder), "-P", str(folder / "pid"), "-m", "64"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "-DD", "-E", "-f", str(config), *(its if command == KAMAILIO else own)],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Load:
    """Calls at a rate, with something done to Redis meanwhile."""

    def __init__(self, args: argparse.Namespace, redis: RedisServer, callee: Callee) -> None:
        self._args = args
        self._redis = redis
        self._callee = callee
        self.faults: list[str] = []

    async def part(
        self, what: str, server: Server, seconds: float,
        harm: Callable[[], None] | None = None, mend: Callable[[], None] | None = None,
    ) -> Report:  # fmt: skip
        """Make calls for some seconds, harm Redis after two and mend it two seconds later."""
        calls = asyncio.ensure_future(
            measure(server.address, self._callee, self._args.rate, seconds)
        )
        if harm is not None and mend is not None:
            await asyncio.sleep(2)
            harm()
            await asyncio.sleep(self._args.stall)
            await asyncio.to_thread(mend)
        report = await calls
        late = f", the slowest of them {report.slowest_failure:.2f} s" if report.failures else ""
        print(f"{what}: {report}{late}; {server.memory():.1f} MiB", flush=True)
        return report

    async def ours(self, server: Server) -> None:
        """Stall, kill and restart Redis, then make many calls; keeps what went wrong."""
        redis, seconds = self._redis, self._args.stall + 6
        before = {process.pid for process in server.processes()}
        stalled = await self.part(
            "kamailiod, Redis stalls", server, seconds, redis.pause, redis.resume
        )
        self._expect_answers("stall", stalled)
        killed = await self.part(
            "kamailiod, Redis is killed and started", server, seconds, redis.kill, redis.start
        )
        self._expect_answers("kill", killed)
        for number in range(self._args.parts):
            good = await self.part(
                f"kamailiod, part {number + 1}", server, self._args.seconds / self._args.parts
            )
            if good.failures:
                self.faults.append(f"calls failed with Redis back: {good.failures}")
        if {process.pid for process in server.processes()} != before:
            self.faults.append("a process has died")

    def _expect_answers(self, what: str, report: Report) -> None:
        if set(report.failures) - {503}:
            self.faults.append(f"{what}: not all were answered by the script: {report.failures}")
        if not report.failures:
            self.faults.append(f"{what}: no call failed: Redis was not asked")
        # Two time-outs (to connect, to be answered) and what a busy machine takes.
        if report.slowest_failure > 2 * TIMEOUT + 1:
            self.faults.append(f"{what}: an answer took {report.slowest_failure:.2f} s")


async def run(args: argparse.Namespace) -> int:
    """Measure both servers; 1 when something of ours went wrong."""
    loop = asyncio.get_running_loop()
    transport, callee = await loop.create_datagram_endpoint(Callee, local_addr=("127.0.0.1", 0))
    with running_redis() as redis:
        load = Load(args, redis, callee)
        with running(default_command(), args.workers, redis.port, callee.port) as server:
            await wait_until_up(server.address[1])
            await load.ours(server)
        if os.path.exists(KAMAILIO) and not args.alone:
            with running(KAMAILIO, args.workers, redis.port, callee.port) as server:
                await wait_until_up(server.address[1])
                await load.part(
                    "Kamailio, Redis stalls", server, args.stall + 6, redis.pause, redis.resume
                )
    transport.close()
    for fault in load.faults:
        print(fault)
    return 1 if load.faults else 0


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--stall", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=40, help="of the parts at the end")
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without Debian's Kamailio")
    args = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("redis-server is not installed")
        return 0
    return asyncio.run(run(args))


if __name__ == "__main__":
    sys.exit(main())
