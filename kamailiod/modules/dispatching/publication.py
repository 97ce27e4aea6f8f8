"""How a new list of destinations becomes that of all processes.

Owns the giving out of slots for states: those of a new list are others than those in use, so that
a process which still works with the old list finds its states there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import randrange
from typing import cast

from kamailiod.modules.dispatching.destination import Destination, Entry, Sockets, by_priority
from kamailiod.modules.dispatching.destination_set import EMPTY, decoder
from kamailiod.modules.dispatching.states import SLOT_WORDS, States
from shm import HashMap
from shm.stores.published import Published

SLOTS = 8192
"""How many destinations and sets there can be; half of them when all are loaded anew."""

_NAME = b"destinations"
Row = list[object]
"""What is published of a destination: slot, URI, flags, priority, attributes."""


class NoSlot(Exception):
    """There are more destinations than can be."""


class Publication:
    """The list that all processes work with, and its changes."""

    def __init__(self, records: HashMap, states: States, sockets: Sockets) -> None:
        self.records = records
        self._published = Published(records, _NAME, decoder(sockets), EMPTY)
        self._states = states
        self.sets = self._published.get

    def replace(self, entries: Iterable[Entry]) -> bool:
        """Publish a list, all states as it says; False, and nothing changed, without room."""
        grouped: dict[int, list[Entry]] = {}
        for entry in entries:
            grouped.setdefault(entry.set_id, []).append(entry)

        def anew(old: object) -> object:
            free = _free_slots(old)
            sets = [
                [set_id, self._blank(free), [self._row(entry, free) for entry in by_priority(own)]]
                for set_id, own in sorted(grouped.items())
            ]
            return [randrange(1 << 30), sets]

        return self._changed(anew)

    def add(self, entry: Entry) -> bool:
        """Publish one more destination; the others keep their states."""

        def added(old: object) -> object:
            seed, sets = _taken(old)
            free = _free_slots(old)
            rows = next((item[2] for item in sets if item[0] == entry.set_id), None)
            if rows is None:
                rows = []
                sets.append([entry.set_id, self._blank(free), rows])
                sets.sort(key=lambda item: cast("int", item[0]))
            own = cast("list[Row]", rows)
            before = [n for n, row in enumerate(own) if cast("int", row[3]) <= entry.priority]
            own.insert(before[0] if before else len(own), self._row(entry, free))
            return [seed, sets]

        return self._changed(added)

    def remove(self, set_id: int, uri: bytes) -> bool:
        """Publish the list without the destinations of this URI; an empty set goes with them."""
        wanted = uri.lower()

        def removed(old: object) -> object:
            seed, sets = _taken(old)
            for item in sets:
                if item[0] == set_id:
                    rows = cast("list[Row]", item[2])
                    item[2] = [row for row in rows if cast("bytes", row[1]).lower() != wanted]
            return [seed, [item for item in sets if item[2]]]

        return self._changed(removed)

    def _changed(self, function: Callable[[object], object]) -> bool:
        try:
            return self._published.change(function)
        except NoSlot:
            return False

    def _blank(self, free: Iterator[int]) -> int:
        slot = _next(free)
        self._states.reset(slot)
        return slot

    def _row(self, entry: Entry, free: Iterator[int]) -> Row:
        slot = _next(free)
        begun = Destination(entry, slot, Sockets())
        self._states.reset(slot, entry.flags, begun.rweight, begun.latency)
        return [slot, entry.uri, entry.flags, entry.priority, entry.attributes]


def _taken(old: object) -> tuple[int, list[list[object]]]:
    if old is None:
        return randrange(1 << 30), []
    seed, sets = cast("tuple[int, list[list[object]]]", old)
    return seed, sets


def _free_slots(old: object) -> Iterator[int]:
    used = {0}
    for _, slot, rows in _taken(old)[1]:
        used.add(cast("int", slot))
        used.update(cast("int", row[0]) for row in cast("list[Row]", rows))
    return (slot for slot in range(0, SLOTS * SLOT_WORDS, SLOT_WORDS) if slot not in used)


def _next(free: Iterator[int]) -> int:
    slot = next(free, None)
    if slot is None:
        raise NoSlot
    return slot

