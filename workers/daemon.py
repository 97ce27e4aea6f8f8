"""Leaving the terminal; knows nothing of what the daemon then does."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

_SUCCEEDED = b"+"
_FAILED = b"-"
_FAILURE_STATUS = 255
# One write of at most PIPE_BUF bytes is atomic, so one read gets all of it.
_MESSAGE_LENGTH = 4096


class Startup:
    """The daemon's end of the pipe on which the process that was called waits.

    That process exits with 0 after `succeeded()`; with 255 after `failed()`, or when the daemon
    ends without a word.
    """

    __slots__ = ("_writer",)

    def __init__(self, writer: int) -> None:
        self._writer = writer

    def succeeded(self) -> None:
        """Let the waiting process exit with 0."""
        self._tell(_SUCCEEDED)

    def failed(self, reason: str = "") -> None:
        """Let the waiting process print the reason on its stderr and exit with 255."""
        self._tell(_FAILED + reason.encode())

    def _tell(self, message: bytes) -> None:
        if self._writer < 0:
            return
        try:
            os.write(self._writer, message[:_MESSAGE_LENGTH])
        except BrokenPipeError:
            pass
        finally:
            os.close(self._writer)
            self._writer = -1


def daemonise(*, keep_stderr: bool = False) -> Startup:
    """Go on as a daemon: a session of its own, no terminal, standard streams on /dev/null.

    Returns in the daemon only; the process that called waits for the outcome and exits.
    `keep_stderr` leaves stderr where it is.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    first = os.fork()
    if first:
        os.close(writer)
        os.waitpid(first, 0)
        _await_outcome(reader)
    os.close(reader)
    os.setsid()
    # No session leader, so no terminal can become this daemon's by being opened.
    if os.fork():
        os._exit(0)
    _leave_streams(keep_stderr)
    return Startup(writer)


def _await_outcome(reader: int) -> NoReturn:
    message = os.read(reader, _MESSAGE_LENGTH)
    if message.startswith(_FAILED) and len(message) > 1:
        os.write(2, message[1:].rstrip(b"\n") + b"\n")
    os._exit(0 if message == _SUCCEEDED else _FAILURE_STATUS)


def _leave_streams(keep_stderr: bool) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if keep_stderr else (0, 1, 2):
        os.dup2(null, stream)
    if null > 2:
        os.close(null)
