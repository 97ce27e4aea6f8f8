"""The tree of sources that all workers share: which addresses send too many requests.

Owns the nodes of pike's tree in a shared map: one for each prefix of whole octets that was seen
often enough, so that many quiet sources cost a few nodes only.  It must not know messages.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from kamailiod.modules.flooding.source_node import SourceNode, unpack
from shm import KEEP, Change, HashMap

_FAMILIES = {4: b"4", 16: b"6"}
_KINDS = {b"4": socket.AF_INET, b"6": socket.AF_INET6}
_LENGTHS = {b"4": 5, b"6": 17}


class Verdict(IntEnum):
    """What a request's source is: the return values of pike_check_req."""

    QUIET = 1
    BLOCKED = -1
    DETECTED = -2


@dataclass(frozen=True, slots=True)
class Leaf:
    """A whole address of the tree, as pike.list shows it."""

    address: str
    before: int
    now: int
    expires: int
    status: str


class SourceTree:
    """Counts requests by source; `most` is reqs_density_per_unit, `unit` and `latency` seconds.

    A node lives for `latency` seconds after its last hit, the nodes above a living one too.  When
    the map is full, a source that has no node counts as quiet.
    """

    def __init__(self, nodes: HashMap, most: int, unit: int, latency: int) -> None:
        self._nodes = nodes
        self._most = most
        self._unit = max(unit, 1)
        self._latency = latency
        self._touch_after = max(latency // 4, 1)

    def mark(self, address: bytes, now: float) -> Verdict:
        """Count a request from an address (4 or 16 octets) and judge it."""
        key = _FAMILIES[len(address)] + address
        period = int(now) // self._unit
        verdict = self._hit_leaf(key, period, int(now))
        if verdict is None:
            self._hit_branch(key, period, int(now))
            return Verdict.QUIET
        return verdict

    def is_blocked(self, address: bytes, now: float) -> bool:
        """Whether an address is blocked just now; counts nothing."""
        found = self._nodes.get(_FAMILIES[len(address)] + address)
        if found is None:
            return False
        node = unpack(found)
        node.advance(int(now) // self._unit, self._most)
        return node.blocked

    def leaves(self, now: float) -> Iterator[Leaf]:
        """Go through the addresses of the tree, blocking nobody."""
        period = int(now) // self._unit
        for family, length in _LENGTHS.items():
            for record in self._nodes.records(family):
                if len(record.key) == length:
                    node = unpack(record.value)
                    node.advance(period, self._most)
                    yield self._leaf(record.key, node, record.expires - int(now))

    def expire(self, now: float, limit: int) -> int:
        """Remove up to `limit` nodes that were not hit for long; how many there were."""
        return len(self._nodes.pop_expired(int(now), limit))

    def _hit_leaf(self, key: bytes, period: int, now: int) -> Verdict | None:
        verdict: Verdict | None = None
        touch = False

        def hit(old: bytes | None, expires: int) -> Change:
            nonlocal verdict, touch
            if old is None:
                return KEEP
            node = unpack(old)
            node.advance(period, self._most)
            node.leaf += 1
            verdict = Verdict.BLOCKED if node.blocked else Verdict.QUIET
            if not node.blocked and node.is_hot(self._most):
                node.blocked = True
                verdict = Verdict.DETECTED
            if now - node.touched >= self._touch_after:
                touch = True
                node.touched = now
            return node.packed(), now + self._latency

        self._nodes.update(key, hit)
        if touch:
            self._keep_branches(key, now)
        return verdict

    def _hit_branch(self, key: bytes, period: int, now: int) -> None:
        nodes = self._nodes
        length = next((n for n in range(len(key) - 1, 1, -1) if nodes.get(key[:n])), 0)
        expires = now + self._latency
        if not length:
            nodes.put(key[:2], SourceNode(period, branch=1).packed(), expires)
            return
        child: SourceNode | None = None

        def hit(old: bytes | None, _: int) -> Change:
            nonlocal child
            node = unpack(old) if old is not None else SourceNode(period)
            node.advance(period, self._most)
            node.branch += 1
            if node.is_warm(self._most):
                child = node.child()
            return node.packed(), expires

        if nodes.update(key[:length], hit) and child is not None:
            nodes.put(key[: length + 1], child.packed(), expires)

    def _keep_branches(self, key: bytes, now: int) -> None:
        expires = now + self._latency
        for length in range(2, len(key)):
            self._nodes.update(
                key[:length], lambda old, _: KEEP if old is None else (old, expires)
            )

    def _leaf(self, key: bytes, node: SourceNode, expires: int) -> Leaf:
        status = ""
        if node.is_hot(self._most):
            status = "HOT"
        elif max(node.leaf, node.leaf_before) >= self._most >> 2:
            status = "WARM"
        address = socket.inet_ntop(_KINDS[key[:1]], key[1:])
        return Leaf(address, node.leaf_before, node.leaf, max(expires, 0), status)
