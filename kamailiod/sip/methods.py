"""Kamailio's bit of each request method: $rmid, ul.dump, xlog's methods_filter."""

from __future__ import annotations

_METHODS = (
    b"INVITE CANCEL ACK BYE INFO REGISTER SUBSCRIBE NOTIFY MESSAGE OPTIONS PRACK UPDATE REFER "
    b"PUBLISH"
).split()

METHOD_BITS = {method: 1 << position for position, method in enumerate(_METHODS)}
"""The bit of each method that Kamailio knows."""

OTHER_METHOD_BIT = 1 << len(_METHODS)
"""The bit of every other method."""
