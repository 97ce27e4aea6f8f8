"""The algorithms of Kamailio 5.6 that choose a destination of a set, under their numbers.

Owns the choice of an index; what becomes of it, also when that destination is down, is
selection.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import getrandbits

from kamailiod.modules.dispatching.destination_set import DRAWS, DestinationSet
from kamailiod.modules.dispatching.hashing import dispatch_hash, uri_keys
from kamailiod.modules.dispatching.states import (
    RELATIVE,
    ROUND_ROBIN,
    RWEIGHT,
    SKIPPED,
    WEIGHTED,
    States,
)
from kamailiod.script.context import Context
from kamailiod.sip.uri import parse_uri

NONE = -1
"""No destination can be chosen."""

ROUND_ROBIN_ALGORITHM, CALL_LOAD, PARALLEL, LATENCY = 4, 10, 12, 13

Algorithm = Callable[[Context, DestinationSet], int]


class Algorithms:
    """Chooses by number; a number that is none chooses the first destination, as in Kamailio.

    `text` gives what algorithm 7 hashes and `user` the user of algorithm 5.  Algorithm 10, where
    calls are counted, is call_load.py's: to this class it is no number.
    """

    def __init__(
        self, states: States, user_only: bool, use_default: bool,
        text: Callable[[Context], bytes] | None, user: Callable[[Context], object],
    ) -> None:  # fmt: skip
        self._states = states
        self._words = states.words
        self._user_only = user_only
        self._use_default = use_default
        self._text = text
        self._user = user
        self._table: dict[int, Algorithm] = {
            0: self._call_id, 1: self._from, 2: self._to, 3: self._request_uri,
            ROUND_ROBIN_ALGORITHM: self._round_robin, 5: self._user_name, 6: self._random,
            7: self._given_text, 9: self._weight, 11: self._relative_weight,
            LATENCY: self._latency,
        }  # fmt: skip

    def choose(self, number: int, context: Context, chosen: DestinationSet) -> int:
        """Return an index into the set's destinations, or any number that stands for one; NONE."""
        algorithm = self._table.get(number)
        return 0 if algorithm is None else algorithm(context, chosen)

    def _call_id(self, context: Context, chosen: DestinationSet) -> int:
        call_id = context.message.call_id
        return dispatch_hash(call_id) if call_id else NONE

    def _from(self, context: Context, chosen: DestinationSet) -> int:
        address = context.message.from_
        return NONE if address is None else self._uri_hash(address.uri_text)

    def _to(self, context: Context, chosen: DestinationSet) -> int:
        address = context.message.to
        return NONE if address is None else self._uri_hash(address.uri_text)

    def _request_uri(self, context: Context, chosen: DestinationSet) -> int:
        return self._uri_hash(context.uri)

    def _uri_hash(self, text: bytes) -> int:
        uri = parse_uri(text)
        return NONE if uri is None else dispatch_hash(*uri_keys(uri, self._user_only))

    def _round_robin(self, context: Context, chosen: DestinationSet) -> int:
        # Not locked: two processes at the same instant may give the same turn, and no more.
        place, ring = chosen.slot + ROUND_ROBIN, self._ring(chosen)
        index = self.settle(chosen, self._words[place])
        self._words[place] = (index + 1) % ring
        return index

    def _user_name(self, context: Context, chosen: DestinationSet) -> int:
        user = self._user(context)
        if not isinstance(user, bytes) or not user:
            return self._round_robin(context, chosen)
        return dispatch_hash(user)

    def _random(self, context: Context, chosen: DestinationSet) -> int:
        return getrandbits(31)

    def _given_text(self, context: Context, chosen: DestinationSet) -> int:
        text = self._text(context) if self._text is not None else b""
        return dispatch_hash(text) if text else NONE

    def _weight(self, context: Context, chosen: DestinationSet) -> int:
        return self._drawn(chosen, chosen.slot + WEIGHTED, chosen.weighted())

    def _relative_weight(self, context: Context, chosen: DestinationSet) -> int:
        words = self._words
        rweights = tuple([
            0 if words[one.slot] & SKIPPED else words[one.slot + RWEIGHT]
            for one in chosen.destinations
        ])  # fmt: skip
        if not any(rweights):
            rweights = self._shares_of_congestion(chosen)
        draws = chosen.relative(rweights)
        return self._drawn(chosen, chosen.slot + RELATIVE, draws) if draws else 0

    def _shares_of_congestion(self, chosen: DestinationSet) -> tuple[int, ...]:
        # All are congested beyond what they stand: each has the less the longer it takes.
        words, states = self._words, self._states
        times = [
            0 if words[one.slot] & SKIPPED or not one.rweight else states.congestion(one) + 1
            for one in chosen.destinations
        ]
        total = sum(times)
        return tuple([total // time if time else 0 for time in times])

    def _drawn(self, chosen: DestinationSet, place: int, draws: list[int]) -> int:
        turn = self._words[place]
        self._words[place] = (turn + 1) % DRAWS
        return draws[turn]

    def _latency(self, context: Context, chosen: DestinationSet) -> int:
        order = self.by_latency(chosen)
        if not order:
            return 0
        self._words[chosen.slot + ROUND_ROBIN] = (order[0] + 1) % self._ring(chosen)
        return order[0]

    def by_latency(self, chosen: DestinationSet) -> list[int]:
        """Return the indices of what is up, the best first: by priority less slowness, in turns.

        A priority goes down by 1 for each time that the latency holds it, not below 1.
        """
        words, ring = self._words, self._ring(chosen)
        start = words[chosen.slot + ROUND_ROBIN] % ring
        turns = [(start + step) % ring for step in range(ring)]
        up = [turn for turn in turns if not words[chosen.destinations[turn].slot] & SKIPPED]
        return sorted(up, key=lambda turn: -self._running_priority(chosen, turn))

    def _running_priority(self, chosen: DestinationSet, index: int) -> int:
        one = chosen.destinations[index]
        states = self._states
        slowness = states.congestion(one) if one.congestion_control else states.estimate(one)
        if one.priority <= 0:
            return one.priority
        handicap = slowness // one.priority if slowness > one.priority else 0
        return max(1, one.priority - handicap)

    def _ring(self, chosen: DestinationSet) -> int:
        count = len(chosen.destinations)
        return count - 1 if self._use_default and count != 1 else count

    def settle(self, chosen: DestinationSet, number: int) -> int:
        """Return the index of the destination a number stands for, or of the next that is up.

        With use_default the last destination is taken when no other is up; NONE when none is.
        """
        words, destinations = self._words, chosen.destinations
        ring = self._ring(chosen)
        index = start = number % ring
        while words[destinations[index].slot] & SKIPPED:
            index = (index + 1) % ring
            if index == start:
                last = len(destinations) - 1
                return NONE if words[destinations[last].slot] & SKIPPED else last
        return index

    def after(self, number: int, chosen: DestinationSet, first: int) -> Iterable[int]:
        """Return the indices of the failover list behind its first one, in their order."""
        words, destinations = self._words, chosen.destinations
        last = len(destinations) - 1
        if number == LATENCY:
            ring: Iterable[int] = self.by_latency(chosen)
        else:
            ring = [*range(first + 1, last + 1), *range(first)]
        default = self._use_default and last > 0
        rest = [
            index for index in ring
            if index != first and not words[destinations[index].slot] & SKIPPED
            and not (default and index == last)
        ]  # fmt: skip
        return [*rest, last] if default and first != last else rest
