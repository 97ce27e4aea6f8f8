"""A program for the supervisor that writes down what happens to it; run as a process of its own.

Arguments: the file for the events (a JSON object a line) and a JSON object of `Plan`'s fields.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from workers import (
    PROC_TIMER,
    Mailboxes,
    PidFile,
    Process,
    Role,
    Supervisor,
    daemonise,
    process_table,
)


@dataclass(frozen=True)
class Plan:
    workers: int = 2
    fail_mod_init: bool = False
    hang_mod_init: bool = False
    fail_ranks: list[int] = field(default_factory=list)
    die_in_init_ranks: list[int] = field(default_factory=list)
    die_when_ready_ranks: list[int] = field(default_factory=list)
    slow_ranks: list[int] = field(default_factory=list)
    fail_restart_ranks: list[int] = field(default_factory=list)
    fail_on_ready: bool = False
    hang_in_exit: bool = False
    leave_thread: bool = False
    mail: list[str] = field(default_factory=list)
    daemon: bool = False
    pid_file: str = ""


class FakeProgram:
    def __init__(self, events: str, plan: Plan) -> None:
        self._events = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._plan = plan
        self._deaths: dict[int, int] = {}

    def note(self, event: str, rank: int, **more: object) -> None:
        entry = {"event": event, "rank": rank, "pid": os.getpid(), "time": time.monotonic()}
        os.write(self._events, json.dumps(entry | more).encode() + b"\n")

    def mod_init(self) -> None:
        self.note("mod_init", 0)
        if self._plan.fail_mod_init:
            raise RuntimeError("mod_init is told to fail")
        if self._plan.hang_mod_init:
            time.sleep(60)

    def child_init(self, rank: int, process: Process) -> None:
        again = rank in self._deaths
        comm = Path("/proc/self/comm").read_text().strip()
        self.note("child_init", rank, index=process.role.index, again=again, comm=comm)
        plan = self._plan
        if rank in plan.fail_ranks or (again and rank in plan.fail_restart_ranks):
            raise RuntimeError(f"rank {rank} is told to fail")
        if rank in plan.slow_ranks:
            time.sleep(0.2)
        if rank in plan.die_in_init_ranks:
            os.kill(os.getpid(), signal.SIGKILL)
        if rank == 0:
            return
        if plan.leave_thread:
            threading.Thread(target=time.sleep, args=(60,)).start()
        if rank in plan.die_when_ready_ranks:
            process.loop.call_soon(os.kill, os.getpid(), signal.SIGKILL)
        self._exchange_mail(rank, process, again)
        process.timers.schedule(0.01, self.note, "timer", rank)

    def _exchange_mail(self, rank: int, process: Process, again: bool) -> None:
        if rank == PROC_TIMER and not again:
            for text in self._plan.mail:
                process.mailbox.send(1, text.encode())
        if rank == 1 and again:
            process.mailbox.open(lambda payload: self.note("mail", rank, text=payload.decode()))

    def child_exit(self, rank: int) -> None:
        self.note("child_exit", rank)
        if rank and self._plan.hang_in_exit:
            time.sleep(60)

    def report(self, rank: int) -> None:
        self.note("report", rank)

    def worker_died(self, role: Role, status: int) -> None:
        self._deaths[role.rank] = status
        self.note("worker_died", role.rank, index=role.index, status=status)


def main(events: str, plan: Plan) -> int:
    startup = daemonise() if plan.daemon else None
    program = FakeProgram(events, plan)
    roles = process_table(plan.workers)
    pid_file = PidFile(plan.pid_file)

    def on_ready() -> None:
        if plan.fail_on_ready:
            raise RuntimeError("on_ready is told to fail")
        if plan.pid_file:
            pid_file.write()
        program.note("ready", 0)
        if startup:
            startup.succeeded()

    mailboxes = Mailboxes(role.rank for role in roles)
    status = Supervisor(program, roles, mailboxes, on_ready=on_ready, title="fake").run()
    pid_file.remove()
    if startup and status:
        startup.failed("the daemon could not start")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Plan(**json.loads(sys.argv[2]))))
