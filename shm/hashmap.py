"""The hash map that all processes share: bytes to bytes with an expiry, whatever they mean.

Writers hold the lock of one stripe of buckets; readers hold none. A new record is written beside
the old one and published by one aligned store; then the stripe's version is raised, and only then
is the old record's memory given back. A reader that finds the version unchanged after it copied a
record therefore copied a whole one. A writer killed between any two of these steps leaves the old
or the new record, at worst one unreachable block, and a lock that the next writer takes over. A
small block that a replaced record lay in stays with its stripe for the next one that fits, so that
records refreshed at one size do not touch the heap and its one lock.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final

from shm.allocator import Allocator, Usage
from shm.chain import ABSENT, TORN, Chains, Record, hash_of
from shm.change import KEEP, Change, Keep
from shm.errors import CorruptError, SegmentFullError, ShmError
from shm.layout import (
    CACHE_LINE,
    MAP_HEADER,
    MAP_HEADER_FIELDS,
    MAP_LOCKS,
    MAP_SWEPT,
    RECORD,
    RECORD_SIZE,
    SMALL_BLOCK,
    STRIPE_COUNT,
    STRIPE_EARLIEST,
    STRIPE_SLOT,
    STRIPE_SPARE,
    STRIPE_WEIGHT,
    WORD,
    aligned,
    power_of_two,
)
from shm.lock import LockTable
from shm.segment import Origin, Segment
from shm.stripe import Stripes
from shm.verification import map_faults, reachable

__all__ = ["KEEP", "Change", "HashMap", "Keep"]


_STRIPES: Final = 1024
_VERSION_STEP: Final = STRIPE_SLOT // WORD
_COUNT: Final = STRIPE_COUNT // WORD
_EARLIEST: Final = STRIPE_EARLIEST // WORD
_SPARE: Final = STRIPE_SPARE // WORD
_WEIGHT: Final = STRIPE_WEIGHT // WORD
_SLACK: Final = 64
# Loads and stores must not be reordered by the processor: elsewhere readers take the lock.
_ATTEMPTS: Final = range(16 if platform.machine() in ("x86_64", "AMD64") else 0)
_pack: Final = RECORD.pack
_unpack: Final = RECORD.unpack_from


class HashMap:
    """A hash map that fills its segment; forked processes use one object, others attach theirs.

    `buckets` (rounded up to a power of two) should be no less than the expected records, as chains
    are not rebuilt. With `hash_length` only the first so many bytes of a key choose its bucket, for
    `matching`. Both are the creator's: who attaches takes what is there. `code` stands for crc32 as
    the hash of a key, `weigh` gives a value's weight (below 2 ** 32), for `weight()`; all users of
    a map must give the same. Expiries are unix seconds, 0 for never; an expired record stays
    visible until `pop_expired` or its owner removes it.
    """

    __slots__ = (
        "_chains",
        "_code",
        "_heads",
        "_heap",
        "_locks",
        "_mask",
        "_memory",
        "_stripe_mask",
        "_stripes",
        "_versions",
        "_weigh",
        "_words",
        "hash_length",
    )

    def __init__(
        self,
        segment: Segment,
        buckets: int = 65536,
        *,
        hash_length: int = 0,
        code: Callable[[bytes], int] | None = None,
        weigh: Callable[[bytes], int] | None = None,
    ) -> None:
        buckets = power_of_two(buckets)
        stripes = min(buckets, _STRIPES)
        shape = MAP_HEADER_FIELDS.unpack_from(segment.memory, MAP_HEADER)[:3]
        origin = segment.origin
        if origin is Origin.ATTACHED:
            buckets, stripes, hash_length = shape
            if not buckets:
                raise ShmError(f"{segment.name}: holds no map")
        elif shape != (buckets, stripes, hash_length):
            origin = Origin.CREATED
        self._memory = segment.memory
        self._words = segment.words
        self._code: Callable[[bytes], int] = code or hash_of(hash_length)
        self._weigh = weigh
        self._lay_out(segment, origin, buckets, stripes, hash_length)
        if origin is Origin.CREATED:
            fields = (buckets, stripes, hash_length, 0)
            MAP_HEADER_FIELDS.pack_into(segment.memory, MAP_HEADER, *fields)
        elif origin is Origin.KEPT:
            self._adopt()

    def _lay_out(
        self, segment: Segment, origin: Origin, buckets: int, stripes: int, hash_length: int
    ) -> None:
        states = MAP_LOCKS + LockTable.size(stripes)
        heads = states + Stripes.size(stripes)
        heap = aligned(heads + buckets * WORD, CACHE_LINE)
        if heap + Allocator.overhead() + CACHE_LINE > segment.size:
            raise ShmError(f"{segment.name}: {segment.size} bytes cannot hold {buckets} buckets")
        fresh = origin is Origin.CREATED
        if fresh:
            if not segment.reserve(MAP_HEADER, heap):
                raise SegmentFullError(f"{segment.name}: /dev/shm is full")
            segment.memory[MAP_HEADER:heap] = bytes(heap - MAP_HEADER)
        view = memoryview(segment.memory)[MAP_LOCKS:states]
        self._locks = LockTable(
            view, stripes, fresh=origin is not Origin.ATTACHED, repair=self._repair
        )
        self._chains = Chains(segment, heads, buckets, self._code)
        self._stripes = Stripes(segment, states, stripes, self._chains)
        self._heap = Allocator(
            segment, heap, segment.size, fresh=fresh, adopt=origin is Origin.KEPT
        )
        self._heads = heads // WORD
        self.hash_length = hash_length
        self._mask = buckets - 1
        self._stripe_mask = stripes - 1
        self._versions = states // WORD

    def _adopt(self) -> None:
        for stripe in range(self._stripes.count):
            self._stripes.recount(stripe)
        self._words[MAP_SWEPT // WORD] = 0
        self.sweep(force=True)

    @staticmethod
    def segment_size(buckets: int, heap: int) -> int:
        """Give the bytes of a segment with so many buckets and `heap` bytes for records."""
        buckets = power_of_two(buckets)
        stripes = min(buckets, _STRIPES)
        fixed = MAP_LOCKS + LockTable.size(stripes) + Stripes.size(stripes) + buckets * WORD
        return aligned(fixed, CACHE_LINE) + Allocator.overhead() + heap

    def get(self, key: bytes) -> bytes | None:
        """Give a key's value, or None."""
        found = self.lookup(key)
        return None if found is None else found[0]

    def lookup(self, key: bytes) -> tuple[bytes, int] | None:
        """Give a key's value and expiry, or None."""
        code = self._code(key)
        words, memory, length = self._words, self._memory, len(key)
        version_index = self._versions + (code & self._stripe_mask) * _VERSION_STEP
        head = self._heads + (code & self._mask)
        for _ in _ATTEMPTS:
            version = words[version_index]
            node = words[head]
            try:
                while node:
                    link, node_code, key_length, expires, value_length, _ = _unpack(memory, node)
                    begin = node + RECORD_SIZE
                    end = begin + length
                    if node_code == code and key_length == length and memory[begin:end] == key:
                        value = memory[end : end + value_length]
                        if words[version_index] == version:
                            return value, expires
                        break
                    if words[version_index] != version:
                        break
                    node = link
                else:
                    return None
            except TORN:
                continue
        return self._lookup_locked(key, code)

    def matching(self, prefix: bytes) -> list[Record]:
        """Give all records whose key starts with `prefix`, as of one moment.

        `prefix` has at least the map's hash length, which must not be 0.
        """
        bucket = self._chains.code(prefix) & self._mask
        return self._snapshot(bucket, prefix)

    def put(self, key: bytes, value: bytes, expires: int = 0) -> bool:
        """Set a key's value and expiry; False, and nothing changed, when there is no room."""
        code = self._code(key)
        stripe = code & self._stripe_mask
        self._locks.acquire(stripe)
        try:
            return self._store(key, code, value, expires, self._chains.find(key, code))
        finally:
            self._locks.release(stripe)

    def delete(self, key: bytes) -> bool:
        """Remove a key; False when it is not there."""
        code = self._code(key)
        stripe = code & self._stripe_mask
        self._locks.acquire(stripe)
        try:
            return self._remove(key, code)
        finally:
            self._locks.release(stripe)

    def update(self, key: bytes, function: Callable[[bytes | None, int], Change]) -> bool:
        """Replace a value by what `function(value, expiry)` gives; nobody writes it meanwhile.

        The function gets (None, 0) for a key that is not there, and returns a new value and expiry,
        (None, 0) to remove the key, or KEEP. It must be short and touch no other key. False, and
        nothing changed, when there is no room; what the function raises passes through.
        """
        code = self._code(key)
        stripe = code & self._stripe_mask
        words = self._words
        self._locks.acquire(stripe)
        try:
            found = link, node, expires, length = self._chains.find(key, code)
            old = None
            if length != ABSENT:
                begin = node + RECORD_SIZE + len(key)
                old = self._memory[begin : begin + length]
            version_index = self._versions + stripe * _VERSION_STEP
            version = words[version_index]
            change = function(old, expires)
            if change is KEEP:
                return True
            value, expires = change
            # The function may have written this key itself.
            if words[link] != node or words[version_index] != version:
                found = self._chains.find(key, code)
            if value is not None:
                return self._store(key, code, value, expires, found)
            self._remove(key, code)
            return True
        finally:
            self._locks.release(stripe)

    def locked(self, key: bytes) -> AbstractContextManager[None]:
        """Keep other processes from writing `key`; inside, only that key may be written.

        Nothing inside may wait for anything but the processor, nor fork.
        """
        code = self._code(key)
        return self._locks.held(code & self._stripe_mask)

    def records(self, prefix: bytes = b"", buckets: range | None = None) -> Iterator[Record]:
        """Go through all records whose key starts with `prefix`, in all or some buckets.

        It blocks nobody. What is there throughout comes once; what comes or goes meanwhile may be
        among it or not.
        """
        for bucket in self._chains.occupied(buckets or range(self.buckets)):
            yield from self._snapshot(bucket, prefix)

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Go through keys and values, as `records` does."""
        for record in self.records(prefix):
            yield record.key, record.value

    def expired(self, now: int, limit: int, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Give up to `limit` keys and values that expired by `now`, and leave them there.

        Looks only into stripes that may hold one, so it is cheap to call often.
        """
        return self._due(now, limit, prefix, remove=False)

    def pop_expired(self, now: int, limit: int, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Remove up to `limit` records that expired by `now`, and give their keys and values."""
        return self._due(now, limit, prefix, remove=True)

    def clear(self) -> None:
        """Remove every record."""
        for stripe in range(self._stripes.count):
            self._locks.acquire(stripe)
            try:
                for bucket in self._stripes.buckets(stripe):
                    for record in list(self._chains.records(bucket)):
                        self._remove(record.key, record.code)
                self._give_up_spare(self._versions + stripe * _VERSION_STEP + _SPARE)
            finally:
                self._locks.release(stripe)

    def sweep(self, *, force: bool = False) -> int:
        """Give back the blocks that killed processes leaked, and give their number.

        To be called after a process died: takes over its locks, and if it held any, stops the
        writers for as long as looking through the whole map takes. With `force` it looks in any
        case.
        """
        self._locks.acquire_all()
        try:
            recovered = self.recovered
            if not force and recovered == self._words[MAP_SWEPT // WORD]:
                return 0
            leaked = self._heap.recover(reachable(self._chains, self._stripes))
            self._words[MAP_SWEPT // WORD] = recovered
            return leaked
        finally:
            self._locks.release_all()

    def verify(self) -> None:
        """Raise CorruptError that names all broken invariants; a leaked block is one of them."""
        self._locks.acquire_all()
        try:
            faults = map_faults(self._chains, self._stripes, self._heap)
        finally:
            self._locks.release_all()
        if faults:
            raise CorruptError("; ".join(faults))

    def weight(self) -> int:
        """Give the sum of what `weigh` gave for all values, without looking at them."""
        return self._stripes.weight()

    def usage(self) -> Usage:
        """Give the figures of the memory that holds the records."""
        return self._heap.usage()

    @property
    def recovered(self) -> int:
        """How many times a lock was taken over from a dead process."""
        return self._locks.recovered + self._heap.recovered

    @property
    def buckets(self) -> int:
        """The number of buckets: a key is in the one of its hash modulo this."""
        return self._mask + 1

    def __len__(self) -> int:
        return self._stripes.total()

    def __bool__(self) -> bool:
        return True

    def _repair(self, stripe: int) -> None:
        self._stripes.recount(stripe)

    def _lookup_locked(self, key: bytes, code: int) -> tuple[bytes, int] | None:
        stripe = code & self._stripe_mask
        self._locks.acquire(stripe)
        try:
            _, node, expires, length = self._chains.find(key, code)
            if length == ABSENT:
                return None
            begin = node + RECORD_SIZE + len(key)
            return self._memory[begin : begin + length], expires
        finally:
            self._locks.release(stripe)

    def _snapshot(self, bucket: int, prefix: bytes) -> list[Record]:
        words, memory = self._words, self._memory
        stripe = bucket & self._stripe_mask
        version_index = self._versions + stripe * _VERSION_STEP
        for _ in _ATTEMPTS:
            found: list[Record] = []
            version = words[version_index]
            node = words[self._heads + bucket]
            try:
                while node and words[version_index] == version:
                    link, code, key_length, expires, value_length, _ = _unpack(memory, node)
                    begin = node + RECORD_SIZE
                    end = begin + key_length
                    key = memory[begin:end]
                    if key.startswith(prefix):
                        value = memory[end : end + value_length]
                        found.append(Record(node, code, key, value, expires))
                    node = link
            except TORN:
                continue
            if words[version_index] == version:
                return found
        self._locks.acquire(stripe)
        try:
            whole = list(self._chains.records(bucket))
        finally:
            self._locks.release(stripe)
        return [record for record in whole if record.key.startswith(prefix)]

    def _store(
        self, key: bytes, code: int, value: bytes, expires: int, found: tuple[int, int, int, int]
    ) -> bool:
        link, node, _, old_length = found
        words, memory = self._words, self._memory
        state = self._versions + (code & self._stripe_mask) * _VERSION_STEP
        key_length, length = len(key), len(value)
        weigh = self._weigh
        weight = 0 if weigh is None else weigh(value)
        size = RECORD_SIZE + key_length + length
        offset = self._take(state + _SPARE, size) if words[state + _SPARE] else 0
        if not offset:
            offset = self._heap.allocate(size)
            if not offset:
                return False
        following = node if old_length == ABSENT else words[node >> 3]
        header = _pack(following, code, key_length, expires, length, weight)
        memory[offset : offset + size] = header + key + value
        if expires:
            earliest = words[state + _EARLIEST]
            if not earliest or expires < earliest:
                words[state + _EARLIEST] = expires
        words[link] = offset
        if weigh is not None:
            lost = 0 if old_length == ABSENT else self._chains.weight(node)
            words[state + _WEIGHT] += weight - lost
        if old_length == ABSENT:
            words[state + _COUNT] += 1
        else:
            words[state] += 1
            self._put_by(state + _SPARE, node)
        return True

    def _take(self, spare_index: int, size: int) -> int:
        spare = self._words[spare_index]
        if size <= self._heap.room(spare) < size + _SLACK:
            self._words[spare_index] = 0
            return spare
        offset = self._heap.allocate(size)
        if not offset:
            self._give_up_spare(spare_index)
        return offset

    def _put_by(self, spare_index: int, node: int) -> None:
        if self._heap.room(node) > SMALL_BLOCK:
            self._heap.release(node)
            return
        spare = self._words[spare_index]
        self._words[spare_index] = node
        if spare:
            self._heap.release(spare)

    def _give_up_spare(self, spare_index: int) -> None:
        spare = self._words[spare_index]
        if spare:
            self._words[spare_index] = 0
            self._heap.release(spare)

    def _remove(self, key: bytes, code: int) -> bool:
        words, stripe = self._words, code & self._stripe_mask
        link, node, _, length = self._chains.find(key, code)
        if length == ABSENT:
            return False
        words[link] = words[node >> 3]
        words[self._versions + stripe * _VERSION_STEP] += 1
        self._stripes.remove(stripe, self._chains.weight(node))
        self._heap.release(node)
        return True

    def _due(
        self, now: int, limit: int, prefix: bytes, *, remove: bool
    ) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        for stripe in self._stripes.due(now):
            if len(found) >= limit:
                break
            self._locks.acquire(stripe)
            try:
                found += self._due_in(stripe, now, limit - len(found), prefix, remove)
            finally:
                self._locks.release(stripe)
        return found

    def _due_in(
        self, stripe: int, now: int, limit: int, prefix: bytes, remove: bool
    ) -> list[tuple[bytes, bytes]]:
        chains = self._chains
        found: list[tuple[bytes, bytes]] = []
        earliest = 0
        for bucket in self._stripes.buckets(stripe):
            for offset, code, expires, _ in list(chains.headers(bucket)):
                if 0 < expires <= now and len(found) < limit:
                    record = chains.read(offset)
                    if record.key.startswith(prefix):
                        found.append((record.key, record.value))
                        if remove:
                            self._remove(record.key, code)
                            continue
                if expires and not 0 < earliest <= expires:
                    earliest = expires
        self._stripes.set_earliest(stripe, earliest)
        return found
