r"""{re.subst,/expression/replacement/flags}: substitution by regular expression.

Owns Kamailio's notation: any delimiter, flags i and g, references \0 to \9.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.script.context import Value
from kamailiod.script.variables.value import plain_text

_REFERENCE = re.compile(rb"\\(.)", re.DOTALL)


def compile(source: bytes) -> Callable[[Value], Value] | None:
    """Compile `/expression/replacement/flags`; None when it is malformed."""
    parts = _cut(source)
    if parts is None:
        return None
    expression, replacement, flags = parts
    if flags.strip(b"igs"):
        return None
    try:
        pattern = re.compile(expression, re.IGNORECASE if b"i" in flags else 0)
    except re.error:
        return None
    count = 0 if b"g" in flags else 1
    pieces = _REFERENCE.split(replacement)

    def replace(value: Value) -> Value:
        if value is None or value == b"":
            return None
        return pattern.sub(lambda match: _filled(match, pieces), plain_text(value), count)

    return replace


def _cut(source: bytes) -> list[bytes] | None:
    delimiter = re.escape(source[:1])
    parts = re.split(rb"(?<!\\)" + delimiter, source[1:]) if delimiter else []
    return parts if len(parts) == 3 else None


def _filled(match: re.Match[bytes], pieces: list[bytes]) -> bytes:
    # Every second piece is the character behind a backslash.
    filled = []
    for place, piece in enumerate(pieces):
        if place % 2 == 0:
            filled.append(piece)
        elif piece.isdigit():
            number = int(piece)
            filled.append(match.group(number) or b"" if number <= match.re.groups else b"")
        else:
            filled.append({b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(piece, piece))
    return b"".join(filled)
