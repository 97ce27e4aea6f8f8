"""Every offset of what lies in a segment, in one place, for Python and for a compiled kernel alike.

All numbers are little-endian and unsigned, all offsets are in bytes from the start of the segment
and 0 is "none". A structure owns the rest of its segment, from `PAYLOAD` on. It knows no behaviour.

    hash map:   segment header | map header | locks | stripe states | bucket heads | heap
    heap:       lock | control words and bins | blocks, each one header word and its payload
    counters:   segment header | counters header | rows, each a whole number of cache lines
"""

import struct
from typing import Final

LAYOUT_VERSION: Final = 3
CACHE_LINE: Final = 64
WORD: Final = 8

# Segment header: magic, layout version, size of the segment.
SEGMENT_MAGIC: Final = 0x4D48534F494C414B
SEGMENT_HEADER: Final = struct.Struct("<QQQ")
PAYLOAD: Final = 64

# Lock table: a slot is a pthread_mutex_t (40 bytes on x86-64, 48 on aarch64) and its recovery
# counter.
LOCK_SLOT: Final = 64
LOCK_RECOVERED: Final = 56

# Map header: buckets, stripes, hash length, recoveries seen by the last sweep.
MAP_HEADER: Final = PAYLOAD
MAP_HEADER_FIELDS: Final = struct.Struct("<QQQQ")
MAP_SWEPT: Final = MAP_HEADER + 24
MAP_LOCKS: Final = MAP_HEADER + CACHE_LINE

# Stripe state, a cache line: version, records, earliest expiry, spare block, weight of the records.
STRIPE_SLOT: Final = 64
STRIPE_VERSION: Final = 0
STRIPE_COUNT: Final = 8
STRIPE_EARLIEST: Final = 16
STRIPE_SPARE: Final = 24
STRIPE_WEIGHT: Final = 32

# Record: next, hash, key length, expiry in unix seconds, value length, weight; then key and value.
RECORD: Final = struct.Struct("<QIIQII")
RECORD_SIZE: Final = RECORD.size

# Heap control words, by their index behind the heap's lock slot.
HEAP_BEGIN: Final = 0
HEAP_END: Final = 1
HEAP_TOP: Final = 2
HEAP_USED: Final = 3
HEAP_MAX_USED: Final = 4
HEAP_FRAGMENTS: Final = 5
HEAP_BLOCKS: Final = 6
HEAP_FAILURES: Final = 7
HEAP_FREED: Final = 8
HEAP_RESERVED: Final = 9
HEAP_BINS: Final = 16
BINS: Final = 320
HEAP_CONTROL: Final = (HEAP_BINS + BINS) * WORD

# Block: a header word (size in bytes with the header, a multiple of 16, and the bit USED), then the
# payload; the first payload word of a free block links to the next free block of its bin.
USED: Final = 1
BLOCK_HEADER: Final = 8
BLOCK_UNIT: Final = 16
SMALL_BLOCK: Final = 1024

# Counters header: rows, columns, checksum of the names.
COUNTERS_HEADER: Final = PAYLOAD
COUNTERS_FIELDS: Final = struct.Struct("<QQQ")
COUNTERS_ROWS: Final = COUNTERS_HEADER + CACHE_LINE


def aligned(size: int, unit: int) -> int:
    """Round `size` up to a whole number of `unit`s, a power of two."""
    return (size + unit - 1) & -unit


def power_of_two(number: int) -> int:
    """Give the smallest power of two that is not below `number`."""
    return 1 << max(0, number - 1).bit_length()
