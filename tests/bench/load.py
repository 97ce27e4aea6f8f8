"""A server under sipp's load: started, watched through its own metrics, and stopped.

What soak.py and killed_workers.py have in common; it asserts nothing.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
SIP, HTTP = 5060, 9494
CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
children={workers}
listen=udp:127.0.0.1:5060
loadmodule "app_lua.so"
loadmodule "dialog.so"
modparam("app_lua", "load", "{script}")
cfgengine "lua"
"""


class LoadedServer:
    """kamailiod with the bench script and dialogs, in a folder of its own; `more` is config."""

    def __init__(self, command: str, workers: int, more: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kamailiod-load-"))
        self.workers = workers
        config = self.folder / "kamailio.cfg"
        script = self.folder / "pbx.lua"
        script.write_text("DIALOG = true\n" + (HERE / "pbx.lua").read_text())
        config.write_text(CONFIG.format(workers=workers, script=script) + more)
        self._log = (self.folder / "log").open("wb")
        self._server = subprocess.Popen(
            [command, "-DD", "-E", "-f", str(config), "-m", "256", "-w", str(self.folder)],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        self._callee: subprocess.Popen[bytes] | None = None
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        for _ in range(100):
            try:
                if json.load(urllib.request.urlopen(self._url("health")))["status"] == "ok":
                    return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"the server does not come up, see {self.folder}/log")

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{HTTP}/{path}"

    def rpc(self, method: str, *params: object) -> object:
        """Return the result of an RPC command."""
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
        request = urllib.request.Request(
            self._url("rpc"), body.encode(), {"Content-Type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request))["result"]

    def metric(self, name: str) -> dict[str, float]:
        """Return a metric's values by their labels."""
        text = urllib.request.urlopen(self._url("metrics")).read().decode()
        found = re.findall(rf"^{name}(?:_total)?(?:{{(.*)}})? ([0-9.e+-]+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def pids(self) -> dict[int, int]:
        """Return pid by index: 0 the supervisor, 1..N the workers, then timer and RPC."""
        table = self.rpc("core.psx")
        assert isinstance(table, list)
        return {int(row["IDX"]): int(row["PID"]) for row in table}

    def memory(self) -> float:
        """Return the MiB that all processes use, shared pages counted once."""
        total = 0
        for pid in self.pids().values():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += int(re.findall(r"^Pss: *([0-9]+)", text, re.MULTILINE)[0])
        return total / 1024

    def register_callee(self) -> None:
        """Register bob and have sipp answer his calls."""
        subprocess.run(self._sipp("bob.xml", 5090, "-m", "1", "-timeout", "10"), check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder)  # fmt: skip
        self._callee = subprocess.Popen(self._sipp("uas.xml", 5070), cwd=self.folder,
                                        stdout=subprocess.DEVNULL)  # fmt: skip

    def calls(self, scenario: str, rate: int, seconds: int) -> subprocess.Popen[bytes]:
        """Start calls; the caller waits for the process and reads result()."""
        return subprocess.Popen(
            self._sipp(scenario, 5080, "-r", str(rate), "-m", str(rate * seconds), "-l", "5000",
                       "-recv_timeout", "15000", "-timeout", str(seconds + 60), "-trace_stat",
                       "-stf", "calls.csv", "-fd", "1"),
            cwd=self.folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def result(self) -> tuple[int, int, int]:
        """Return how many calls went well, how many failed, and sipp's retransmissions."""
        with open(self.folder / "calls.csv") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return tuple(int(last[name]) for name in (
            "SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"))  # type: ignore[return-value]  # three of them

    def _sipp(self, scenario: str, port: int, *more: str) -> list[str]:
        return ["sipp", "-sf", str(HERE / "scenarios" / scenario), "-i", "127.0.0.1",
                "-p", str(port), "-nostdin", *more, f"127.0.0.1:{SIP}"]  # fmt: skip

    def until_quiet(self, seconds: float = 20.0) -> int:
        """Wait until no transaction is left; returns how many are."""
        end = time.monotonic() + seconds
        left = -1
        while time.monotonic() < end and left != 0:
            stats = self.rpc("tm.stats")
            assert isinstance(stats, dict)
            left = int(stats["current"])
            time.sleep(0.2)
        return left

    def stop(self) -> None:
        """End it all."""
        if self._callee is not None:
            self._callee.kill()
        self._server.send_signal(signal.SIGTERM)
        self._server.wait(10)


def default_command() -> str:
    """Return the installed server of this tree."""
    return os.environ.get("KAMAILIOD", str(HERE.parents[1] / ".venv" / "bin" / "kamailiod"))
