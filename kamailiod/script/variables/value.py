"""Conversions between what pseudo-variables hold: text, integers, nothing.

Owns the rules of conversion only.
"""

from __future__ import annotations

import re

from kamailiod.script.context import Value

_NUMBER = re.compile(rb"\s*([+-]?[0-9]{1,19})\s*\Z")


def text(value: Value) -> bytes:
    """Return a value as it stands in a text: integers in decimal, nothing as `<null>`."""
    if isinstance(value, bytes):
        return value
    return b"<null>" if value is None else b"%d" % value


def plain_text(value: Value) -> bytes:
    """Return a value as text, nothing as the empty string."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else b"%d" % value


def integer(value: Value) -> int:
    """Return a value as integer, 0 unless all of a text is one decimal number."""
    return strict_integer(value) or 0


def strict_integer(value: Value) -> int | None:
    """Return a value as integer, None unless all of a text is one decimal number."""
    if not isinstance(value, bytes):
        return value
    match = _NUMBER.match(value)
    return int(match.group(1)) if match else None
