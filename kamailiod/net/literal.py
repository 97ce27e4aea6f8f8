"""IP addresses as SIP and configs write them, to the octets that they stand for."""

from __future__ import annotations

import socket


def octets(text: bytes) -> bytes | None:
    """Return an IPv4 or IPv6 address, in brackets or not, as 4 or 16 octets; None for no address.

    Strict: no leading zeros, no missing parts, no zone.
    """
    literal = text.decode("ascii", "replace")
    if ":" not in literal:
        family = socket.AF_INET
    else:
        family = socket.AF_INET6
        if literal[0] == "[" and literal[-1] == "]":
            literal = literal[1:-1]
    try:
        return socket.inet_pton(family, literal)
    except (OSError, ValueError):
        return None
