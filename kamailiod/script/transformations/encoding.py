"""{s.encode.*} and {s.decode.*}: hexadecimal, GSM 7 bit, base58, base64 and its relatives.

Owns their rules of padding; input that is no such encoding decodes to nothing.
"""

from __future__ import annotations

import base64
import binascii

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text

_BASE58 = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _encode_hexadecimal(value: Value) -> Value:
    return binascii.hexlify(plain_text(value))


def _decode_hexadecimal(value: Value) -> Value:
    text = plain_text(value)
    try:
        return binascii.unhexlify(text[: len(text) & ~1])
    except binascii.Error:
        return None


def _encode_7bit(value: Value) -> Value:
    # Septets are packed from the low bits up (3GPP TS 23.038 6.1.2.1.1).
    text = plain_text(value)
    packed = sum((octet & 0x7F) << 7 * place for place, octet in enumerate(text))
    return packed.to_bytes((7 * len(text) + 7) // 8, "little").hex().upper().encode()


def _decode_7bit(value: Value) -> Value:
    octets = _decode_hexadecimal(value)
    if not isinstance(octets, bytes):
        return None
    packed = int.from_bytes(octets, "little")
    count = len(octets) * 8 // 7
    return bytes(packed >> 7 * place & 0x7F for place in range(count))


def _encode_base58(value: Value) -> Value:
    text = plain_text(value)
    number = int.from_bytes(text, "big")
    digits = bytearray()
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    digits.extend(b"1" * (len(text) - len(text.lstrip(b"\0"))))
    return bytes(reversed(digits))


def _decode_base58(value: Value) -> Value:
    text = plain_text(value)
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(b"1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _encode_base64(value: Value) -> Value:
    return base64.b64encode(plain_text(value))


def _decode_base64(value: Value) -> Value:
    return _decode(plain_text(value), None)


def _encode_base64_trimmed(value: Value) -> Value:
    return base64.b64encode(plain_text(value)).rstrip(b"=")


def _decode_base64_trimmed(value: Value) -> Value:
    return _decode(_padded(plain_text(value)), None)


def _encode_base64url(value: Value) -> Value:
    return base64.urlsafe_b64encode(plain_text(value))


def _decode_base64url(value: Value) -> Value:
    return _decode(_padded(plain_text(value)), b"-_")


def _encode_base64url_trimmed(value: Value) -> Value:
    return base64.urlsafe_b64encode(plain_text(value)).rstrip(b"=")


def _padded(text: bytes) -> bytes:
    return text + b"=" * (-len(text) % 4)


def _decode(text: bytes, alternatives: bytes | None) -> Value:
    try:
        return base64.b64decode(text, alternatives, validate=True)
    except binascii.Error:
        return None


ENCODINGS = {
    b"s.encode.hexa": Operation(_encode_hexadecimal),
    b"s.decode.hexa": Operation(_decode_hexadecimal),
    b"s.encode.7bit": Operation(_encode_7bit),
    b"s.decode.7bit": Operation(_decode_7bit),
    b"s.encode.base58": Operation(_encode_base58),
    b"s.decode.base58": Operation(_decode_base58),
    b"s.encode.base64": Operation(_encode_base64),
    b"s.decode.base64": Operation(_decode_base64),
    b"s.encode.base64t": Operation(_encode_base64_trimmed),
    b"s.decode.base64t": Operation(_decode_base64_trimmed),
    b"s.encode.base64url": Operation(_encode_base64url),
    b"s.decode.base64url": Operation(_decode_base64url),
    b"s.encode.base64urlt": Operation(_encode_base64url_trimmed),
    b"s.decode.base64urlt": Operation(_decode_base64url),
}
