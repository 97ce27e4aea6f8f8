"""Files that name the running server; they know nothing of the process whose number is in them."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from workers.errors import PidFileError

_MODE = 0o644
_LONGEST = 64


class PidFile:
    """A file that names the running server; refused while another living process is in it.

    With `of_group` it holds the number of the process group, in which `kill -- -NUMBER` reaches
    every process.
    """

    __slots__ = ("_descriptor", "_number", "_of_group", "_path", "_pid")

    def __init__(self, path: str, *, of_group: bool = False) -> None:
        self._path = path
        self._of_group = of_group
        self._number = b""
        self._descriptor = -1
        self._pid = 0

    def write(self) -> None:
        """Write the number of the calling process or of its group; raises PidFileError."""
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            # Two servers that start at once must not both find the file free.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self._refuse_living(os.read(self._descriptor, _LONGEST))
            os.ftruncate(self._descriptor, 0)
            self._pid = os.getpid()
            self._number = b"%d\n" % (os.getpgrp() if self._of_group else self._pid)
            os.pwrite(self._descriptor, self._number, 0)
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
            if os.pread(self._descriptor, _LONGEST, 0) == self._number:
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
        number = int(text)
        own = os.getpgrp() if self._of_group else os.getpid()
        if number not in (0, own) and _lives(-number if self._of_group else number):
            os.close(self._descriptor)
            what = "process group" if self._of_group else "process"
            raise PidFileError(f"pid file {self._path}: {what} {number} is running")


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
