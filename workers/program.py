"""What the supervisor runs: the protocol of a program; knows nothing of how it is run."""

from __future__ import annotations

from typing import Protocol

from workers.process import Process
from workers.rank import Role


class Program(Protocol):
    """The object whose methods are called in every process of the server."""

    def mod_init(self) -> None:
        """Prepare what all processes share; called once, in the supervisor, before any fork.

        An exception ends the start-up with exit status 255.
        """

    def child_init(self, rank: int, process: Process) -> None:
        """Prepare one process; called in each after the fork, with rank 0 in the supervisor.

        An exception ends the start-up with exit status 255; in a restarted process it ends only
        that process, which is tried again after a pause.
        """

    def child_exit(self, rank: int) -> None:
        """Release what the process holds; its loop is no longer running, but not yet closed.

        With rank 0 this is the last call of all: every other process is gone. It is also made
        after a failed start-up, when `mod_init` or `child_init` may have done half their work.
        """

    def report(self, rank: int) -> None:
        """Log the statistics of this process (SIGUSR1)."""

    def worker_died(self, role: Role, status: int) -> None:
        """Take note, in the supervisor, of a process that ended unasked and will be restarted.

        `status` is its exit status, or -N when signal N ended it.
        """
