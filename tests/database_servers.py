"""PostgreSQL and MariaDB servers of the tests' own, in temporary folders, on free ports.

Neither runs as root: started by root they become the users their packages made.  Tables outlive a
test; a test drops what it makes.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

USER, PASSWORD, DATABASE = "kamailio", "kamailiorw", "kamailio"
_START_SECONDS = 30.0


class DatabaseServer(ABC):
    """One server; `url` is its database's, in Kamailio's form."""

    scheme: str
    account: str
    ending: signal.Signals
    """Ends it at once, as a crash would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"{self.scheme}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"
        self._process: subprocess.Popen[bytes] | None = None
        own = pwd.getpwnam(self.account) if os.getuid() == 0 else None
        if own is not None:
            os.chown(folder, own.pw_uid, own.pw_gid)
        self._become = ["setpriv", "--pdeathsig", "KILL"]
        if own is not None:
            self._become += [f"--reuid={own.pw_uid}", f"--regid={own.pw_gid}", "--clear-groups"]
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server."""

    def run(self, *command: str) -> None:
        """Run a command of the server's account to its end."""
        subprocess.run(
            [*self._become, *command], check=True, cwd=self.folder, stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"), timeout=60,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._become, *self.command()], cwd=self.folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.folder / "log").read_text())
            time.sleep(0.05)

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers."""

    def kill(self) -> None:
        """End it as a crash would; `start` brings it back with its data."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(self.ending)
            process.wait(20)


class PostgresServer(DatabaseServer):
    """A PostgreSQL server."""

    scheme = "postgres"
    account = "postgres"
    # Killed outright it leaves children behind that keep the next one from starting.
    ending = signal.SIGQUIT

    def prepare(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run(
            postgres_program("initdb"), "-D", "data", "-U", USER, "-A", "scram-sha-256",
            "--pwfile=secret", "--no-sync", "--encoding=UTF8", "--locale=C",
        )  # fmt: skip
        script = f"CREATE DATABASE {DATABASE};\n"
        subprocess.run(
            [*self._become, postgres_program("postgres"), "--single", "-D", "data", "postgres"],
            check=True, cwd=self.folder, input=script.encode(), capture_output=True, timeout=60,
        )  # fmt: skip

    def command(self) -> list[str]:
        return [
            postgres_program("postgres"), "-D", "data", "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
            "-c", "fsync=off", "-c", "max_connections=50",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        command = [
            postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port),
        ]  # fmt: skip
        return subprocess.run(command, check=False).returncode == 0


class MariadbServer(DatabaseServer):
    """A MariaDB server."""

    scheme = "mysql"
    account = "mysql"
    ending = signal.SIGKILL

    def prepare(self) -> None:
        self.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
        (self.folder / "init.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'%';\n"
        )

    def command(self) -> list[str]:
        return [
            "mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--port={self.port}",
            f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid",
            "--bind-address=127.0.0.1", f"--init-file={self.folder}/init.sql",
            "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=16M",
        ]  # fmt: skip

    def is_ready(self) -> bool:
        command = [
            "mariadb-admin", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.port),
            "-u", USER, f"-p{PASSWORD}", "ping",
        ]  # fmt: skip
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """A running PostgreSQL server."""
    if not postgres_program("initdb"):
        pytest.skip("PostgreSQL is not installed")
    yield from _running(PostgresServer)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[DatabaseServer]:
    """A running MariaDB server."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("MariaDB is not installed")
    yield from _running(MariadbServer)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: DatabaseServer) -> str:
    """The URL of an empty PostgreSQL database."""
    return postgres_server.url


@pytest.fixture(scope="session")
def mariadb_url(mariadb_server: DatabaseServer) -> str:
    """The URL of an empty MariaDB database."""
    return mariadb_server.url


def _running(kind: type[DatabaseServer]) -> Iterator[DatabaseServer]:
    # Not pytest's folder: the server's account cannot enter that one.
    folder = Path(tempfile.mkdtemp(prefix=f"kamailiod-{kind.scheme}-"))
    server = None
    try:
        server = kind(folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def postgres_program(name: str) -> str:
    """Return the path of a program of PostgreSQL's; empty when it is not installed."""
    debian = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return debian[-1] if debian else shutil.which(name) or ""


def free_port() -> int:
    """Return a TCP port that is free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
