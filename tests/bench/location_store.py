"""Many registered contacts, in both servers: python -m tests.bench.location_store.

The same config runs in kamailiod and in Debian's Kamailio (unless it is absent), over a SQLite file
of 1,000 and of 100,000 contacts, db_mode 2.  For each: the time from its start to its first answer
that finds the last contact, shared memory a contact, and what one lookup() takes, measured by the
script itself over users all over the table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from kamailiod.script.table_layouts import create_tables
from shm import Binding, HashMap, LocationStore, Segment

ROUNDS = 8000
REPEATS = 20
START_SECONDS = 60.0
PROGRAM = Path(sys.executable).with_name("kamailiod")
REFERENCE = "/usr/sbin/kamailio"

CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children=2
max_while_loops=1000000
listen=udp:127.0.0.1:{port}
#!ifdef REFERENCE
loadmodule "db_sqlite.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "ctl.so"
modparam("ctl", "binrpc", "unix:{folder}/ctl")
#!else
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
#!endif
modparam("usrloc", "db_mode", 2)
modparam("usrloc", "db_url", "sqlite:///{folder}/location.db")
modparam("usrloc", "hash_size", 16)
modparam("usrloc", "preload", "location")
modparam("registrar", "append_branches", 0)

request_route {{
    if (is_present_hf("X-Last")) {{
        $ru = "sip:u" + $hdr(X-Last) + "@127.0.0.1";
        if (!lookup("location")) {{
            sl_send_reply("404", "Not Found");
            exit;
        }}
    }}
    if (is_present_hf("X-Users")) {{
        $var(users) = $(hdr(X-Users){{s.int}});
        $var(k) = 0;
        $var(n) = 0;
        $var(s) = $TV(sn);
        $var(u) = $TV(un);
        if ($hdr(X-Lookup) == "yes") {{
            while ($var(n) < {rounds}) {{
                $ru = "sip:u" + $var(k) + "@127.0.0.1";
                if (!lookup("location")) {{
                    sl_send_reply("404", "Not Found");
                    exit;
                }}
                $var(k) = ($var(k) + 7919) mod $var(users);
                $var(n) = $var(n) + 1;
            }}
        }} else {{
            while ($var(n) < {rounds}) {{
                $ru = "sip:u" + $var(k) + "@127.0.0.1";
                $var(k) = ($var(k) + 7919) mod $var(users);
                $var(n) = $var(n) + 1;
            }}
        }}
        $var(d) = ($TV(sn) - $var(s)) * 1000000 + $TV(un) - $var(u);
        append_to_reply("X-Microseconds: $var(d)\\r\\n");
    }}
    sl_send_reply("200", "OK");
    exit;
}}
"""

OPTIONS = (
    "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{n}\r\n"
    "From: <sip:b@127.0.0.1>;tag=b\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: {n}@bench\r\n"
    "CSeq: {n} OPTIONS\r\n{headers}Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Measured:
    """One server while it runs; `reference` is Debian's."""

    def __init__(self, folder: Path, reference: bool) -> None:
        self.folder = folder
        self.reference = reference
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port, self.http_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        self.numbers = 0

    def __enter__(self) -> Measured:
        config = self.folder / "kamailio.cfg"
        config.write_text(CONFIG.format(port=self.port, folder=self.folder, rounds=ROUNDS))
        common = ["-f", str(config), "-DD", "-E", "-m", "512", "-M", "512", "-Y", str(self.folder)]
        if self.reference:
            command = [REFERENCE, *common, "-A", "REFERENCE", "-P", str(self.folder / "pid")]
        else:
            command = [str(PROGRAM), *common, "--http", f"127.0.0.1:{self.http_port}"]
        self.started = time.perf_counter()
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            command, stderr=self.log, stdout=self.log, start_new_session=True
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.log.close()
        self.socket.close()

    def ask(self, headers: str = "", patience: float = 20.0) -> dict[str, str] | None:
        """Send OPTIONS and return the headers of its 200, None without an answer."""
        self.numbers += 1
        text = OPTIONS.format(port=self.socket.getsockname()[1], n=self.numbers, headers=headers)
        self.socket.settimeout(patience)
        try:
            self.socket.sendto(text.encode(), ("127.0.0.1", self.port))
            data = b""
            while b"Call-ID: %d@bench" % self.numbers not in data:
                data = self.socket.recv(65535)
            lines = data.decode().split("\r\n")
        except (TimeoutError, ConnectionRefusedError):
            return None
        if not lines[0].startswith("SIP/2.0 200"):
            return None
        return {name: value for name, _, value in (line.partition(": ") for line in lines[1:])}

    def answers_after(self, users: int) -> float:
        """Return the seconds from the start until the contact of the last user is found."""
        header = f"X-Last: {users - 1}\r\n" if users else ""
        while self.ask(header, 0.02) is None:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.perf_counter() - self.started < START_SECONDS
            time.sleep(0.002)
        return time.perf_counter() - self.started

    def used_memory(self) -> int:
        """Return the bytes of shared memory in use, as soon as somebody tells."""
        while True:
            try:
                return self._used_memory()
            except (OSError, subprocess.CalledProcessError):
                assert time.perf_counter() - self.started < START_SECONDS
                time.sleep(0.1)

    def _used_memory(self) -> int:
        if self.reference:
            found = subprocess.run(
                ["kamcmd", "-s", f"unix:{self.folder}/ctl", "core.shmmem"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            lines = [line for line in found.stdout.splitlines() if ": " in line]
            fields = dict(line.strip().split(": ") for line in lines)
            return int(fields["real_used"])
        body = json.dumps({"jsonrpc": "2.0", "method": "core.shmmem", "id": 1}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/rpc", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return int(json.load(answer)["result"]["real_used"])

    def lookup_microseconds(self, users: int) -> float:
        """Return what a lookup takes: the loop with it, less the loop without it."""
        best = {"no": 1 << 62, "yes": 1 << 62}
        for lookup in ("no", "yes") * REPEATS:
            found = self.ask(f"X-Users: {users}\r\nX-Lookup: {lookup}\r\n")
            if found is not None:
                best[lookup] = min(best[lookup], int(found["X-Microseconds"]))
        return (best["yes"] - best["no"]) / ROUNDS


def fill(folder: Path, users: int) -> None:
    """Make a location table with a contact for each of the users, as Kamailio writes it."""
    path = folder / "location.db"
    create_tables(f"sqlite:///{path}", ["location", "location_attrs"])
    now = time.time()
    expires, modified = ((at / 86400 + 2440587.5) for at in (now + 36000, now))
    rows = (
        (
            f"uloc-65a1b2c3-4d5e-{n:x}", f"u{n}", f"sip:u{n}@192.0.2.1:5070", expires, -1.0,
            f"{n}-1234567@127.0.0.1", modified, "bench", "udp:127.0.0.1:5060",
        )
        for n in range(users)
    )  # fmt: skip
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO location (ruid, username, contact, expires, q, callid, last_modified,"
            " user_agent, socket) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    connection.close()


def free_port(kind: socket.SocketKind) -> int:
    """Return a port that nobody has just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(users: int, reference: bool) -> tuple[float, int, float]:
    """Return seconds to the first answer, shared memory in use, microseconds of a lookup."""
    folder = Path(tempfile.mkdtemp(prefix="location-"))
    try:
        fill(folder, users)
        with Measured(folder, reference) as server:
            seconds = server.answers_after(users)
            memory = server.used_memory()
            lookup = server.lookup_microseconds(users) if users else 0.0
        return seconds, memory, lookup
    finally:
        shutil.rmtree(folder)


def store_microseconds(users: int) -> float:
    """Return what reading a user's contact takes without script and URI: LocationStore alone."""
    heap = users * 256 + (1 << 20)
    segment = Segment.create(f"bench-{os.getpid()}", "location", HashMap.segment_size(65536, heap))
    try:
        store = LocationStore(HashMap(segment, 65536), b"location")
        now = time.time()
        for n in range(users):
            contact = Binding(
                b"sip:u%d@192.0.2.1:5070" % n, b"", b"", int(now) + 3600, -1,
                b"%d-1234567@127.0.0.1" % n, 1, 0, 0, b"bench", b"udp:127.0.0.1:5060", 1, b"", 0,
                b"uloc-65a1b2c3-4d5e-%x" % n, 0, 0, now,
            )  # fmt: skip
            store.update(b"u%d" % n, lambda old, contact=contact: [contact])  # type: ignore[misc]  # a default binds it
        names = [b"u%d" % (n * 7919 % users) for n in range(ROUNDS)]
        best = 1e9
        for _ in range(REPEATS):
            started = time.perf_counter()
            for name in names:
                store.bindings(name, now)
            best = min(best, time.perf_counter() - started)
        return best / ROUNDS * 1e6
    finally:
        segment.unlink()


def main() -> None:
    """Print the figures of both servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    args = parser.parse_args()
    for users in (1_000, args.users):
        print(f"the store alone, {users:,} contacts: {store_microseconds(users):.1f} us a look-up")
    print(f"{'':12} {'contacts':>9} {'to answer':>10} {'a contact':>10} {'lookup':>8}")
    for name, reference in (("kamailiod", False), ("Kamailio", True)):
        if reference and not os.access(REFERENCE, os.X_OK):
            continue
        empty = measure(0, reference)[1]
        for users in (1_000, args.users):
            seconds, memory, lookup = measure(users, reference)
            each = (memory - empty) / users
            print(f"{name:12} {users:9,} {seconds:8.2f} s {each:8.0f} B {lookup:5.1f} us")


if __name__ == "__main__":
    main()
