"""Detaching: what the caller of a daemon sees, and what is left of its terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from supervised_server import RunningServer, lives, wait_until

Start = Callable[..., RunningServer]


def test_the_caller_returns_0_when_all_is_ready(start: Start, tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    server = start(daemon=True, pid_file=str(pid_file))
    assert server.finish() == (0, "")
    assert len(server.events("ready")) == 1
    pid = int(pid_file.read_text())
    assert pid == server.pid(0) != server.popen.pid
    assert os.getsid(pid) not in (pid, server.popen.pid)
    for stream in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{stream}") == "/dev/null"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(map(lives, server.pids())), "the daemon's end")
    assert not pid_file.exists()


def test_the_caller_returns_255_and_the_reason(start: Start) -> None:
    server = start(daemon=True, fail_ranks=[1])
    assert server.finish() == (255, "the daemon could not start\n")
    assert not any(map(lives, server.pids() - {server.pid(0)}))


def test_the_caller_returns_255_when_the_daemon_vanishes(start: Start) -> None:
    server = start(daemon=True, hang_mod_init=True)
    daemon = server.wait_for("mod_init")[0]["pid"]
    os.kill(daemon, signal.SIGKILL)
    assert server.finish() == (255, "")
