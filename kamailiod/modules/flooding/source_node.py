"""One node of the tree of sources: hits of two sampling periods, and whether it is blocked.

Owns the record and what time does to it; it knows no address and no shared memory.
"""

from __future__ import annotations

import struct

_RECORD = struct.Struct("<QIIII?Q")
_pack = _RECORD.pack
_unpack = _RECORD.unpack
_MOST = 0xFFFFFFFF


class SourceNode:
    """Hits of a prefix (`branch`) and of the whole address that ends here (`leaf`).

    `period` is the number of the sampling period that the current hits belong to, `blocked` whether
    the address was found to send too much; `touched` is when the nodes above were last kept from
    expiring (unix seconds).
    """

    __slots__ = ("blocked", "branch", "branch_before", "leaf", "leaf_before", "period", "touched")

    def __init__(
        self, period: int, branch_before: int = 0, branch: int = 0, leaf_before: int = 0,
        leaf: int = 0, blocked: bool = False, touched: int = 0,
    ) -> None:  # fmt: skip
        self.period = period
        self.branch_before = branch_before
        self.branch = branch
        self.leaf_before = leaf_before
        self.leaf = leaf
        self.blocked = blocked
        self.touched = touched

    def packed(self) -> bytes:
        """Return the node as octets."""
        return _pack(
            self.period, self.branch_before, min(self.branch, _MOST), self.leaf_before,
            min(self.leaf, _MOST), self.blocked, self.touched,
        )  # fmt: skip

    def advance(self, period: int, most: int) -> None:
        """Let time pass until a period; a blocked address is let in again once it has calmed."""
        passed = period - self.period
        if passed <= 0:
            return
        self.branch_before = self.branch if passed == 1 else 0
        self.leaf_before = self.leaf if passed == 1 else 0
        self.branch = self.leaf = 0
        self.period = period
        self.blocked = self.blocked and self.is_hot(most)

    def is_hot(self, most: int) -> bool:
        """Whether the address reached `most` hits in a period, or on the mean of both."""
        before, now = self.leaf_before, self.leaf
        return before >= most or now >= most or (before + now) >> 1 >= most

    def is_warm(self, most: int) -> bool:
        """Whether so many requests share the prefix that it is worth a closer look."""
        before, now, limit = self.branch_before, self.branch, most >> 2
        return before >= limit or now >= limit or (before + now) >> 1 >= limit

    def child(self) -> SourceNode:
        """Return the node one octet further down: it inherits the hits but for this one."""
        return SourceNode(self.period, max(self.branch_before - 1, 0), max(self.branch - 1, 0))


def unpack(data: bytes) -> SourceNode:
    """Return the node that `packed` gave."""
    return SourceNode(*_unpack(data))
