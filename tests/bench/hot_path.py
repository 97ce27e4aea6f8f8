"""CPU of one OPTIONS, REGISTER and call without sockets: python -m tests.bench.hot_path.

Sending is recorded instead of done, so the figures are our own code's alone; `--profile` prints
where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import tempfile
import time
from types import SimpleNamespace

from kamailiod.modules.sl import Sl
from kamailiod.modules.tm import Tm
from kamailiod.net.address import Source
from kamailiod.options import parse
from kamailiod.receive import Receiver
from kamailiod.server import Server
from workers import TimerWheel, process_table

SCRIPT = os.path.join(os.path.dirname(__file__), "pbx.lua")
CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children=2
listen=udp:127.0.0.1:5060
loadmodule "app_lua.so"
modparam("rr", "enable_full_lr", 1)
modparam("registrar", "max_contacts", 10)
modparam("app_lua", "load", "{script}")
cfgengine "lua"
"""


class Bench:
    """One worker without a process: messages go in, what it sends is kept."""

    def __init__(self, script: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".cfg", delete=False) as file:
            file.write(CONFIG.format(script=script))
        server = Server(parse(["-DD", "-f", file.name, "-m", "256"]))
        from kamailiod.listening_plan import plan

        addresses = plan(server._settings, server._settings.listen, False)
        services = server._services(addresses)
        services.instance = f"bench-{os.getpid()}"
        server._load_modules(services)
        roles = process_table(2)
        statistics = server._statistics(services, roles)
        services.statistics = statistics
        engine = server._engine(services)
        services.script = engine
        self.sent: list[bytes] = []
        statistics.open(1)
        for module in list(services.modules.values()):
            module.mod_init()
        engine.load()
        self.now = 0.0
        wheel = TimerWheel(clock=lambda: self.now)
        self.wheel = wheel
        services.enter(1, SimpleNamespace(loop=None, timers=wheel, mailbox=None))
        udp = SimpleNamespace(send=self._send)
        services.network.open(udp, None, lambda *a: False,
                              statistics.counter("core:datagrams_sent"), lambda: None)
        for module in services.modules.values():
            module.child_init(1)
        self.services = services
        self.receiver = Receiver(
            1, 1, 0, services.network, engine, services.module(Tm), services.module(Sl),
            services.log, statistics.counter, statistics.handling(), lambda *a: False, 1000, False)
        self.local = addresses[0]

    def _send(self, target: object, data: bytes) -> bool:
        self.sent.append(data)
        return True

    def receive(self, data: bytes, port: int) -> list[bytes]:
        """Give one datagram to the worker; returns what it sent."""
        self.sent.clear()
        self.receiver.receive(data, Source(self.local, b"127.0.0.1", port, 0, 0.0))
        return list(self.sent)

    def close(self) -> None:
        self.services.close()
        self.services.statistics.close()


OPTIONS = (
    "OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;"
    "branch=z9hG4bK-1-{n}-0\r\n"
    "From: <sip:ping@127.0.0.1:5080>;tag=1o{n}\r\nTo: <sip:127.0.0.1:5060>\r\n"
    "Call-ID: {n}-1234567@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nContact: <sip:ping@127.0.0.1:5080>\r\n"
    "Max-Forwards: 70\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n"
)
REGISTER = (
    "REGISTER sip:127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;"
    "branch=z9hG4bK-1-{n}-0\r\n"
    "From: <sip:u{n}@127.0.0.1>;tag=1r{n}\r\nTo: <sip:u{n}@127.0.0.1>\r\n"
    "Call-ID: {n}-1234567@127.0.0.1\r\nCSeq: 1 REGISTER\r\nContact: <sip:u{n}@127.0.0.1:5070>\r\n"
    "Max-Forwards: 70\r\nExpires: 3600\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n"
)
SDP = (
    "v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6004 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
INVITE = (
    "INVITE sip:bob@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;"
    "branch=z9hG4bK-1-{n}-0\r\n"
    'From: "Alice" <sip:alice@127.0.0.1>;tag=1c{n}\r\nTo: <sip:bob@127.0.0.1>\r\n'
    "Call-ID: {n}-1234567@127.0.0.1\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@127.0.0.1:5080>\r\n"
    "Max-Forwards: 70\r\nUser-Agent: bench\r\nContent-Type: application/sdp\r\n"
    f"Content-Length:   {len(SDP)}\r\n\r\n{SDP}"
)
IN_DIALOG = (
    "{method} sip:bob@127.0.0.1:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;"
    "branch=z9hG4bK-1-{n}-{m}\r\n"
    "Route: {route}\r\n"
    'From: "Alice" <sip:alice@127.0.0.1>;tag=1c{n}\r\nTo: <sip:bob@127.0.0.1>;tag=1s{n}\r\n'
    "Call-ID: {n}-1234567@127.0.0.1\r\nCSeq: {m} {method}\r\nMax-Forwards: 70\r\n"
    "Content-Length: 0\r\n\r\n"
)


def headers(data: bytes, *names: bytes) -> list[bytes]:
    head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return [line for line in head if line.split(b":")[0] in names]


def reply(request: bytes, first: bytes, n: int, sdp: bool) -> bytes:
    lines = headers(request, b"Via", b"Record-Route", b"From", b"To", b"Call-ID", b"CSeq")
    lines = [line + b";tag=1s%d" % n if line.startswith(b"To:") and b"tag=" not in line else line
             for line in lines]
    body = SDP.encode() if sdp else b""
    lines += [b"Contact: <sip:bob@127.0.0.1:5070>", b"Content-Length: %d" % len(body)]
    if sdp:
        lines.append(b"Content-Type: application/sdp")
    return b"\r\n".join([first, *lines, b"", body])


class Clock:
    """Adds up the time spent in the worker alone."""

    def __init__(
        self, bench: Bench, profile: cProfile.Profile | None, idle: float
    ) -> None:
        self.bench = bench
        self.spent = 0.0
        self.idle = idle
        self.profile = profile

    def __call__(self, data: bytes, port: int) -> list[bytes]:
        if self.idle:
            time.sleep(self.idle)
        if self.profile is not None:
            self.profile.enable()
        start = time.process_time()
        sent = self.bench.receive(data, port)
        self.spent += time.process_time() - start
        if self.profile is not None:
            self.profile.disable()
        return sent


def call(clock: Clock, n: int) -> None:
    sent = clock(INVITE.format(n=n).encode(), 5080)
    invite = sent[-1]
    assert invite.startswith(b"INVITE"), sent
    assert clock(reply(invite, b"SIP/2.0 180 Ringing", n, False), 5070)
    ok = clock(reply(invite, b"SIP/2.0 200 OK", n, True), 5070)[0]
    route = headers(ok, b"Record-Route")[0].partition(b": ")[2].decode()
    text = IN_DIALOG.format(method="ACK", n=n, m=1, route=route).encode()
    assert clock(text, 5080)[0].startswith(b"ACK")
    bye = clock(IN_DIALOG.format(method="BYE", n=n, m=2, route=route).encode(), 5080)[0]
    assert bye.startswith(b"BYE"), bye
    assert clock(reply(bye, b"SIP/2.0 200 OK", n, False), 5070)
    clock.bench.now += 0.002
    start = time.process_time()
    clock.bench.wheel.advance(clock.bench.now)
    clock.spent += time.process_time() - start


def batch(
    bench: Bench, name: str, start: int, count: int, profile: cProfile.Profile | None, idle: float
) -> float:
    clock = Clock(bench, profile, idle)
    for n in range(start, start + count):
        if name == "options":
            assert clock(OPTIONS.format(n=n).encode(), 5080)[0].startswith(b"SIP/2.0 200")
        elif name == "register":
            assert clock(REGISTER.format(n=n).encode(), 5080)[0].startswith(b"SIP/2.0 200")
        else:
            call(clock, n)
    return clock.spent / count


def with_dialogs(script: str) -> str:
    """Return a file with the script and its switch for dialogs set."""
    with open(script) as file, tempfile.NamedTemporaryFile(
        "w", suffix=".lua", delete=False
    ) as copy:
        copy.write("DIALOG = true\n" + file.read())
    return copy.name


def main() -> None:
    """Print microseconds of CPU for each scenario."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--scenario")
    parser.add_argument("--idle", type=float, default=0.0,
                        help="seconds to sleep before each message: what a half idle worker sees")
    parser.add_argument("--script", default=SCRIPT)
    parser.add_argument("--dialog", action="store_true", help="follow the calls by dlg_manage")
    parser.add_argument("-n", type=int, default=5000)
    args = parser.parse_args()
    bench = Bench(with_dialogs(args.script) if args.dialog else args.script)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    try:
        for name in ("options", "register", "call"):
            if args.scenario not in (None, name):
                continue
            profile = cProfile.Profile() if args.profile else None
            bench.receive(REGISTER.format(n=0).replace("u0", "bob").encode(), 5090)
            best = min(batch(bench, name, start, args.n // 10, profile, args.idle)
                       for start in range(0, args.n, args.n // 10))
            print(f"{name:9} {best * 1e6:7.1f} us")
            if profile is not None:
                pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
