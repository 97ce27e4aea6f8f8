"""Which worker owns a call: a hash over the first bytes of its Call-ID.

Owns the hash in Python; steering.py has the same for the kernel.
"""

from __future__ import annotations

import struct

HASHED_BYTES = 16
MULTIPLIER = 0x9E3779B1
FINISHER = 0x85EBCA6B
MASK = 0xFFFFFFFF
_WORDS = struct.Struct(">4I")


def owner_rank(call_id: bytes, workers: int, offset: int = 0) -> int:
    """Return the rank (1..workers) of the worker that owns a Call-ID.

    16 bytes from `offset` on are hashed; a shorter Call-ID is padded with zeros.
    """
    if workers == 1:
        return 1
    a, b, c, d = _WORDS.unpack(call_id[offset : offset + HASHED_BYTES].ljust(HASHED_BYTES, b"\0"))
    mixed = (((a * MULTIPLIER + b) * MULTIPLIER + c) * MULTIPLIER + d) & MASK
    mixed ^= mixed >> 16
    mixed = (mixed * FINISHER) & MASK
    mixed ^= mixed >> 13
    return int(mixed % workers) + 1
