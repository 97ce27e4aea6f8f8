"""The form `address~port~protocol` in which a URI parameter says where its user really is.

Owns its reading; which parameter holds it is the modules'.
"""

from __future__ import annotations

TRANSPORTS = {1: b"udp", 2: b"tcp", 3: b"tls", 4: b"sctp", 5: b"ws", 6: b"ws"}
"""Transports by Kamailio's protocol numbers, as a URI names them."""


def parse_alias(text: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return address, port and transport of an alias; None when it is none."""
    parts = text.split(b"~")
    if len(parts) != 3 or not parts[0] or not parts[1].isdigit() or len(parts[1]) > 5:
        return None
    transport = TRANSPORTS.get(int(parts[2])) if parts[2].isdigit() else None
    return None if transport is None else (parts[0], parts[1], transport)


def alias_uri(text: bytes, always_named: bool = False) -> bytes | None:
    """Return an alias as a SIP URI, the transport named unless it is UDP; None when it is none."""
    found = parse_alias(text)
    if found is None:
        return None
    host, port, transport = found
    if transport == b"udp" and not always_named:
        return b"sip:%b:%b" % (host, port)
    return b"sip:%b:%b;transport=%b" % found
