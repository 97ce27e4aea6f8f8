"""Calls that each ask an HTTP service of 200 ms: python -m tests.bench.waiting_http.

Shows failed calls and set-up times of kamailiod, then of Debian's Kamailio with the same script and
as many processes where it is installed, and what memory kamailiod uses from part to part.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.bench.callers import Callee, measure
from tests.bench.load import default_command

KAMAILIO = "/usr/sbin/kamailio"
CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children={workers}
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "app_lua.so"
loadmodule "http_client.so"
modparam("app_lua", "load", "{script}")
cfgengine "lua"
"""
SCRIPT = """
function ksr_request_route()
    if KSR.is_OPTIONS() then
        KSR.sl.send_reply(200, "OK")
    elseif KSR.is_INVITE() then
        local status = KSR.http_client.query("http://127.0.0.1:{service}/route?u=" ..
            KSR.pv.get("$fU"), "$var(place)")
        if status ~= 200 then
            KSR.sl.send_reply(503, "Error " .. status)
            return
        end
        KSR.pv.sets("$ru", KSR.pv.get("$var(place)"))
        KSR.tm.t_relay()
    end
end
"""


class Server:
    """kamailiod or Kamailio with the script, in a folder of its own, on free ports."""

    def __init__(self, command: str, workers: int, service: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="waiting-http-"))
        self.port = free_port()
        script = self.folder / "script.lua"
        script.write_text(SCRIPT.replace("{service}", str(service)))
        config = self.folder / "kamailio.cfg"
        config.write_text(CONFIG.format(workers=workers, port=self.port, script=script))
        own = ["-w", str(self.folder), "--http", "none"]
        its = ["-Y", str(self.folder), "-P", str(self.folder / "pid"), "-m", "64"]
        self._log = (self.folder / "log").open("wb")
        self._server = subprocess.Popen(
            [command, "-DD", "-E", "-f", str(config), *(its if command == KAMAILIO else own)],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def memory(self) -> float:
        """Return the MiB of its own that all its processes use."""
        found = psutil.Process(self._server.pid)
        everyone = [found, *found.children(recursive=True)]
        return sum(process.memory_full_info().uss for process in everyone) / (1 << 20)

    def stop(self) -> None:
        """End it."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """Return a UDP port of 127.0.0.1 that nothing uses."""
    import socket

    with socket.socket(type=socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def serve(callee_port: int, delay: float, told: Connection) -> None:
    """Answer each request after a while with where the callee is."""
    from aiohttp import web

    async def route(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(delay)
        return web.Response(text=f"sip:bob@127.0.0.1:{callee_port}\n")

    async def main() -> None:
        runner = web.ServerRunner(web.Server(route))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def wait_until_up(port: int) -> None:
    """Wait until a server answers OPTIONS."""
    loop = asyncio.get_running_loop()
    up = asyncio.Event()

    class Listening(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            up.set()

    transport, _ = await loop.create_datagram_endpoint(Listening, local_addr=("127.0.0.1", 0))
    own = transport.get_extra_info("sockname")[1]
    data = (
        b"OPTIONS sip:127.0.0.1:%d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKup\r\n"
        b"Max-Forwards: 1\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\n"
        b"Call-ID: up\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % (port, own)
    )
    end = loop.time() + 15
    while not up.is_set() and loop.time() < end:
        transport.sendto(data, ("127.0.0.1", port))
        await asyncio.sleep(0.1)
    transport.close()
    if not up.is_set():
        sys.exit(f"nothing answers at port {port}")


async def run(args: argparse.Namespace) -> int:
    """Measure both servers; 1 when a call through kamailiod failed."""
    loop = asyncio.get_running_loop()
    transport, callee = await loop.create_datagram_endpoint(Callee, local_addr=("127.0.0.1", 0))
    told, telling = multiprocessing.Pipe(duplex=False)
    service = multiprocessing.Process(
        target=serve, args=(callee.port, args.delay, telling), daemon=True
    )
    service.start()
    port = await asyncio.to_thread(told.recv)
    failed = 0
    commands = {"kamailiod": default_command()}
    if os.path.exists(KAMAILIO) and not args.alone:
        commands["Kamailio"] = KAMAILIO
    for name, command in commands.items():
        server = Server(command, args.workers, port)
        try:
            await wait_until_up(server.port)
            parts = args.parts if name == "kamailiod" else 1
            for _ in range(parts):
                began = time.monotonic()
                address = ("127.0.0.1", server.port)
                report = await measure(address, callee, args.rate, args.seconds / parts)
                print(f"{name}, {args.workers} processes, {args.rate} calls a second: {report}; "
                      f"{server.memory():.1f} MiB, {time.monotonic() - began:.0f} s",
                      flush=True)  # fmt: skip
                if name == "kamailiod":
                    failed += sum(report.failures.values())
        finally:
            server.stop()
    service.kill()
    transport.close()
    return 1 if failed else 0


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--alone", action="store_true", help="without Debian's Kamailio")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
