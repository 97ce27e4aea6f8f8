"""Rank 0: forks the roles, restarts what dies, ends all; knows nothing of what they serve."""

from __future__ import annotations

import gc
import logging
import selectors
import signal
import time
from collections.abc import Callable, Sequence

from workers import prctl, signals
from workers.child import FAILED, Child, Surroundings
from workers.errors import StartRefused
from workers.mailbox import Mailboxes
from workers.process import Process
from workers.program import Program
from workers.rank import PROC_MAIN, Role

EXIT_TIMEOUT = 1.5


class Supervisor:
    """Runs the program in one process a role until TERM or INT.

    `roles` holds the supervisor's own (rank 0) and all others. `on_ready` is called once every
    process is ready; `title` precedes the role in the name of each process.
    """

    def __init__(
        self,
        program: Program,
        roles: Sequence[Role],
        mailboxes: Mailboxes,
        *,
        on_ready: Callable[[], object] | None = None,
        exit_timeout: float = EXIT_TIMEOUT,
        title: str = "kamailiod",
        log: logging.Logger | None = None,
    ) -> None:
        self._program = program
        self._role = next(role for role in roles if role.rank == PROC_MAIN)
        self._roles = [role for role in roles if role.rank != PROC_MAIN]
        self._surroundings = Surroundings(program, mailboxes, title)
        self._on_ready = on_ready
        self._exit_timeout = min(exit_timeout, EXIT_TIMEOUT)
        self._log = log or logging.getLogger("workers")
        self._children: list[Child] = []
        self._selector = selectors.PollSelector()
        self._signals = signals.SignalQueue()
        self._started = False
        self._status: int | None = None

    def run(self) -> int:
        """Return the exit status once every process is gone: 0, or 255 when start-up failed."""
        try:
            if self._mod_init():
                self._supervise()
        except KeyboardInterrupt:
            self._status = 0
        finally:
            self._guard(self._program.child_exit, PROC_MAIN)
            self._selector.close()
            self._signals.close()
        return FAILED if self._status is None else self._status

    def pid(self, rank: int) -> int | None:
        """Return the process id of that rank's process, None while there is none."""
        return next((child.pid for child in self._children if child.role.rank == rank), None)

    def _mod_init(self) -> bool:
        # TERM and INT interrupt a mod_init that hangs; from the fork on they are queued.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self._program.mod_init()
        except StartRefused as refusal:
            self._log.error("%s", refusal)
            return False
        except Exception:
            self._log.exception("mod_init failed")
            return False
        return True

    def _supervise(self) -> None:
        self._signals.open(signals.SUPERVISED)
        self._selector.register(self._signals.fileno(), selectors.EVENT_READ)
        try:
            self._start_all()
            while self._status is None:
                self._wait(self._until_restart())
                self._take_signals()
                if self._status is None:
                    self._reap()
                    self._watch_start()
                if self._status is None:
                    self._restart()
        finally:
            self._stop_all()

    def _start_all(self) -> None:
        # Loaded before the fork, what every child needs is loaded once and its memory shared.
        import uvloop  # noqa: F401 - the children use it

        gc.collect()
        gc.freeze()
        self._children = [Child(role, self._surroundings) for role in self._roles]
        for child in self._children:
            self._start(child)
        prctl.set_process_name(self._surroundings.title)
        process = Process(self._role, self._surroundings.mailboxes.mailbox(PROC_MAIN), None)
        try:
            self._program.child_init(PROC_MAIN, process)
        except Exception:
            self._log.exception("child_init failed in the supervisor")
            self._status = FAILED

    def _start(self, child: Child) -> None:
        try:
            self._selector.register(child.start(), selectors.EVENT_READ, child)
        except OSError as error:
            pause = child.plan_restart()
            child.error = str(error)
            self._log.error("%s cannot start (%s), again in %.1f s", child.role.name, error, pause)

    def _wait(self, timeout: float | None) -> None:
        """Wait for a signal or a report; take the reports."""
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, Child):
                self._take_report(key.data)

    def _take_report(self, child: Child) -> None:
        if child.report_descriptor is None:
            return
        self._selector.unregister(child.report_descriptor)
        child.take_report()
        # Once all are being stopped, a child that never became ready is no news.
        if child.error is not None and self._status is None:
            self._log.error("child_init failed in %s: %s", child.role.name, child.error)

    def _take_signals(self) -> None:
        queued = self._signals.drain()
        if signal.SIGTERM in queued or signal.SIGINT in queued:
            self._status = 0
        elif signal.SIGUSR1 in queued:
            self._report()

    def _report(self) -> None:
        self._guard(self._program.report, PROC_MAIN)
        for child in self._children:
            child.send_signal(signal.SIGUSR1)

    def _reap(self) -> None:
        for child in self._children:
            status = child.poll()
            if status is None:
                continue
            self._take_report(child)
            pause = child.plan_restart()
            if self._started or child.ready:
                self._log.error("%s ended (%s), restart in %.1f s", child.role.name, status, pause)
                self._guard(self._program.worker_died, child.role, status)

    def _restart(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)

    def _until_restart(self) -> float | None:
        times = [child.restart_at for child in self._children if child.restart_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _watch_start(self) -> None:
        """Announce that all are ready, or end everything because one is not."""
        if self._started:
            return
        if any(child.error is not None for child in self._children):
            self._status = FAILED
        elif all(child.ready for child in self._children):
            self._started = True
            if self._on_ready is not None and not self._guard(self._on_ready):
                self._status = FAILED

    def _stop_all(self) -> None:
        """TERM to all, then KILL to those left after the time-out, or at once on another INT."""
        deadline = time.monotonic() + self._exit_timeout
        for child in self._children:
            child.send_signal(signal.SIGTERM)
        while self._still_there() and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
            if signal.SIGINT in self._signals.drain():
                break
        for child in self._children:
            child.kill()

    def _still_there(self) -> bool:
        for child in self._children:
            child.poll()
        return any(child.pid is not None for child in self._children)

    def _guard(self, callback: Callable[..., object], *args: object) -> bool:
        """Call the program; its exception must not end the supervisor. False after one."""
        try:
            callback(*args)
        except Exception:
            self._log.exception("%s failed in the supervisor", getattr(callback, "__name__", "?"))
            return False
        return True
