"""The values of trees of type 1: destinations with weights.

Owns their grammar and order.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from kamailiod.modules.prefix_trees.prefix_tree import Match

_MOST = 64

Destination = tuple[int, int]
"""Id and weight."""


def destinations(matches: Iterable[Match]) -> list[Destination]:
    """Return the destinations of all prefixes of a number, the heaviest first.

    `matches` come with the shortest prefix first; a destination counts with its longest.  Of a
    prefix met several times the value read last counts.
    """
    found: list[Destination] = []
    for _, values in matches:
        if isinstance(values[0], bytes):
            found += _parsed(values[0])
    del found[_MOST:]
    weights: dict[int, int] = {}
    for destination, weight in reversed(found):
        if destination:
            weights.setdefault(destination, weight)
    # Those of equal weight stand in the order of the text.
    kept = list(reversed(weights.items()))
    return sorted(kept, key=lambda item: -item[1])


@lru_cache(maxsize=1024)
def _parsed(text: bytes) -> tuple[Destination, ...]:
    """Read `id=weight;id=weight`; what is no number counts as 0."""
    pairs = (part.partition(b"=")[::2] for part in text.split(b";") if part.strip())
    return tuple((_number(name), _number(body)) for name, body in pairs)


def _number(text: bytes) -> int:
    stripped = text.strip()
    return int(stripped) if stripped.isdigit() else 0
