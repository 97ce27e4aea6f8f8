"""One child of the supervisor, over all its lives: fork, start-up report, death.

The upper half runs in the supervisor, `_live` and what it calls in the child. It decides nothing:
when to restart and when to stop is the supervisor's.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from workers import prctl, signals
from workers.mailbox import Mailboxes
from workers.process import Process
from workers.program import Program
from workers.rank import Role
from workers.restart import RestartPause

FAILED = 255
_READY = b"+"
_ERROR = b"-"
# One write of at most PIPE_BUF bytes is atomic, so one read gets all of it.
_REPORT_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every child is given over the fork."""

    program: Program
    mailboxes: Mailboxes
    title: str


class Child:
    """A role and the process that fills it now.

    `pid` is None while no process fills the role. `ready` turns True when its `child_init` has
    succeeded, `error` holds the text when it has not.
    """

    __slots__ = ("_pause", "_report", "_started", "_surroundings", "error", "pid", "ready",
                 "restart_at", "role")

    def __init__(self, role: Role, surroundings: Surroundings) -> None:
        self.role = role
        self.pid: int | None = None
        self.ready = False
        self.error: str | None = None
        self.restart_at: float | None = None
        self._surroundings = surroundings
        self._report = -1
        self._started = 0.0
        self._pause = RestartPause()

    def start(self) -> int:
        """Fork; returns the descriptor that is readable when `take_report` may be called.

        Raises OSError when the system has no room for another process.
        """
        self.ready, self.error, self.restart_at = False, None, None
        self._started = time.monotonic()
        supervisor = os.getpid()
        self._report, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        _flush()
        mask = signals.block()
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _live(self._surroundings, self.role, supervisor, writer)
        except OSError:
            os.close(self._report)
            self._report = -1
            raise
        finally:
            signals.restore(mask)
            os.close(writer)
        return self._report

    def take_report(self) -> None:
        """Read what the child reports on its start-up, and close the descriptor."""
        report = b""
        # A process that the child forked may hold the pipe open when the child itself is gone.
        with suppress(BlockingIOError):
            report = os.read(self._report, _REPORT_LENGTH)
        os.close(self._report)
        self._report = -1
        if report == _READY:
            self.ready = True
        elif report:
            self.error = report[1:].decode(errors="replace")
        else:
            self.error = "it ended before it was ready"

    @property
    def report_descriptor(self) -> int | None:
        """The descriptor that `start` returned, None once the report was taken."""
        return None if self._report < 0 else self._report

    def poll(self) -> int | None:
        """Reap the process if it has ended: its exit status, -N after signal N; else None."""
        return self._reap(os.WNOHANG)

    def plan_restart(self) -> float:
        """Set `restart_at` for a process that has just ended; returns the pause in seconds."""
        now = time.monotonic()
        pause = self._pause.after(now - self._started)
        self.restart_at = now + pause
        return pause

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process, if there is one."""
        # A process that was not yet reaped keeps its pid, so this never hits a stranger.
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process now, whatever it does, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        self._reap(0)

    def _reap(self, options: int) -> int | None:
        if self.pid is None:
            return None
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:
            # The program waited for any child and got ours: how it ended is lost.
            self.pid = None
            return FAILED
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)


def _live(surroundings: Surroundings, role: Role, supervisor: int, writer: int) -> NoReturn:
    """Be the child, from the fork to the end of the process."""
    status = FAILED
    try:
        status = _serve(surroundings, role, supervisor, writer)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        # Not sys.exit: it would wait for threads that nobody stops, and run the exit handlers
        # that belong to the supervisor.
        os._exit(status)


def _serve(surroundings: Surroundings, role: Role, supervisor: int, writer: int) -> int:
    """Start up, report, run until told to stop; returns the exit status."""
    prctl.die_with_parent(signal.SIGTERM)
    prctl.set_process_name(f"{surroundings.title}/{role.name}")
    signals.reset()
    if os.getppid() != supervisor:
        return FAILED
    program = surroundings.program
    process = _make_process(role, surroundings.mailboxes)
    try:
        program.child_init(role.rank, process)
    except Exception:
        _send_report(writer, _ERROR + traceback.format_exc().encode())
        return FAILED
    gc.collect()
    gc.freeze()
    # What a message leaves behind goes by reference counts; cycles are rare, and looking for them
    # every 700 objects cost a third of a call.
    gc.set_threshold(50_000, 20, 50)
    _send_report(writer, _READY)
    process.run(_reporter(program, role.rank))
    program.child_exit(role.rank)
    return 0


def _make_process(role: Role, mailboxes: Mailboxes) -> Process:
    import asyncio

    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    return Process(role, mailboxes.mailbox(role.rank, loop), loop)


def _reporter(program: Program, rank: int) -> Callable[[], None]:
    return lambda: program.report(rank)


def _send_report(writer: int, report: bytes) -> None:
    """Write the report; of a long traceback the end, which names the error, is kept."""
    if len(report) > _REPORT_LENGTH:
        report = report[:1] + report[1 - _REPORT_LENGTH :]
    os.write(writer, report)
    os.close(writer)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
