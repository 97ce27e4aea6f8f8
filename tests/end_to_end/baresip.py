"""Runs baresip without a sound card: its accounts, its log, its commands on stdin."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.waiting import wait_until

needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is not installed"
)
_CONFIG = """\
module_path /usr/lib/baresip/modules
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
audio_player aubridge,{user}
audio_source aubridge,{user}
audio_alert aubridge,{user}
module g711.so
module aubridge.so
module stdio.so
module_app account.so
module_app menu.so
rtp_ports 20000-20100
"""


class Baresip:
    """One phone with one account, which it registers over UDP or TCP."""

    def __init__(
        self, server: RunningServer, user: str, password: str, *, answers: bool, commands: str = ""
    ) -> None:
        self.folder = server.folder / f"baresip-{user}"
        self.folder.mkdir()
        mode = "auto" if answers else "manual"
        (self.folder / "config").write_text(_CONFIG.format(user=user))
        (self.folder / "contacts").write_text("")
        (self.folder / "accounts").write_text(
            f"<sip:{user}@{server.host}:{server.port}>;auth_pass={password};answermode={mode}\n"
        )
        self._log = self.folder / "log"
        with self._log.open("wb") as log:
            self.popen = subprocess.Popen(
                ["baresip", "-v", "-f", str(self.folder), *(["-e", commands] if commands else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip

    def __enter__(self) -> Baresip:
        return self

    def __exit__(self, *error: object) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(3)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def log(self) -> str:
        return Path(self._log).read_text(errors="replace")

    def wait_for_log(self, text: str, seconds: float = 8.0) -> None:
        """Wait until baresip has printed a text."""
        wait_until(lambda: text in self.log(), f"{text!r} of baresip", seconds, self.log)
