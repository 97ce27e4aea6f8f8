"""Histograms of durations, kept in consecutive columns of the counters."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shm.counters import Counters

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A histogram summed over all rows; `buckets` counts up to each bound and, last, all."""

    count: int
    sum: float
    bounds: tuple[float, ...]
    buckets: tuple[int, ...]


class Histogram:
    """Counts durations by ascending `bounds` in seconds, in `columns` that the counters have."""

    __slots__ = ("_bounds", "_counters", "_first", "_names", "_sum")

    def __init__(self, counters: Counters, name: str, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        if list(self._bounds) != sorted(set(self._bounds)):
            raise ValueError("the bounds of a histogram must ascend")
        self._counters = counters
        self._names = self.columns(name, bounds)
        self._first = counters.column(self._names[0])
        self._sum = counters.column(self._names[-1])
        if self._sum - self._first != len(bounds) + 1:
            raise ValueError(f"the columns of {name} must be consecutive")

    @staticmethod
    def columns(name: str, bounds: Sequence[float]) -> list[str]:
        """Name the columns: one a bound, one above them, and the sum in nanoseconds."""
        return [f"{name}:{bound}" for bound in [*bounds, "inf"]] + [f"{name}:sum"]

    def observe(self, row: memoryview, seconds: float) -> None:
        """Count a duration in the row of this process; a negative one (clock set back) as 0."""
        if seconds < 0:
            seconds = 0.0
        row[self._first + bisect_left(self._bounds, seconds)] += 1
        row[self._sum] += int(seconds * _NANOSECONDS)

    def snapshot(self) -> Snapshot:
        """Sum all rows."""
        total = 0
        buckets = []
        for name in self._names[:-1]:
            total += self._counters.total(name)
            buckets.append(total)
        seconds = self._counters.total(self._names[-1]) / _NANOSECONDS
        return Snapshot(total, seconds, self._bounds, tuple(buckets))
