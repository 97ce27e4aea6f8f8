"""Runs sipp with a scenario of the folder scenarios/."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer, free_port

SCENARIOS = Path(__file__).with_name("scenarios")

needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")


class Sipp:
    """One sipp that plays a scenario for some calls; `finish` asserts that all went well."""

    def __init__(
        self, server: RunningServer, scenario: str, *arguments: str, calls: int = 1,
        host: str = "127.0.0.1", port: int = 0,
    ) -> None:  # fmt: skip
        self.port = port or free_port()
        self._messages = server.folder / f"{scenario}.{self.port}.messages"
        self.popen = subprocess.Popen(
            [
                "sipp", f"{server.host}:{server.port}", "-sf", str(SCENARIOS / f"{scenario}.xml"),
                "-m", str(calls), "-i", host, "-p", str(self.port), "-nostdin", "-timeout", "12s",
                "-timeout_error", "-trace_msg", "-message_file", str(self._messages), *arguments,
            ],
            cwd=server.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Sipp:
        return self

    def __exit__(self, *error: object) -> None:
        self.popen.kill()
        self.popen.communicate()

    def finish(self) -> None:
        """Wait for the end; shows the messages when a call has failed."""
        _, errors = self.popen.communicate(timeout=20)
        messages = self._messages.read_text() if self._messages.exists() else "no message"
        assert self.popen.returncode == 0, f"{errors}\n{messages[-6000:]}"
