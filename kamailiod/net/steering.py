"""The kernel program that delivers a datagram to the worker which owns its call.

Owns the hash of ownership.py as classic BPF on the SO_REUSEPORT group; both must agree, and
nothing but speed depends on this part.
"""

from __future__ import annotations

import socket
import struct
from ctypes import Structure, c_char_p, c_ushort

from kamailiod.net.ownership import FINISHER, MASK, MULTIPLIER

_NEEDLE = 0x6C2D4944  # "l-ID"
_FIRST_OFFSET = 20
_GROUP = 32
_SO_ATTACH_REUSEPORT_CBPF = 51

# Classic BPF opcodes (linux/bpf_common.h).
_LOAD_ABSOLUTE, _LOAD_INDEXED, _LOAD_MEMORY_X = 0x20, 0x40, 0x61
_LOAD_X_CONSTANT, _STORE, _TO_X, _TO_A = 0x01, 0x02, 0x07, 0x87
_JUMP, _JUMP_EQUAL, _JUMP_SET = 0x05, 0x15, 0x45
_ADD_X, _ADD, _SUBTRACT, _MULTIPLY, _SHIFT_RIGHT = 0x0C, 0x04, 0x14, 0x24, 0x74
_XOR, _XOR_X, _AND, _AND_X, _MODULO = 0xA4, 0xAC, 0x54, 0x5C, 0x94
_RETURN_A, _RETURN = 0x16, 0x06

Instruction = tuple[int, int, int, int]


def steering_program(workers: int, offset: int = 0, last_offset: int = 980) -> list[Instruction]:
    """Return the BPF program: find `l-ID`, hash what follows `Call-ID: `, return the index.

    A datagram without it in bytes 20 to `last_offset`, with odd spacing or with a Call-ID shorter
    than the hashed part goes to index 0: its worker hands it over.  A load beyond the end of the
    packet ends the program with 0, too.
    """
    starts = range(_FIRST_OFFSET, last_offset, _GROUP)
    program: list[Instruction] = []
    for start in starts:
        program += _scan_group(start)
    program.append((_RETURN, 0, 0, 0))
    shared_search = len(program)
    program += _search_from_x()
    program += _hash_at_x(workers, offset)
    return _resolve(program, shared_search)


def _scan_group(start: int) -> list[Instruction]:
    # Each match jumps to the landing pad at the group's end; a group without one jumps over it.
    lines: list[Instruction] = []
    for position in range(_GROUP):
        to_pad = 2 * (_GROUP - position) - 1
        lines.append((_LOAD_ABSOLUTE, 0, 0, start + position))
        lines.append((_JUMP_EQUAL, to_pad, 0, _NEEDLE))
    lines.append((_JUMP, 0, 0, 2))
    lines.append((_LOAD_X_CONSTANT, 0, 0, start))
    lines.append((_JUMP, 0, 0, -1))  # to the shared search, filled in by _resolve
    return lines


def _search_from_x() -> list[Instruction]:
    # Advances X to the match, which is known to be within the next 32 bytes.
    lines: list[Instruction] = []
    for position in range(_GROUP):
        lines.append((_LOAD_INDEXED, 0, 0, position))
        lines.append((_JUMP_EQUAL, 0, 3, _NEEDLE))
        lines.append((_TO_A, 0, 0, 0))
        lines.append((_ADD, 0, 0, position))
        lines.append((_JUMP, 0, 0, 5 * (_GROUP - position - 1) + 1))
    lines.append((_RETURN, 0, 0, 0))
    lines.append((_TO_X, 0, 0, 0))
    return lines


def _hash_at_x(workers: int, offset: int) -> list[Instruction]:
    first = 6 + offset
    lines: list[Instruction] = [
        (0x48, 0, 0, 4),  # half word behind "l-ID"
        (_JUMP_EQUAL, 1, 0, 0x3A20),  # ": "
        (_RETURN, 0, 0, 0),
    ]
    for word in range(4):
        lines += [
            (_LOAD_INDEXED, 0, 0, first + 4 * word),
            (_STORE, 0, 0, word),
            # A CR in the word: the Call-ID ends here.  Zero-byte test on word xor 0x0d0d0d0d.
            (_XOR, 0, 0, 0x0D0D0D0D),
            (_STORE, 0, 0, 4),
            (_TO_A, 0, 0, 0),
            (_STORE, 0, 0, 5),
            (_LOAD_MEMORY_A, 0, 0, 4),
            (_XOR, 0, 0, MASK),
            (_AND, 0, 0, 0x80808080),
            (_TO_X, 0, 0, 0),
            (_LOAD_MEMORY_A, 0, 0, 4),
            (_SUBTRACT, 0, 0, 0x01010101),
            (_AND_X, 0, 0, 0),
            (_LOAD_MEMORY_X, 0, 0, 5),
            (_JUMP_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, 0),
        ]
    lines.append((_LOAD_MEMORY_A, 0, 0, 0))
    for word in (1, 2, 3):
        lines += [(_MULTIPLY, 0, 0, MULTIPLIER), (_LOAD_MEMORY_X, 0, 0, word), (_ADD_X, 0, 0, 0)]
    return [
        *lines,
        (_TO_X, 0, 0, 0), (_SHIFT_RIGHT, 0, 0, 16), (_XOR_X, 0, 0, 0),
        (_MULTIPLY, 0, 0, FINISHER),
        (_TO_X, 0, 0, 0), (_SHIFT_RIGHT, 0, 0, 13), (_XOR_X, 0, 0, 0),
        (_MODULO, 0, 0, workers),
        (_RETURN_A, 0, 0, 0),
    ]  # fmt: skip


_LOAD_MEMORY_A = 0x60


def _resolve(program: list[Instruction], shared_search: int) -> list[Instruction]:
    return [
        (code, yes, no, shared_search - number - 1 if (code, value) == (_JUMP, -1) else value)
        for number, (code, yes, no, value) in enumerate(program)
    ]


class _Program(Structure):
    """struct sock_fprog; it keeps the instructions alive while the kernel reads them."""

    _fields_ = (("length", c_ushort), ("instructions", c_char_p))


def attach(group_member: socket.socket, workers: int, offset: int = 0) -> int:
    """Attach the program to the reuseport group of a socket; returns the last offset covered.

    Falls back to a shorter search where net.core.optmem_max is small; 0 when the kernel refuses.
    """
    for last_offset in (980, 660, 340):
        program = steering_program(workers, offset, last_offset)
        code = b"".join(struct.pack("=HBBI", *line) for line in program)
        try:
            group_member.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF,
                                    _Program(len(program), code))  # fmt: skip
        except OSError:
            continue
        return last_offset
    return 0
