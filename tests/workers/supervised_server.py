"""A fake server that runs: its process, its events, its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Event = dict[str, Any]


class RunningServer:
    def __init__(self, events: Path, plan: dict[str, Any]) -> None:
        self._events = events
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        script = Path(__file__).with_name("fake_server.py")
        self.popen = subprocess.Popen(
            [sys.executable, str(script), str(events), json.dumps(plan)],
            env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )

    def events(self, name: str) -> list[Event]:
        return [event for event in self.all_events() if event["event"] == name]

    def all_events(self) -> list[Event]:
        if not self._events.exists():
            return []
        return [json.loads(line) for line in self._events.read_text().splitlines()]

    def wait_for(self, name: str, count: int = 1, **values: object) -> list[Event]:
        """Wait until so many events of that name and these values were noted."""
        def found() -> list[Event]:
            return [e for e in self.events(name) if values.items() <= e.items()]

        wait_until(lambda: len(found()) >= count, f"{count} x {name} {values}")
        return found()

    def pid(self, rank: int) -> int:
        """Return the pid of the latest process of this rank."""
        return int(self.wait_for("child_init", rank=rank)[-1]["pid"])

    def pids(self) -> set[int]:
        return {event["pid"] for event in self.all_events()}

    def finish(self) -> tuple[int, str]:
        """Wait for the end of the started process; returns its status and stderr."""
        _, stderr = self.popen.communicate(timeout=15)
        return self.popen.returncode, stderr


def wait_until(condition: Callable[[], object], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.005)


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
