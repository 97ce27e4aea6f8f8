"""The statistics of all processes over shared counters: a row a process, a column a name.

Owns the segment and which row is this process's; it knows no name's meaning but which are gauges.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Self

from kamailiod.metrics.core_statistics import GAUGES, HANDLING, HANDLING_BOUNDS
from shm import Counters, Histogram, Segment, Snapshot
from workers import Role

_STORE = "statistics"
_CELL = 1 << 64


class Statistics:
    """Made in the supervisor with all declared names; each process calls `open` after the fork.

    Implements services.Statistics.  A row more than there are roles holds what `reset` has taken
    off the totals.
    """

    def __init__(
        self,
        segment: Segment,
        names: Iterable[str],
        roles: Sequence[Role],
        gauges: Collection[str] = GAUGES,
    ) -> None:
        columns = _columns(names)
        self._segment = segment
        self._ranks = [role.rank for role in sorted(roles, key=lambda role: role.index)]
        self._counters = Counters(segment, columns, len(roles) + 1)
        self._handling = Histogram(self._counters, HANDLING, HANDLING_BOUNDS)
        hidden = set(Histogram.columns(HANDLING, HANDLING_BOUNDS))
        self.names: Sequence[str] = tuple(name for name in columns if name not in hidden)
        self._found = _by_spelling(self.names)
        self._gauges = frozenset(gauges)
        self._base = self._counters.row(len(roles))
        self._row: memoryview | None = None
        self.derived: dict[str, Callable[[], int]] = {}

    @classmethod
    def create(
        cls,
        instance: str,
        names: Iterable[str],
        roles: Sequence[Role],
        *,
        gauges: Collection[str] = GAUGES,
        keep: bool = False,
    ) -> Self:
        """Make the segment `/kamailiod.<instance>.statistics` and the statistics in it."""
        columns = _columns(names)
        size = Counters.segment_size(columns, len(roles) + 1)
        segment = Segment.create(instance, _STORE, size, keep=keep)
        return cls(segment, columns, roles, gauges)

    def open(self, index: int) -> None:
        """Take the row of this process (its role's index); its gauges start at 0."""
        self._row = self._counters.row(index)
        for name in self._gauges:
            if name in self:
                self._row[self._counters.column(name)] = 0

    def derive(self, name: str, read: Callable[[], int]) -> None:
        """Add a statistic that is not counted here but read elsewhere, by any process."""
        self.derived[name] = read
        self.names = (*self.names, name)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def is_gauge(self, name: str) -> bool:
        """Whether a statistic goes down as well as up."""
        return name in self._gauges

    def counter(self, name: str) -> Callable[..., None]:
        """Return increment(by=1) of this process's cell; KeyError for a name never declared."""
        row, column = self._own_row(), self._counters.column(name)

        def increment(by: int = 1) -> None:
            row[column] += by

        return increment

    def adder(self, name: str) -> Callable[[int], None]:
        """Return add(number), also below zero: what one process adds another may take off."""
        row, column = self._own_row(), self._counters.column(name)

        def add(by: int) -> None:
            row[column] = (row[column] + by) % _CELL

        return add

    def find(self, name: str) -> str | None:
        """Return the full name of a statistic given as "group:name" or "name"; None without."""
        return self._found.get(name)

    def setter(self, name: str) -> Callable[[int], None]:
        """Return set(value) of this process's cell, for a gauge; a value is at least 0."""
        return partial(self._own_row().__setitem__, self._counters.column(name))

    def handling(self) -> Callable[[float], None]:
        """Return observe(seconds), which counts how long this process handled one message."""
        return partial(self._handling.observe, self._own_row())

    def total(self, name: str) -> int:
        """Return the sum over all processes since the start or the last reset."""
        read = self.derived.get(name)
        if read is not None:
            return read()
        values = self._counters.values(name)
        return _signed(sum(values) - 2 * values[-1])

    def by_rank(self, name: str) -> dict[int, int]:
        """Return what each process has counted since the start, by rank."""
        values = map(_signed, self._counters.values(name))
        return dict(zip(self._ranks, values, strict=False))

    def handling_snapshot(self) -> Snapshot:
        """Return the histogram of handling times, summed over all processes."""
        return self._handling.snapshot()

    def reset(self, name: str) -> None:
        """Let the total of a counter start at 0 again, for all processes.

        by_rank and the histogram go on: a Prometheus counter never goes down.  One that is read
        elsewhere stays as it is.
        """
        if name not in self._gauges and name not in self.derived:
            total = sum(self._counters.values(name)[:-1])
            self._base[self._counters.column(name)] = total % _CELL

    def close(self) -> None:
        """Remove the segment; done once, by the supervisor, at the end."""
        self._row = None
        self._base.release()
        self._segment.unlink()

    def _own_row(self) -> memoryview:
        if self._row is None:
            raise RuntimeError("statistics are counted after the fork only")
        return self._row


def _columns(names: Iterable[str]) -> list[str]:
    histogram = Histogram.columns(HANDLING, HANDLING_BOUNDS)
    declared = dict.fromkeys(names)
    return [*(name for name in declared if name not in histogram), *histogram]


def _by_spelling(names: Sequence[str]) -> dict[str, str]:
    # Of statistics of one name in several groups, the first is meant.
    found = {name: name for name in names}
    for name in names:
        found.setdefault(name.partition(":")[2], name)
    return found


def _signed(value: int) -> int:
    # Cells are unsigned: what went below zero in one lies near their top.
    return (value + _CELL // 2) % _CELL - _CELL // 2
