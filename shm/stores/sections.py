"""Shares of a map's buckets for several tables: one is gone through without the others.

It knows names, sizes and the prefixes of keys, not what the tables hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from shm.errors import RecordError
from shm.layout import power_of_two

_PREFIX: Final = 2
_ALL: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Section:
    """What one table has of a map: the beginning of its keys, and its buckets."""

    prefix: bytes
    buckets: range


class Sections:
    """The sections of a map by the names of tables, made of how many buckets each should have.

    The map is made with `buckets` and `code` of its sections. Raises RecordError for more than
    65,536 tables.
    """

    __slots__ = ("_places", "_sections", "buckets")

    def __init__(self, sizes: Mapping[bytes, int]) -> None:
        if len(sizes) > 1 << (8 * _PREFIX):
            raise RecordError(f"{len(sizes)} tables are too many for one map")
        # The largest first, so that each begins at a multiple of its size.
        widths = {name: power_of_two(sizes[name]) for name in sizes}
        ordered = sorted(widths, key=lambda name: widths[name], reverse=True)
        self.buckets = power_of_two(sum(widths.values()))
        self._sections: dict[bytes, Section] = {}
        self._places: dict[bytes, tuple[int, int]] = {}
        begin = 0
        for number, name in enumerate(ordered):
            prefix, width = number.to_bytes(_PREFIX, "little"), widths[name]
            self._sections[name] = Section(prefix, range(begin, begin + width))
            self._places[prefix] = (_ALL & ~(self.buckets - 1) | (width - 1), begin)
            begin += width

    def section(self, name: bytes) -> Section:
        """Give the section of a table; KeyError when there is none of this name."""
        return self._sections[name]

    def code(self, key: bytes) -> int:
        """Give the hash of a key, which leads to a bucket of its table's section."""
        kept, begin = self._places[key[:_PREFIX]]
        return crc32(key) & kept | begin
