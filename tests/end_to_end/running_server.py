"""A kamailiod that runs: its ports, folder, log, processes and end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from tests.end_to_end.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("kamailiod")
CLIENT = Path(sys.executable).with_name("kamailiod-ctl")
_STARTED = re.compile(r"kamailiod \S+: SIP on ")
_END_SECONDS = 2.5


class RunningServer:
    """Runs a config in a folder of its own on free ports until the `with` block ends.

    `config` is a file or the text of one; `files` are copied or written into the folder, which is
    the working directory, under their names.  The end is SIGTERM; it asserts status 0, that no
    process is left and nothing in /dev/shm.
    """

    def __init__(
        self, folder: Path, config: Path | str, *arguments: str,
        files: dict[str, Path | str] | None = None, children: int = 2, http: bool = False,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self.http_port = free_port() if http else 0
        self.log_file = folder / "log"
        self.expected_status = 0
        for name, content in {"kamailio.cfg": config, **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                content.read_bytes() if isinstance(content, Path) else content.encode()
            )
        self.command = [
            str(PROGRAM), "-f", "kamailio.cfg", "-DD", "-E", "-n", str(children),
            "-l", f"udp:{self.host}:{self.port}", "-l", f"tcp:{self.host}:{self.port}",
            "-w", str(folder), "-Y", str(folder),
            "--http", f"{self.host}:{self.http_port}" if http else "none", *arguments,
        ]  # fmt: skip
        self._processes: list[psutil.Process] = []

    def __enter__(self) -> RunningServer:
        with self.log_file.open("wb") as log:
            self.popen = subprocess.Popen(
                self.command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until(self._is_up, "the start")
        except AssertionError:
            self._kill()
            raise AssertionError(f"no start:\n{self.log()}") from None
        return self

    def _is_up(self) -> bool:
        assert self.popen.poll() is None, self.log()
        return _STARTED.search(self.log()) is not None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if kind is not None:
            self._kill()
            print(self.log()[-20000:], file=sys.stderr)
            return
        try:
            self.stop()
        finally:
            self._kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it as an operator would; asserts that all of it is gone in time."""
        processes = self.processes()
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            status = self.popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there:\n{self.log()[-5000:]}") from None
        assert status == self.expected_status, self.log()[-5000:]
        wait_until(lambda: not any(map(alive, processes)), "the children's end")
        assert self.segments() == []

    def _kill(self) -> None:
        for process in self.processes():
            if alive(process):
                process.kill()
        self.popen.wait()
        for name in self.segments():
            (Path("/dev/shm") / name).unlink(missing_ok=True)

    def processes(self) -> list[psutil.Process]:
        """Return every process of this server that was ever seen."""
        try:
            main = psutil.Process(self.popen.pid)
            found = [main, *main.children(recursive=True)]
        except psutil.NoSuchProcess:
            found = []
        self._processes = list({*self._processes, *found})
        return self._processes

    def worker(self, rank: int) -> psutil.Process:
        """Return the process of a SIP worker."""
        return wait_until(lambda: self._worker(rank), f"worker {rank}")

    def _worker(self, rank: int) -> psutil.Process | None:
        names = {p.name(): p for p in psutil.Process(self.popen.pid).children()}
        return next((p for name, p in names.items() if re.search(rf"sip{rank}$", name)), None)

    def segments(self) -> list[str]:
        """Return the names of this server's segments in /dev/shm."""
        prefix = f"kamailiod.{self.host}-{self.port}."
        return [name for name in os.listdir("/dev/shm") if name.startswith(prefix)]

    def log(self) -> str:
        """Return all that was logged until now."""
        return self.log_file.read_text(errors="replace")

    def wait_for_log(self, pattern: str, count: int = 1, seconds: float = 8.0) -> list[str]:
        """Wait until so many lines of the log match; returns them."""

        def found() -> list[str]:
            lines = [line for line in self.log().splitlines() if re.search(pattern, line)]
            return lines if len(lines) >= count else []

        return wait_until(found, f"{count} x {pattern!r} in the log", seconds, self.log)

    def ctl(self, *words: str) -> str:
        """Run kamailiod-ctl against it; returns what it prints, asserts success."""
        url = f"http://{self.host}:{self.http_port}/rpc"
        done = subprocess.run(
            [str(CLIENT), "--url", url, *words], capture_output=True, text=True, timeout=15
        )
        assert done.returncode == 0, done.stderr + self.log()[-3000:]
        return done.stdout


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for UDP and TCP."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


Start = Callable[..., RunningServer]
