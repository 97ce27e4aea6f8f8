"""The state of the hash map's stripes: what readers, the expiry, counts and writers keep of each.

A stripe is every n-th bucket, under one lock. It does not know the lock.
"""

from shm.chain import Chains
from shm.layout import (
    STRIPE_COUNT,
    STRIPE_EARLIEST,
    STRIPE_SLOT,
    STRIPE_SPARE,
    STRIPE_VERSION,
    STRIPE_WEIGHT,
    WORD,
)
from shm.segment import Segment

_COUNT = STRIPE_COUNT // WORD
_EARLIEST = STRIPE_EARLIEST // WORD
_SPARE = STRIPE_SPARE // WORD
_WEIGHT = STRIPE_WEIGHT // WORD
_SLOT = STRIPE_SLOT // WORD


class Stripes:
    """`count` stripes, a power of two, at the offset `begin` of a segment.

    The version changes before the memory of an unlinked record is used again, which tells readers.
    `earliest` is a lower bound of the expiries within (0: none expires), lowered before a record is
    published and raised only when the stripe is looked through, so that it holds after any crash.
    The spare block (0: none) is one that a record was replaced in: it is in use for the heap, and
    its word is cleared before a record goes into it and set after the old record was unlinked.
    """

    __slots__ = ("base", "chains", "count", "mask", "words")

    def __init__(self, segment: Segment, begin: int, count: int, chains: Chains) -> None:
        self.words = segment.words
        self.base = (begin + STRIPE_VERSION) // WORD
        self.count = count
        self.mask = count - 1
        self.chains = chains

    @staticmethod
    def size(count: int) -> int:
        """Give the bytes that the state of `count` stripes takes."""
        return count * STRIPE_SLOT

    def total(self) -> int:
        """Give the number of records in all stripes."""
        words, first = self.words, self.base + _COUNT
        return sum(words[first : self.base + self.count * _SLOT : _SLOT])

    def weight(self) -> int:
        """Give the weight of the records in all stripes."""
        words, first = self.words, self.base + _WEIGHT
        return sum(words[first : self.base + self.count * _SLOT : _SLOT])

    def weight_of(self, stripe: int) -> int:
        """Give the weight of the records in a stripe."""
        return self.words[self.base + stripe * _SLOT + _WEIGHT]

    def records(self, stripe: int) -> int:
        """Give the number of records in a stripe."""
        return self.words[self.base + stripe * _SLOT + _COUNT]

    def earliest(self, stripe: int) -> int:
        """Give the lower bound of the expiries in a stripe, 0 when none expires."""
        return self.words[self.base + stripe * _SLOT + _EARLIEST]

    def spares(self) -> set[int]:
        """Give the offsets of all spare blocks."""
        words, first = self.words, self.base + _SPARE
        spares = set(words[first : self.base + self.count * _SLOT : _SLOT])
        spares.discard(0)
        return spares

    def due(self, now: int) -> list[int]:
        """Give the stripes in which a record may have expired by `now`."""
        words, first = self.words, self.base + _EARLIEST
        bounds = words[first : self.base + self.count * _SLOT : _SLOT].tolist()
        return [stripe for stripe, bound in enumerate(bounds) if 0 < bound <= now]

    def remove(self, stripe: int, weight: int) -> None:
        """Count a record that went."""
        index = self.base + stripe * _SLOT
        self.words[index + _COUNT] -= 1
        self.words[index + _WEIGHT] -= weight

    def set_earliest(self, stripe: int, expires: int) -> None:
        """Set the bound, after looking through the whole stripe with its lock held."""
        self.words[self.base + stripe * _SLOT + _EARLIEST] = expires

    def buckets(self, stripe: int) -> list[int]:
        """Give the buckets of a stripe that are not empty."""
        return self.chains.occupied(range(stripe, self.chains.buckets, self.count))

    def recount(self, stripe: int) -> None:
        """Set all from what the chains hold, with the lock held; readers start again."""
        records, earliest, weight = 0, 0, 0
        for bucket in self.buckets(stripe):
            for _, _, expires, heavy in self.chains.headers(bucket):
                records += 1
                weight += heavy
                if expires and not 0 < earliest <= expires:
                    earliest = expires
        index = self.base + stripe * _SLOT
        self.words[index] += 1
        self.words[index + _COUNT] = records
        self.words[index + _EARLIEST] = earliest
        self.words[index + _WEIGHT] = weight
