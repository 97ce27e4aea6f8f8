"""How many calls each destination has: by Call-ID, without following dialogs.

Owns the records of calls and the destinations' counts, which agree also after a process was killed
between the two: whoever starts in its place counts anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgpack

from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.destination_set import DestinationSet, Sets
from kamailiod.modules.dispatching.states import LOAD, SKIPPED, States
from shm import HashMap

_SLICE = 500


class CallLoad:
    """The calls of all destinations; expiries are in seconds."""

    def __init__(
        self, calls: HashMap, states: States, sets: Callable[[], Sets],
        initial_expire: int, expire: int,
    ) -> None:  # fmt: skip
        self._calls = calls
        self._states = states
        self._sets = sets
        self._initial_expire = initial_expire
        self._expire = expire

    def load(self, destination: Destination) -> int:
        """Return how many calls a destination has."""
        return int(self._states.words[destination.slot + LOAD])

    def take_least(self, call_id: bytes, chosen: DestinationSet) -> tuple[int, bool]:
        """Give a call to the destination with the fewest; its index, -1 when none takes one.

        The second value is whether the call was counted there: it is not without a unique id, and
        one that is known already stays counted where it was.
        """
        words = self._states.words
        with self._states.lock():
            index, least = -1, 1 << 62
            for number, one in enumerate(chosen.destinations):
                load = words[one.slot + LOAD]
                if words[one.slot] & SKIPPED or (one.maxload and load >= one.maxload):
                    continue
                if load < least:
                    index, least = number, load
            return index, index >= 0 and self._count(call_id, chosen.destinations[index])

    def _count(self, call_id: bytes, destination: Destination) -> bool:
        if not destination.duid or self._calls.get(call_id) is not None:
            return False
        value = msgpack.packb((destination.set_id, destination.duid))
        if not self._calls.put(call_id, value, int(time.time()) + self._initial_expire):
            return False
        self._states.words[destination.slot + LOAD] += 1
        return True

    def move(self, call_id: bytes, destination: Destination) -> bool:
        """Give a call to another destination; False when that has as many as it takes."""
        words = self._states.words
        with self._states.lock():
            if destination.maxload and words[destination.slot + LOAD] >= destination.maxload:
                return False
            self._drop(call_id)
            self._count(call_id, destination)
            return True

    def confirm(self, call_id: bytes) -> bool:
        """Take note that a call was answered; False for an unknown one."""
        with self._states.lock():
            value = self._calls.get(call_id)
            if value is None:
                return False
            return self._calls.put(call_id, value, int(time.time()) + self._expire)

    def remove(self, call_id: bytes) -> bool:
        """Forget a call; False for an unknown one."""
        with self._states.lock():
            return self._drop(call_id)

    def _drop(self, call_id: bytes) -> bool:
        value = self._calls.get(call_id)
        if value is None or not self._calls.delete(call_id):
            return False
        self._uncount(value)
        return True

    def _uncount(self, value: bytes) -> None:
        set_id, duid = msgpack.unpackb(value)
        found = self._sets().by_id.get(set_id)
        destination = None if found is None else found.by_duid(duid)
        if destination is not None and self.load(destination):
            self._states.words[destination.slot + LOAD] -= 1

    def expire(self) -> None:
        """Forget the calls whose time is up, a slice of them."""
        with self._states.lock():
            for _, value in self._calls.pop_expired(int(time.time()), _SLICE):
                self._uncount(value)

    def recount(self) -> None:
        """Make the counts agree with the records: after a new list, or another process's death."""
        words = self._states.words
        with self._states.lock():
            counts: Counter[tuple[int, bytes]] = Counter()
            for _, value in self._calls.items():
                set_id, duid = msgpack.unpackb(value)
                counts[set_id, duid] += 1
            for one in self._sets().by_slot.values():
                words[one.slot + LOAD] = counts[one.set_id, one.duid] if one.duid else 0
