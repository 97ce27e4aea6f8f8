"""One pipe: its algorithm and limit, what came in this interval and in the last one.

Owns the algorithms and the record; it knows no clock and no shared memory.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_RECORD = struct.Struct("<BqQQQ")

_ORDER = tuple(number * 37 % 100 for number in range(100))
"""The numbers 0 to 99 so that any run of them is spread: which of 100 requests go first."""


class Algorithm(IntEnum):
    """The algorithms under Kamailio's numbers."""

    NOP = 0
    RED = 1
    TAILDROP = 2
    FEEDBACK = 3
    NETWORK = 4


def algorithm_of(name: str) -> Algorithm | None:
    """Return the algorithm of a name in any case, None when there is none."""
    return Algorithm.__members__.get(name.upper())


class Pipe:
    """A pipe; `interval` is the number of the interval that `counter` belongs to."""

    __slots__ = ("algorithm", "counter", "interval", "last_counter", "limit", "unused")

    def __init__(
        self, algorithm: Algorithm, limit: int, interval: int, counter: int = 0,
        last_counter: int = 0,
    ) -> None:  # fmt: skip
        self.algorithm = algorithm
        self.limit = limit
        self.interval = interval
        self.counter = counter
        self.last_counter = last_counter
        self.unused = 0

    def packed(self) -> bytes:
        """Return the pipe as octets."""
        return _RECORD.pack(
            self.algorithm, self.limit, self.interval, self.counter, self.last_counter
        )

    def advance(self, interval: int) -> None:
        """Let time pass until an interval; `unused` tells through how many nothing came."""
        passed = interval - self.interval
        if passed <= 0:
            return
        self.last_counter = self.counter if passed == 1 else 0
        self.unused = passed - 1 if self.counter else passed
        self.counter = 0
        self.interval = interval

    def load(self, scale: int) -> int:
        """Return how many times its limit came in the last interval."""
        limit = self.limit * scale
        return self.last_counter // limit if limit > 0 else 0

    def lets_in(self, scale: int, drop_rate: float, waiting: int) -> bool:
        """Count one more request and say whether it may pass.

        `scale` is how many times the limit an interval lets in; `drop_rate` (percent) is for
        FEEDBACK, `waiting` (octets not read yet) for NETWORK.
        """
        self.counter += 1
        if self.algorithm is Algorithm.TAILDROP:
            return self.counter <= self.limit * scale
        if self.algorithm is Algorithm.RED:
            load = self.load(scale)
            return not load or self.counter % load == 0
        if self.algorithm is Algorithm.FEEDBACK:
            return _ORDER[self.counter % 100] >= drop_rate
        return self.algorithm is Algorithm.NOP or waiting <= self.limit


def unpack(data: bytes) -> Pipe:
    """Return the pipe that `packed` gave."""
    number, limit, interval, counter, last_counter = _RECORD.unpack(data)
    return Pipe(Algorithm(number), limit, interval, counter, last_counter)
