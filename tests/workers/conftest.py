"""Starts fake servers and leaves no process of them behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from supervised_server import RunningServer, lives


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    servers: list[RunningServer] = []

    def start_server(**plan: object) -> RunningServer:
        server = RunningServer(tmp_path / f"events{len(servers)}", plan)
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        with suppress(ProcessLookupError):
            os.killpg(server.popen.pid, signal.SIGKILL)
        for pid in filter(lives, server.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.popen.wait()
        if server.popen.stderr:
            server.popen.stderr.close()
