"""The pid file; knows nothing of the process whose number is in it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from workers.errors import PidFileError

_MODE = 0o644
_LONGEST = 64


class PidFile:
    """A file that names the running server; refused while another living process is in it."""

    __slots__ = ("_descriptor", "_path", "_pid")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._pid = 0

    def write(self) -> None:
        """Write the calling process's pid; raises PidFileError."""
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            # Two servers that start at once must not both find the file free.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._refuse_living(os.read(self._descriptor, _LONGEST))
            os.ftruncate(self._descriptor, 0)
            self._pid = os.getpid()
            os.pwrite(self._descriptor, b"%d\n" % self._pid, 0)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            raise PidFileError(f"pid file {self._path}: {error.strerror}") from error

    def remove(self) -> None:
        """Remove the file if the calling process wrote it; in all others this does nothing.

        Where the directory no longer lets us (privileges were dropped), the file is emptied.
        """
        if self._pid != os.getpid():
            return
        self._pid = 0
        try:
            if os.pread(self._descriptor, _LONGEST, 0) == b"%d\n" % os.getpid():
                os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        finally:
            os.close(self._descriptor)

    def _refuse_living(self, content: bytes) -> None:
        text = content.strip()
        if not text.isdigit():
            return
        pid = int(text)
        if pid not in (0, os.getpid()) and _lives(pid):
            os.close(self._descriptor)
            raise PidFileError(f"pid file {self._path}: process {pid} is running")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
