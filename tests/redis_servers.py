"""Redis servers of the tests' own, in temporary folders, on free ports: one, a cluster, with TLS.

What they hold is gone when they are killed, unless a test has it saved.
"""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.database_servers import free_port

_SECONDS = 20.0


class RedisServer:
    """One server; `url` is its first database's."""

    def __init__(
        self, folder: Path, *arguments: str, tls: bool = False, cluster: bool = False
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.bus = free_port() if cluster else 0
        self.host = "127.0.0.1"
        self.unix = str(folder / "socket")
        self.certificate = folder / "certificate.pem"
        self.tls = tls
        self.url = f"redis://{self.host}:{self.port}"
        self.program = ["redis-server"]
        self._arguments = list(arguments)
        if cluster:
            self._arguments += [
                "--cluster-enabled", "yes", "--cluster-port", str(self.bus),
                "--cluster-node-timeout", "2000",
            ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        if tls:
            self.url = f"rediss://localhost:{self.port}?ca={self.certificate}"
            _make_certificate(folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        key = str(self.folder / "key.pem")
        ports = (
            ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no",
             "--tls-cert-file", str(self.certificate), "--tls-key-file", key,
             "--tls-ca-cert-file", str(self.certificate)]
            if self.tls
            else ["--port", str(self.port)]
        )  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.program, *ports,
                 "--bind", self.host, "--unixsocket", self.unix, "--save", "", "--appendonly", "no",
                 "--dir", str(self.folder), "--logfile", "", *self._arguments],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        deadline = time.monotonic() + _SECONDS
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def command(self, *words: str | bytes) -> bytes:
        """Return what it answers to a command, as it stands on the wire (its first piece)."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(self.unix)
            parts = [word.encode() if isinstance(word, str) else word for word in words]
            pieces = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            client.sendall(b"*%d\r\n%b" % (len(parts), pieces))
            return client.recv(1 << 20)

    def get(self, key: str | bytes) -> bytes | None:
        """Return the string of a key, None without."""
        first, _, rest = self.command("GET", key).partition(b"\r\n")
        return None if first == b"$-1" else rest[: int(first[1:])]

    def pause(self) -> None:
        """Have it take connections and commands and answer none, until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would; `start` brings it back on the same port."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(20)

    def restart(self) -> None:
        """Kill it and start it."""
        self.kill()
        self.start()


class RedisCluster:
    """Three nodes that share the keys; `url` names the first of them."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes
        self.url = f"redis://{nodes[0].host}:{nodes[0].port}?cluster=1"

    def join(self) -> None:
        """Make the nodes a cluster and wait until all of them know it."""
        share = 16384 // len(self.nodes)
        for index, node in enumerate(self.nodes):
            last = 16383 if node is self.nodes[-1] else (index + 1) * share - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", str(index * share), str(last))
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(index + 1))
            first = self.nodes[0]
            if node is not first:
                node.command("CLUSTER", "MEET", first.host, str(first.port), str(first.bus))
        deadline = time.monotonic() + _SECONDS
        while not all(self._knows_all(node) for node in self.nodes):
            assert time.monotonic() < deadline, self.nodes[0].command("CLUSTER", "INFO")
            time.sleep(0.05)

    def _knows_all(self, node: RedisServer) -> bool:
        info = node.command("CLUSTER", "INFO")
        known = f"cluster_known_nodes:{len(self.nodes)}".encode()
        return b"cluster_state:ok" in info and known in info

    def owner(self, key: str) -> RedisServer:
        """Return the node that has a key."""
        return next(n for n in self.nodes if not n.command("GET", key).startswith(b"-MOVED"))


@contextmanager
def running_redis(
    *arguments: str, tls: bool = False, cluster: bool = False
) -> Iterator[RedisServer]:
    """Run a server with further arguments of redis-server's; skips where there is none."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    if tls and not _supports_tls():
        pytest.skip("redis-server is built without TLS, or openssl is not installed")
    # Not pytest's folder: a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="kamailiod-redis-"))
    server = RedisServer(folder, *arguments, tls=tls, cluster=cluster)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_sentinel() -> Iterator[RedisServer]:
    """Run a sentinel that watches nothing yet."""
    with running_redis() as sentinel:
        sentinel.kill()
        config = sentinel.folder / "sentinel.conf"
        config.write_text("sentinel resolve-hostnames yes\n")
        sentinel.program = ["redis-server", str(config), "--sentinel"]
        sentinel.start()
        yield sentinel


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running, empty Redis of the test's own."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    return redis_server.url


@pytest.fixture
def redis_tls_server() -> Iterator[RedisServer]:
    """A running Redis that takes TLS connections only, with a certificate for localhost."""
    with running_redis(tls=True) as server:
        yield server


@pytest.fixture
def redis_cluster() -> Iterator[RedisCluster]:
    """A running cluster of three nodes."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(running_redis(cluster=True)) for _ in range(3)]
        cluster = RedisCluster(nodes)
        cluster.join()
        yield cluster


def _supports_tls() -> bool:
    if shutil.which("openssl") is None or not ssl.HAS_TLSv1_2:
        return False
    command = ["redis-server", "--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    return b"Bad directive" not in done.stdout + done.stderr


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
