"""A prefix tree: what numbers beginning with a prefix have, found by the longest prefix.

Kept as a dictionary: a look-up slices the number once for each length of prefix there is.  It knows
nothing of databases.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Value = bytes | int
Match = tuple[bytes, Sequence[Value]]
"""A prefix and its values, the one read last first."""


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What is told about a tree: its figures are those of Kamailio's nodes for its prefixes."""

    name: bytes
    kind: int
    nodes: int
    items: int
    memory: int
    reloads: int
    reloaded_at: int


class PrefixTree:
    """The prefixes of a tree, sorted, each with its values; `allowed` are the octets of prefixes.

    A number is looked at up to its first octet that is not allowed; if prefixes go on there, it
    matches nothing, as in Kamailio.
    """

    __slots__ = ("_allowed", "_lengths", "_sorted", "_values", "facts")

    def __init__(
        self,
        facts: TreeFacts,
        prefixes: Sequence[bytes],
        values: Sequence[Sequence[Value]],
        allowed: bytes,
    ) -> None:
        self.facts = facts
        self._sorted = prefixes
        self._values = dict(zip(prefixes, values, strict=True))
        self._lengths = tuple(sorted({len(prefix) for prefix in prefixes}, reverse=True))
        self._allowed = allowed

    def longest(self, number: bytes) -> Match | None:
        """Return the longest prefix of a number with its values; None when there is none."""
        if number.translate(None, self._allowed) and self._stops(number) is not None:
            return None
        size, values = len(number), self._values
        for length in self._lengths:
            if length <= size:
                prefix = number[:length]
                found = values.get(prefix)
                if found is not None:
                    return prefix, found
        return None

    def matches(self, number: bytes) -> tuple[list[Match], bool]:
        """Return all prefixes of a number with their values, shortest first.

        The second result is false when an octet that is not allowed ended the search.
        """
        stop = self._stops(number) if number.translate(None, self._allowed) else None
        size = len(number) if stop is None else stop
        found = []
        for length in reversed(self._lengths):
            if length <= size:
                values = self._values.get(number[:length])
                if values is not None:
                    found.append((number[:length], values))
        return found, stop is None

    def items(self) -> Iterator[Match]:
        """Go through all prefixes with their values, in order."""
        return iter(self._values.items())

    def _stops(self, number: bytes) -> int | None:
        """Return where the first octet is that is not allowed, if prefixes go on there."""
        place = next(n for n, octet in enumerate(number) if octet not in self._allowed)
        head = number[:place]
        following = bisect_right(self._sorted, head)
        goes_on = following < len(self._sorted) and self._sorted[following].startswith(head)
        return place if goes_on else None
