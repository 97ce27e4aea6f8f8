"""Locks of scripts, shared by all processes: held across waits, and freed when their holder dies.

Owns who holds what; what a script protects by a lock is not known.  These are no mutexes: a request
that waits for one lets its process go on.
"""

from __future__ import annotations

import asyncio
import os

from kamailiod.script.transformations.hashing import core_hash
from shm import HashMap, SegmentFullError
from shm.hashmap import KEEP, Change

PATIENCE = 32.0
"""Seconds after which a lock is given up: a client's INVITE transaction ends then (64 * T1)."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


class LockSet:
    """`size` locks (a power of two) in a map that other records may share.

    `enter` must have run in a process before it takes one.
    """

    __slots__ = ("_holder", "_map", "_size")

    def __init__(self, records: HashMap, size: int) -> None:
        self._map = records
        self._size = size
        self._holder = b""

    def enter(self) -> None:
        """Become the holder of what this process takes."""
        self._holder = identity(os.getpid())

    def position(self, key: bytes, further: bytes = b"") -> int:
        """Return the lock of a key; several keys may have the same one."""
        return core_hash(key.lower(), self._size, further.lower())

    def take(self, position: int) -> bool:
        """Take a lock; False while another request holds it, in this process or another."""
        holder = self._exchange(position, None)
        if holder is None:
            return True
        if _lives(holder):
            return False
        return self._exchange(position, holder) == holder

    async def wait(self, position: int) -> bool:
        """Take a lock as soon as it is free; False when it is not within PATIENCE."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        pause = _FIRST_PAUSE
        while not self.take(position):
            if loop.time() > deadline:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return True

    def free(self, position: int) -> None:
        """Free a lock, whoever holds it."""
        self._map.delete(_key(position))

    def _exchange(self, position: int, expected: bytes | None) -> bytes | None:
        """Become the holder where the holder is the expected one; return who it was."""
        before: bytes | None = None

        def change(holder: bytes | None, expires: int) -> Change:
            nonlocal before
            before = holder
            return (self._holder, 0) if holder is None or holder == expected else KEEP

        if not self._map.update(_key(position), change):
            raise SegmentFullError("no shared memory is left for a lock")
        return before


def identity(pid: int) -> bytes:
    """Return what tells a process from any other, also from a later one of its number."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return b""
    # Fields 3 (state) and 22 (start time) of proc(5); a zombie runs no more.
    return b"" if fields[0] in (b"Z", b"X") else b"%d:%b" % (pid, fields[19])


def _lives(holder: bytes) -> bool:
    return identity(int(holder.partition(b":")[0])) == holder


def _key(position: int) -> bytes:
    return b"lock:%d" % position
