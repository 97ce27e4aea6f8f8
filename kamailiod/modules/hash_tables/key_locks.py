"""Locks of keys that a request holds, waits included, and that no death or mistake makes eternal.

Owns who holds which key; who has died, or held a key too long, has lost it.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable
from time import time

from kamailiod.script.context import Context
from shm import KEEP, Change, HashMap

_HELD = struct.Struct("<QQQI")
_NOTE = "htable locks"

LEASE = 30
"""Seconds after which a key is free again, whatever its holder does."""

PATIENCE = 10.0
"""Seconds after which who waits for a key gives up."""

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05


class KeyLocks:
    """The locks of all tables' keys; made before the fork, opened in each process after it."""

    def __init__(self, records: HashMap) -> None:
        self._map = records
        self._process = (0, 0)
        self._requests = 0

    def open(self) -> None:
        """Become the locks of this process."""
        self._process = (os.getpid(), _started(os.getpid()))

    def take(self, context: Context, key: bytes) -> bool | None:
        """Lock a key, once more when this request has it; False if another has, None no room."""
        owner = self._owner(context)
        taken = False

        def change(old: bytes | None, expires: int) -> Change:
            nonlocal taken
            level = 1
            if old is not None and expires > time():
                holder = _HELD.unpack(old)
                if holder[:3] == owner:
                    level = holder[3] + 1
                elif _started(holder[0]) == holder[1]:
                    return KEEP
            taken = True
            return _HELD.pack(*owner, level), int(time()) + LEASE

        return taken if self._map.update(key, change) else None

    def wait(self, context: Context, key: bytes) -> Callable[[], Awaitable[bool | None]]:
        """Return what waits for a key: awaited, it gives what `take` gives in the end."""

        async def taken() -> bool | None:
            pause, deadline = _FIRST_PAUSE, time() + PATIENCE
            while (found := self.take(context, key)) is False and time() < deadline:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            return found

        return taken

    def give_back(self, context: Context, key: bytes) -> None:
        """Unlock a key as often as it was locked; one that this request has not stays as it is."""
        owner = self._owner(context)

        def change(old: bytes | None, expires: int) -> Change:
            if old is None:
                return KEEP
            holder = _HELD.unpack(old)
            if holder[:3] != owner:
                return KEEP
            return (_HELD.pack(*owner, holder[3] - 1), expires) if holder[3] > 1 else (None, 0)

        self._map.update(key, change)

    def expire(self) -> None:
        """Forget locks that were never given back."""
        self._map.pop_expired(int(time()), 1000)

    def _owner(self, context: Context) -> tuple[int, int, int]:
        number = context.shared.notes.get(_NOTE)
        if not isinstance(number, int):
            number = self._requests = self._requests + 1
            context.shared.notes[_NOTE] = number
        return (*self._process, number)


def _started(pid: int) -> int:
    """Return when a process was started, in clock ticks since the system was; 0 when it is dead."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
