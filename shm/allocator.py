"""A heap of variable-size blocks that a process killed at any instant cannot corrupt.

The truth is the walk over the blocks: each begins with one word, its size and whether it is used,
and every change of a border or of that bit is one store of one word. The bins of free blocks are a
cache of that walk, which is rebuilt when the owner of the heap's lock died. The allocator does not
know what lies in a block.
"""

from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Final

from shm.errors import CorruptError, SegmentFullError
from shm.layout import (
    BINS,
    BLOCK_HEADER,
    BLOCK_UNIT,
    CACHE_LINE,
    HEAP_BEGIN,
    HEAP_BINS,
    HEAP_BLOCKS,
    HEAP_CONTROL,
    HEAP_END,
    HEAP_FAILURES,
    HEAP_FRAGMENTS,
    HEAP_FREED,
    HEAP_MAX_USED,
    HEAP_RESERVED,
    HEAP_TOP,
    HEAP_USED,
    SMALL_BLOCK,
    USED,
    WORD,
    aligned,
)
from shm.lock import LockTable
from shm.segment import Segment

_RESERVE_STEP: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """The state of a heap in bytes, with the fields of Kamailio's core.shmmem.

    `used` is what blocks hold, `real_used` that and all overhead, `max_used` the highest
    `real_used` so far, `fragments` the number of free blocks; `failures` counts the allocations
    that found no room.
    """

    total: int
    used: int
    real_used: int
    max_used: int
    free: int
    fragments: int
    failures: int

    @classmethod
    def summed(cls, usages: "Iterable[Usage]") -> "Usage":
        """Give the sum of several heaps."""
        listed = list(usages)
        return cls(*(sum(getattr(usage, part.name) for usage in listed) for part in fields(cls)))


class Allocator:
    """The heap between the offsets `begin` and `end` of a segment, for any number of processes.

    With `fresh` it is made anew; with `adopt` an existing heap, which no process uses, gets a new
    lock and new bins; with neither it is used as another process made it. `begin` must be aligned
    to a cache line.
    """

    __slots__ = ("_bins", "_control", "_locks", "_segment", "_words")

    def __init__(
        self, segment: Segment, begin: int, end: int, *, fresh: bool = True, adopt: bool = False
    ) -> None:
        self._segment = segment
        self._words = words = segment.words
        control = aligned(begin, CACHE_LINE) + LockTable.size(1)
        self._bins = control // WORD + HEAP_BINS
        self._control = words[control // WORD : self._bins]
        first = control + HEAP_CONTROL
        end &= -BLOCK_UNIT
        if first + CACHE_LINE > end:
            raise ValueError(f"a heap needs at least {self.overhead() + CACHE_LINE} bytes")
        view = memoryview(segment.memory)[begin : begin + LockTable.size(1)]
        self._locks = LockTable(view, 1, fresh=fresh or adopt, repair=lambda _: self._rebuild())
        if (fresh or adopt) and not segment.reserve(begin, first):
            raise SegmentFullError(f"{segment.name}: /dev/shm is full")
        if fresh:
            segment.memory[control:first] = bytes(HEAP_CONTROL)
            self._control[HEAP_BEGIN] = self._control[HEAP_TOP] = first
            self._control[HEAP_RESERVED] = first
            self._control[HEAP_END] = end
        elif adopt:
            self._rebuild()

    @staticmethod
    def overhead() -> int:
        """Give the bytes of a heap that are never part of a block."""
        return LockTable.size(1) + HEAP_CONTROL

    @property
    def recovered(self) -> int:
        """How many times the heap's lock was taken over from a dead process."""
        return self._locks.recovered

    def allocate(self, size: int) -> int:
        """Give the offset, aligned to 8, of a new block for `size` bytes, or 0 without room."""
        need = (size + BLOCK_HEADER + BLOCK_UNIT - 1) & -BLOCK_UNIT
        if need > SMALL_BLOCK:
            need = _rounded(need)
            bin_index = self._bins + _bin(need)
        else:
            if need < 2 * BLOCK_UNIT:
                need = 2 * BLOCK_UNIT
            bin_index = self._bins + need // BLOCK_UNIT
        words, control = self._words, self._control
        self._locks.acquire(0)
        try:
            block = words[bin_index]
            if block:
                words[bin_index] = words[(block >> 3) + 1]
                control[HEAP_FRAGMENTS] -= 1
                need = words[block >> 3]
                words[block >> 3] = need | USED
            elif (block := control[HEAP_TOP]) + need <= control[HEAP_RESERVED]:
                # The block begins to be one, and in use, when the top rises above it.
                words[block >> 3] = need | USED
                control[HEAP_TOP] = block + need
            else:
                block = self._cut(bin_index, need)
                if not block:
                    control[HEAP_FAILURES] += 1
                    return 0
                need = words[block >> 3]
                words[block >> 3] = need | USED
            control[HEAP_BLOCKS] += 1
            control[HEAP_USED] = used = control[HEAP_USED] + need
            if used > control[HEAP_MAX_USED]:
                control[HEAP_MAX_USED] = used
            return block + BLOCK_HEADER
        finally:
            self._locks.release(0)

    def release(self, offset: int) -> None:
        """Give back a block that `allocate` gave; raises CorruptError when it is not in use."""
        words, control, index = self._words, self._control, (offset - BLOCK_HEADER) >> 3
        self._locks.acquire(0)
        try:
            size = words[index]
            if not size & USED:
                raise CorruptError(f"block {offset} is released and not in use")
            size -= USED
            words[index] = size
            self._push(offset - BLOCK_HEADER, size)
            control[HEAP_BLOCKS] -= 1
            control[HEAP_USED] -= size
            control[HEAP_FREED] += size
        finally:
            self._locks.release(0)

    def room(self, offset: int) -> int:
        """Give how many bytes a block in use can hold: no less than were asked for."""
        return self._words[(offset - BLOCK_HEADER) >> 3] - USED - BLOCK_HEADER

    def usage(self) -> Usage:
        """Give the figures of this moment."""
        control = self._control
        end, begin = control[HEAP_END], control[HEAP_BEGIN]
        overhead = self.overhead()
        total = end - begin + overhead
        held = control[HEAP_USED]
        return Usage(
            total=total,
            used=max(0, held - control[HEAP_BLOCKS] * BLOCK_HEADER),
            real_used=held + overhead,
            max_used=control[HEAP_MAX_USED] + overhead,
            free=total - held - overhead,
            fragments=control[HEAP_FRAGMENTS],
            failures=control[HEAP_FAILURES],
        )

    def recover(self, reachable: Container[int]) -> int:
        """Free every used block whose offset is not in `reachable`, and give how many there were.

        The caller sees to it that nobody allocates, releases or publishes a block meanwhile.
        """
        leaked = 0
        self._locks.acquire(0)
        try:
            for block, size, used in self._walk():
                if used and block + BLOCK_HEADER not in reachable:
                    self._words[block >> 3] = size
                    leaked += 1
            if leaked:
                self._rebuild()
        finally:
            self._locks.release(0)
        return leaked

    def faults(self, reachable: Collection[int]) -> list[str]:
        """Name every broken invariant, as a block neither free nor in `reachable`, or both."""
        self._locks.acquire(0)
        try:
            return self._faults(reachable)
        except CorruptError as error:
            return [str(error)]
        finally:
            self._locks.release(0)

    def _cut(self, bin_index: int, need: int) -> int:
        return (
            self._carve(need) or self._split(bin_index, need) or self._compact(bin_index, need)
        )

    def _carve(self, need: int) -> int:
        words, control = self._words, self._control
        block = control[HEAP_TOP]
        if block + need > control[HEAP_RESERVED] and not self._reserve(block + need):
            return 0
        words[block >> 3] = need
        control[HEAP_TOP] = block + need
        return block

    def _reserve(self, need: int) -> bool:
        # In steps, as a page that /dev/shm cannot give when it is touched is SIGBUS.
        control = self._control
        end = min(max(need, control[HEAP_RESERVED] + _RESERVE_STEP), control[HEAP_END])
        if need > end or not self._segment.reserve(control[HEAP_RESERVED], end):
            return False
        control[HEAP_RESERVED] = end
        return True

    def _split(self, bin_index: int, need: int) -> int:
        words = self._words
        for index in range(bin_index, self._bins + BINS):
            if block := words[index]:
                break
        else:
            return 0
        words[index] = words[(block >> 3) + 1]
        self._control[HEAP_FRAGMENTS] -= 1
        rest = words[block >> 3] - need
        if rest >= 2 * BLOCK_UNIT:
            # The rest's header is written first: until the block shrinks, it is only payload.
            words[(block + need) >> 3] = rest
            words[block >> 3] = need
            self._push(block + need, rest)
        return block

    def _compact(self, bin_index: int, need: int) -> int:
        control = self._control
        heap = control[HEAP_END] - control[HEAP_BEGIN]
        # Joining walks the heap, so a full one is walked again only after a good part of it was
        # freed.
        if control[HEAP_FREED] < max(need, heap >> 6):
            return 0
        self._rebuild()
        return self._carve(need) or self._split(bin_index, need)

    def _push(self, block: int, size: int) -> None:
        words = self._words
        index = self._bins + (size // BLOCK_UNIT if size <= SMALL_BLOCK else _bin(size))
        words[(block >> 3) + 1] = words[index]
        words[index] = block
        self._control[HEAP_FRAGMENTS] += 1

    def _walk(self) -> Iterator[tuple[int, int, bool]]:
        words = self._words
        block, top = self._control[HEAP_BEGIN], self._control[HEAP_TOP]
        while block < top:
            header = words[block >> 3]
            size = header & ~USED
            if size < 2 * BLOCK_UNIT or size % BLOCK_UNIT or block + size > top:
                raise CorruptError(f"block {block} has the size {size}")
            yield block, size, bool(header & USED)
            block += size

    def _rebuild(self) -> None:
        words, control = self._words, self._control
        for index in range(self._bins, self._bins + BINS):
            words[index] = 0
        control[HEAP_FRAGMENTS] = control[HEAP_FREED] = 0
        used = blocks = run = 0
        for block, size, in_use in list(self._walk()):
            if in_use:
                if run:
                    self._join(run, block)
                used, blocks, run = used + size, blocks + 1, 0
            elif not run:
                run = block
        if run:
            control[HEAP_TOP] = run
        control[HEAP_USED], control[HEAP_BLOCKS] = used, blocks

    def _join(self, begin: int, end: int) -> None:
        self._words[begin >> 3] = end - begin
        self._push(begin, end - begin)

    def _faults(self, reachable: Collection[int]) -> list[str]:
        words, control = self._words, self._control
        faults: list[str] = []
        free: dict[int, int] = {}
        held = 0
        unknown = set(reachable)
        for block, size, used in self._walk():
            unknown.discard(block + BLOCK_HEADER)
            if used:
                held += size
                if block + BLOCK_HEADER not in reachable:
                    faults.append(f"block {block} is used and not reachable")
            else:
                free[block] = size
                if block + BLOCK_HEADER in reachable:
                    faults.append(f"block {block} is free and reachable")
        if held != control[HEAP_USED]:
            faults.append(f"{held} bytes are used, {control[HEAP_USED]} counted")
        if len(free) != control[HEAP_FRAGMENTS]:
            faults.append(f"{len(free)} blocks are free, {control[HEAP_FRAGMENTS]} counted")
        for index in range(BINS):
            block = words[self._bins + index]
            while block:
                if _bin(free.pop(block, 0)) != index:
                    faults.append(f"block {block} is in bin {index}")
                    break
                block = words[(block >> 3) + 1]
        faults += [f"block {block} is free and in no bin" for block in free]
        return faults + [f"{offset} is reachable and no block" for offset in unknown]


def _rounded(size: int) -> int:
    step = 1 << (size.bit_length() - 4)
    return (size + step - 1) & -step


def _bin(size: int) -> int:
    # Up to SMALL_BLOCK a bin for each size, above it eight for each power of two.
    if size <= SMALL_BLOCK:
        return size // BLOCK_UNIT
    power = size.bit_length() - 1
    return SMALL_BLOCK // BLOCK_UNIT + 8 * (power - 10) + ((size >> (power - 3)) & 7) + 1
