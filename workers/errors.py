"""The exceptions of the process model; knows nothing of what the processes serve."""

from __future__ import annotations


class WorkersError(Exception):
    """The root of every exception that this package raises on purpose."""


class NoEventLoop(WorkersError):
    """A process without an event loop (the supervisor) was asked for something that needs one."""


class PayloadTooLong(WorkersError):
    """A payload is longer than a mailbox carries."""


class UnknownRank(WorkersError):
    """No process has this rank."""


class PidFileError(WorkersError):
    """The pid file cannot be written, or a living process owns it."""


class PrivilegesError(WorkersError):
    """A user, group, directory or limit cannot be taken."""


class StartRefused(WorkersError):
    """The program cannot start as it is configured; the text is the reason, no bug of anybody's."""
