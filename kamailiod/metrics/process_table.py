"""Which process has which role now: a table that every process writes its own line of.

Owns the pids and start counts in memory shared over the fork; it starts and ends no process.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from workers import Role

_LINE = struct.Struct("=QQ")


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """One role and its process; `pid` is 0 before the first start, `starts` counts them."""

    role: Role
    pid: int
    starts: int
    alive: bool


class ProcessTable:
    """Made in the supervisor before the fork; each process calls `open` after it."""

    def __init__(self, roles: Sequence[Role]) -> None:
        self.roles = tuple(sorted(roles, key=lambda role: role.index))
        self._memory = mmap.mmap(-1, _LINE.size * len(self.roles))

    def open(self, index: int) -> None:
        """Enter this process as that of the role with this index."""
        offset = index * _LINE.size
        _, starts = _LINE.unpack_from(self._memory, offset)
        _LINE.pack_into(self._memory, offset, os.getpid(), starts + 1)

    def entries(self) -> list[ProcessEntry]:
        """Return all roles in the order of their index."""
        return [
            ProcessEntry(role, pid, starts, _alive(pid))
            for role, (pid, starts) in zip(
                self.roles, _LINE.iter_unpack(self._memory[:]), strict=True
            )
        ]


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    if pid == 0:
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split(None, 1)[0] not in (b"Z", b"X")
    except OSError:
        return False
