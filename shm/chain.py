"""The buckets of a hash map and their chains of records; it takes no lock and writes nothing.

A record never changes once it is linked: what changes is the one word that points to it. Every
number of a record that a reader finds may be garbage if its memory was reused meanwhile, which the
version of the stripe tells afterwards; so readers survive any number.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from zlib import crc32

from shm.errors import CorruptError
from shm.layout import RECORD, RECORD_SIZE, WORD
from shm.segment import Segment

ABSENT: Final = -1
TORN: Final = (struct.error, IndexError, OverflowError, ValueError)

_unpack: Final = RECORD.unpack_from


class Record(NamedTuple):
    """A copy of one record, and the offset it lies at."""

    offset: int
    code: int
    key: bytes
    value: bytes
    expires: int


class Chains:
    """`buckets` chains of records, a power of two, whose heads lie at the offset `heads` of a
    segment.

    `code` gives the hash of a key, below 2 ** 32 and the same in every process; its lowest bits are
    the key's bucket.
    """

    __slots__ = ("buckets", "code", "heads", "mask", "memory", "words")

    def __init__(
        self, segment: Segment, heads: int, buckets: int, code: Callable[[bytes], int]
    ) -> None:
        self.memory: mmap.mmap = segment.memory
        self.words = segment.words
        self.heads = heads // WORD
        self.buckets = buckets
        self.mask = buckets - 1
        self.code = code

    def find(self, key: bytes, code: int) -> tuple[int, int, int, int]:
        """Give the index of the word linking to the key's record, the word, expiry, value length.

        For a key that is not there: the head of its bucket, what it links to, and 0, -1. The caller
        holds the stripe's lock.
        """
        words = self.words
        head = link = self.heads + (code & self.mask)
        first = node = words[link]
        if not node:
            return head, 0, 0, ABSENT
        memory, length = self.memory, len(key)
        while node:
            following, node_code, key_length, expires, value_length, _ = _unpack(memory, node)
            begin = node + RECORD_SIZE
            if node_code == code and key_length == length and memory[begin : begin + length] == key:
                return link, node, expires, value_length
            link = node >> 3
            node = following
        return head, first, 0, ABSENT

    def read(self, offset: int) -> Record:
        """Copy the record at an offset; may raise one of TORN when it is no longer a record."""
        _, code, key_length, expires, value_length, _ = _unpack(self.memory, offset)
        begin = offset + RECORD_SIZE
        middle = begin + key_length
        memory = self.memory
        value = memory[middle : middle + value_length]
        return Record(offset, code, memory[begin:middle], value, expires)

    def records(self, bucket: int) -> Iterator[Record]:
        """Give a bucket's records whole, otherwise as `headers` does."""
        for offset, _, _, _ in self.headers(bucket):
            yield self.read(offset)

    def headers(self, bucket: int) -> Iterator[tuple[int, int, int, int]]:
        """Give offset, hash, expiry and weight of a bucket's records, with the stripe's lock held.

        Raises CorruptError when the chain leaves the segment or does not end.
        """
        memory, left = self.memory, len(self.memory) // RECORD_SIZE
        node = self.words[self.heads + bucket]
        while node:
            try:
                link, code, _, expires, _, weight = _unpack(memory, node)
            except TORN as error:
                raise CorruptError(f"the chain of bucket {bucket} leaves the segment") from error
            yield node, code, expires, weight
            node = link
            left -= 1
            if not left:
                raise CorruptError(f"the chain of bucket {bucket} does not end")

    def weight(self, offset: int) -> int:
        """Give the weight of the record at an offset."""
        weight: int = _unpack(self.memory, offset)[5]
        return weight

    def occupied(self, buckets: range) -> list[int]:
        """Give those of the buckets that are not empty."""
        heads = self.heads
        found = self.words[heads + buckets.start : heads + buckets.stop : buckets.step].tolist()
        return [bucket for bucket, head in zip(buckets, found, strict=True) if head]


def hash_of(length: int) -> Callable[[bytes], int]:
    """Give the hash of the first `length` bytes of a key, or with 0 of all."""
    if not length:
        return crc32
    return lambda key: crc32(key[:length])
