"""The sets of destinations as a process works with them: decoded once a publication.

Owns their order and the tables that weights are drawn from; states are read, not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import cast

from kamailiod.modules.dispatching.destination import Destination, Entry, Sockets
from kamailiod.modules.dispatching.states import SKIPPED, States

DRAWS = 100
"""How many draws a table of weights holds: one for each percent."""


class DestinationSet:
    """One set: its destinations in the order of selection."""

    __slots__ = ("_relative", "_seed", "_weights", "destinations", "set_id", "slot")

    def __init__(
        self, set_id: int, slot: int, destinations: tuple[Destination, ...], seed: int
    ) -> None:
        self.set_id = set_id
        self.slot = slot
        self.destinations = destinations
        self._seed = seed
        self._weights: list[int] | None = None
        self._relative: tuple[tuple[int, ...], list[int]] = ((), [])

    def find(self, uri: bytes) -> Destination | None:
        """Return the first destination of a URI."""
        key = uri.lower()
        return next((one for one in self.destinations if one.key == key), None)

    def by_duid(self, duid: bytes) -> Destination | None:
        """Return the destination of a unique id."""
        return next((one for one in self.destinations if one.duid == duid), None)

    def is_active(self, states: States) -> bool:
        """Whether any destination may be selected."""
        words = states.words
        return any(not words[one.slot] & SKIPPED for one in self.destinations)

    def weighted(self) -> list[int]:
        """Return the draws of `weight`: indices of destinations, shuffled, alike everywhere."""
        if self._weights is None:
            counts = [one.weight for one in self.destinations]
            # Kamailio ignores weights unless the first destination has one.
            filled = _filled(counts, len(counts) - 1) if counts[0] else [0] * DRAWS
            self._weights = self._shuffled(filled)
        return self._weights

    def relative(self, rweights: tuple[int, ...]) -> list[int]:
        """Return the draws of `rweight`, 0 standing for what may not be selected; empty for none.

        The shares are those of the destinations that are up.
        """
        if self._relative[0] != rweights:
            total = sum(rweights)
            draws: list[int] = []
            if total:
                slices = [share * DRAWS // total for share in rweights]
                last = max(n for n, share in enumerate(slices) if share or n == 0)
                draws = self._shuffled(_filled(slices, last))
            self._relative = (rweights, draws)
        return self._relative[1]

    def _shuffled(self, draws: list[int]) -> list[int]:
        Random(self._seed).shuffle(draws)
        return draws


def _filled(counts: Sequence[int], last: int) -> list[int]:
    draws = [number for number, count in enumerate(counts) for _ in range(count)][:DRAWS]
    return draws + [last] * (DRAWS - len(draws))


class Sets:
    """All sets of one publication."""

    __slots__ = ("by_id", "by_slot")

    def __init__(self, sets: Sequence[DestinationSet] = ()) -> None:
        self.by_id = {one.set_id: one for one in sets}
        self.by_slot = {
            destination.slot: destination for one in sets for destination in one.destinations
        }

    def find(self, set_id: int, uri: bytes) -> Destination | None:
        """Return the first destination of a URI in a set."""
        found = self.by_id.get(set_id)
        return None if found is None else found.find(uri)


EMPTY = Sets()


def decoder(sockets: Sockets) -> Callable[[object], Sets]:
    """Return what makes Sets of a published value."""

    def decode(value: object) -> Sets:
        seed, sets = cast("tuple[int, list[list[object]]]", value)
        return Sets([_decoded(item, seed, sockets) for item in sets])

    return decode


def _decoded(item: list[object], seed: int, sockets: Sockets) -> DestinationSet:
    set_id, slot, rows = cast("tuple[int, int, list[tuple[int, bytes, int, int, bytes]]]", item)
    destinations = tuple(
        Destination(Entry(set_id, uri, flags, priority, attributes), own_slot, sockets)
        for own_slot, uri, flags, priority, attributes in rows
    )
    return DestinationSet(set_id, slot, destinations, seed + set_id)
