"""The hash that chooses a destination: Kamailio's numbers, so that the same calls go the same ways.

Owns the arithmetic and which part of a URI counts; what is hashed when is the algorithms'.
"""

from __future__ import annotations

from functools import lru_cache

from kamailiod.sip.uri import Uri

_MASK = 0xFFFFFFFF


@lru_cache(maxsize=4096)
def dispatch_hash(first: bytes, second: bytes = b"") -> int:
    """Return the hash of two texts, a positive 32-bit number (0 only for no text at all)."""
    if not first and not second:
        return 0
    value = (_sum(first) + _sum(second)) & _MASK
    value = (value + (value >> 11) + (value >> 13) + (value >> 23)) & _MASK
    return value or 1


def _sum(text: bytes) -> int:
    # Whole words, then what is left of the text: a text of whole words leaves a 0.
    whole = len(text) & ~3
    total = 0
    for at in range(0, whole, 4):
        word = int.from_bytes(text[at : at + 4], "big")
        total += word ^ word >> 3
    rest = int.from_bytes(text[whole:], "big")
    return total + (rest ^ rest >> 3)


def uri_keys(uri: Uri, user_only: bool) -> tuple[bytes, bytes]:
    """Return what of a URI is hashed: its user and, unless `user_only`, its host and port.

    The port counts only when it is written and not the default one of the scheme.
    """
    if user_only:
        return uri.user, b""
    default = 5061 if uri.scheme == b"sips" else 5060
    if uri.port and uri.port != default:
        return uri.user, b"%s:%d" % (uri.host, uri.port)
    return uri.user, uri.host
