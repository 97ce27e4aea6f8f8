"""Counters that every process adds to and any process sums: a row a process, a column a name."""

import zlib
from collections.abc import Sequence
from typing import Final

from shm.errors import SegmentFullError, ShmError
from shm.layout import CACHE_LINE, COUNTERS_FIELDS, COUNTERS_HEADER, COUNTERS_ROWS, WORD, aligned
from shm.segment import Origin, Segment

_UNIT: Final = CACHE_LINE // WORD


class Counters:
    """`rows` rows of unsigned 64-bit counters, one column for each of `names`, that fill a segment.

    A row has one writer, which needs no lock; a process that takes over a row goes on where the
    last one stopped. A kept segment with other names or rows starts at zero.
    """

    __slots__ = ("_columns", "_rows", "_step", "_words", "names")

    def __init__(self, segment: Segment, names: Sequence[str], rows: int) -> None:
        self.names = tuple(names)
        self._columns = {name: column for column, name in enumerate(self.names)}
        if len(self._columns) != len(self.names):
            raise ValueError("the names of counters must differ")
        self._rows = rows
        self._step = aligned(len(self.names), _UNIT)
        self._words = segment.words
        if self.segment_size(names, rows) > segment.size:
            raise ShmError(f"{segment.name}: {segment.size} bytes cannot hold {rows} rows")
        shape = (rows, len(self.names), zlib.crc32("\n".join(self.names).encode()))
        held = COUNTERS_FIELDS.unpack_from(segment.memory, COUNTERS_HEADER)
        if segment.origin is Origin.ATTACHED:
            if held != shape:
                raise ShmError(f"{segment.name}: holds other counters")
        elif segment.origin is Origin.CREATED or held != shape:
            end = COUNTERS_ROWS + rows * self._step * WORD
            if not segment.reserve(COUNTERS_HEADER, end):
                raise SegmentFullError(f"{segment.name}: /dev/shm is full")
            segment.memory[COUNTERS_HEADER:end] = bytes(end - COUNTERS_HEADER)
            COUNTERS_FIELDS.pack_into(segment.memory, COUNTERS_HEADER, *shape)

    @staticmethod
    def segment_size(names: Sequence[str], rows: int) -> int:
        """Give the bytes of a segment for so many counters."""
        return COUNTERS_ROWS + rows * aligned(len(names), _UNIT) * WORD

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self._rows

    def row(self, index: int) -> memoryview:
        """Give a row as unsigned 64-bit numbers, for `row[column] += 1` by its one writer."""
        if not 0 <= index < self._rows:
            raise IndexError(f"row {index} of {self._rows}")
        begin = COUNTERS_ROWS // WORD + index * self._step
        return self._words[begin : begin + len(self.names)]

    def column(self, name: str) -> int:
        """Give the column of a name; raises KeyError when there is none."""
        return self._columns[name]

    def values(self, name: str) -> list[int]:
        """Give a counter's values, row by row."""
        begin = COUNTERS_ROWS // WORD + self._columns[name]
        end = COUNTERS_ROWS // WORD + self._rows * self._step
        return self._words[begin : end : self._step].tolist()

    def total(self, name: str) -> int:
        """Give the sum of a counter over all rows."""
        return sum(self.values(name))
