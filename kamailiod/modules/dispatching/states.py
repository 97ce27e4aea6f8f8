"""What changes of a destination while the server runs: its state, failures, load and latency.

Owns the shared numbers and the rules by which a state changes; why it changes is the caller's.
Reading is one load of a shared number; a change holds a lock that outlives its holder.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import sqrt

from kamailiod.modules.dispatching.destination import Destination
from shm import HashMap

INACTIVE, TRYING, DISABLED, PROBING = 1, 2, 4, 8
STATES = INACTIVE | TRYING | DISABLED | PROBING
SKIPPED = INACTIVE | DISABLED
"""A destination with one of these is not selected."""

SLOT_WORDS = 16
FLAGS, COUNT, LOAD, TIMEOUTS, SAMPLES, MINIMUM, MAXIMUM, RWEIGHT = range(8)
AVERAGE, DEVIATION, SQUARES, ESTIMATE = range(8, 12)
"""The numbers of a destination's slot, the last four floating."""

ROUND_ROBIN, WEIGHTED, RELATIVE = range(3)
"""The numbers of a set's slot: how far each algorithm that takes turns has come."""

PING_ACTIVE, RELOADED_AT = range(2)
"""The numbers of the first slot, which belongs to no destination."""

_MOST_SAMPLES = 1 << 21
_LOCK = b"\0state"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """After how many failures a destination is down, and after how many successes up again."""

    probing: int = 1
    inactive: int = 1


@dataclass(frozen=True, slots=True)
class Latency:
    """A destination's answers to pings, in milliseconds."""

    average: float
    deviation: float
    estimate: float
    maximum: int
    timeouts: int


class States:
    """The slots of all destinations and sets; a slot is named by the index of its first word."""

    __slots__ = ("_alpha", "_numbers", "_records", "_thresholds", "words")

    def __init__(
        self, words: memoryview, records: HashMap, thresholds: Thresholds, alpha: float
    ) -> None:
        self.words = words
        self._numbers = words.cast("B").cast("d")
        self._records = records
        self._thresholds = thresholds
        self._alpha = alpha

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from changing states meanwhile."""
        return self._records.locked(_LOCK)

    def reset(self, slot: int, flags: int = 0, rweight: int = 0, latency: int = 0) -> None:
        """Make a slot new; `latency` is what a destination is taken to have had so far."""
        words = self.words
        for number in range(SLOT_WORDS):
            words[slot + number] = 0
        words[slot + FLAGS] = flags & STATES
        words[slot + RWEIGHT] = rweight
        if latency:
            self._sample(slot, latency)

    def change(self, destination: Destination, state: int) -> tuple[int, int]:
        """Change a destination's state by the thresholds; returns the flags before and after.

        Failures (TRYING) are counted until it is down; successes of one that is down until it is
        up.
        """
        with self.lock():
            old = self.words[destination.slot + FLAGS]
            new, count = changed(
                old, self.words[destination.slot + COUNT], state, self._thresholds
            )
            self.words[destination.slot + COUNT] = count
            self.words[destination.slot + FLAGS] = new
        return old, new

    def set(self, destination: Destination, flags: int) -> tuple[int, int]:
        """Give a destination a state, whatever it was; returns the flags before and after."""
        with self.lock():
            old = self.words[destination.slot + FLAGS]
            self.words[destination.slot + COUNT] = 0
            new = DISABLED if flags & DISABLED else flags & STATES
            self.words[destination.slot + FLAGS] = new
        return old, new

    def answered(self, destination: Destination, milliseconds: int) -> None:
        """Count the time that an answer to a ping took."""
        with self.lock():
            self._sample(destination.slot, milliseconds)
            if destination.congestion_control and destination.weight:
                left = destination.weight - self.congestion(destination)
                self.words[destination.slot + RWEIGHT] = max(0, left)

    def timed_out(self, destination: Destination) -> None:
        """Count a ping that was not answered."""
        with self.lock():
            self.words[destination.slot + TIMEOUTS] += 1

    def latency(self, destination: Destination) -> Latency:
        """Return what is known of a destination's answers."""
        numbers, words, slot = self._numbers, self.words, destination.slot
        return Latency(
            numbers[slot + AVERAGE], numbers[slot + DEVIATION], numbers[slot + ESTIMATE],
            words[slot + MAXIMUM], words[slot + TIMEOUTS],
        )  # fmt: skip

    def rweight(self, destination: Destination) -> int:
        """Return a destination's rweight, less what congestion takes of it."""
        return int(self.words[destination.slot + RWEIGHT])

    def estimate(self, destination: Destination) -> int:
        """Return the milliseconds an answer should take now."""
        return int(self._numbers[destination.slot + ESTIMATE])

    def congestion(self, destination: Destination) -> int:
        """Return the milliseconds that answers take longer than they use to."""
        numbers, slot = self._numbers, destination.slot
        return max(0, int(numbers[slot + ESTIMATE] - numbers[slot + AVERAGE]))

    def _sample(self, slot: int, milliseconds: int) -> None:
        # Mean and variance by Welford's method, the estimate as a moving average.
        words, numbers = self.words, self._numbers
        count = words[slot + SAMPLES]
        if count == 0:
            words[slot + SAMPLES] = 1
            words[slot + MINIMUM] = words[slot + MAXIMUM] = milliseconds
            numbers[slot + AVERAGE] = numbers[slot + ESTIMATE] = milliseconds
            return
        if count < _MOST_SAMPLES:
            count += 1
            words[slot + SAMPLES] = count
        else:
            numbers[slot + SQUARES] -= numbers[slot + SQUARES] / count
        words[slot + MINIMUM] = min(words[slot + MINIMUM], milliseconds)
        words[slot + MAXIMUM] = max(words[slot + MAXIMUM], milliseconds)
        before = milliseconds - numbers[slot + AVERAGE]
        numbers[slot + AVERAGE] += before / count
        numbers[slot + SQUARES] += before * (milliseconds - numbers[slot + AVERAGE])
        numbers[slot + DEVIATION] = sqrt(max(0.0, numbers[slot + SQUARES]) / (count - 1))
        numbers[slot + ESTIMATE] = (
            numbers[slot + ESTIMATE] * self._alpha + milliseconds * (1 - self._alpha)
        )


def changed(old: int, count: int, state: int, thresholds: Thresholds) -> tuple[int, int]:
    """Return flags and count after a state was reported over the old ones."""
    wanted = state
    if state & TRYING and old & INACTIVE:
        # What is down stays so: only a success brings it up, and then it may be tried.
        wanted = state & ~TRYING | INACTIVE
    new = DISABLED if wanted & DISABLED else wanted
    if wanted & TRYING:
        count += 1
        if count < thresholds.probing:
            return new, count
        return new & ~TRYING | INACTIVE, 0
    if not state & TRYING and old & INACTIVE:
        count += 1
        if count < thresholds.inactive:
            return new | INACTIVE | old & PROBING, count
    return new, 0


def parse_state(text: bytes) -> int:
    """Read a state such as "ip": the sum of its letters' flags, -1 when one is unknown."""
    flags = 0
    for letter in text.lower():
        if letter == 0x61:
            flags = 0
        elif letter not in _LETTERS:
            return -1
        else:
            flags |= _LETTERS[letter]
    return flags


_LETTERS = {ord("i"): INACTIVE, ord("t"): TRYING, ord("d"): DISABLED, ord("p"): PROBING}


def state_letters(flags: int) -> str:
    """Return flags as the commands show them: A, I, D or T, and P when probed, else X."""
    first = "A"
    for flag, letter in ((INACTIVE, "I"), (DISABLED, "D"), (TRYING, "T")):
        if flags & flag:
            first = letter
            break
    return first + ("P" if flags & PROBING else "X")
