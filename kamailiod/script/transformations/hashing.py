"""{s.md5}, {s.sha*}, {s.crc32}, {s.corehash}: digests and checksums of a text.

Owns their names; the work is hashlib's and zlib's, except Kamailio's own core hash.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import integer, plain_text

_SHA3 = {224: hashlib.sha3_224, 256: hashlib.sha3_256, 384: hashlib.sha3_384, 512: hashlib.sha3_512}


def _digest(name: str) -> Callable[[Value], Value]:
    return lambda value: hashlib.new(name, plain_text(value)).hexdigest().encode()


def _sha3(value: Value, bits: Value) -> Value:
    make = _SHA3.get(integer(bits))
    return None if make is None else make(plain_text(value)).hexdigest().encode()


def _crc32(value: Value) -> Value:
    return b"%d" % zlib.crc32(plain_text(value))


def core_hash(text: bytes, size: int = 0, further: bytes = b"") -> int:
    """Return Kamailio's hash of a text, a slot below `size` (a power of two) unless that is 0.

    Big-endian words of four bytes, the rest as words of three, two and one, each folded in; a
    further text is folded in behind it, by words of its own.
    """
    total = 0
    for part in (text, further):
        whole = len(part) & ~3
        words = [part[place : place + 4] for place in range(0, whole, 4)]
        words.append(part[whole:])
        for word in words:
            number = 0
            for octet in word:
                # Kamailio reads signed characters.
                number = (number << 8) + (octet - 256 if octet > 127 else octet) & 0xFFFFFFFF
            total = (total + (number ^ (number >> 3))) & 0xFFFFFFFF
    total = (total + (total >> 11) + (total >> 13) + (total >> 23)) & 0xFFFFFFFF
    return total & (size - 1) if size else total


def _core_hash(value: Value, size: Value = None) -> Value:
    slots = integer(size)
    if slots > 1:
        slots = 1 << (slots.bit_length() - 1)
    return b"%d" % core_hash(plain_text(value), max(slots, 0))


OPERATIONS = {
    **{
        b"s." + name.encode(): Operation(_digest(name))
        for name in ("md5", "sha1", "sha256", "sha384", "sha512")
    },
    b"s.sha3": Operation(_sha3, 1),
    b"s.crc32": Operation(_crc32),
    b"s.corehash": Operation(_core_hash, 0, 1),
}
