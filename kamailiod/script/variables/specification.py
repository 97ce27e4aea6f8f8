"""The syntax of pseudo-variables: `$name(inner)`, `$(name(inner)[index]{transformation})`, `$$`.

Owns reading specifications off a text; knows no variable by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A trailing dot ends a name, so that "from $fU." in a text means what it seems to mean.
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*|\?")
_BLANKS = b" \t\r\n"
_BRACKETS = {b"(": re.compile(rb"[()]"), b"[": re.compile(rb"[\[\]]"), b"{": re.compile(rb"[{}]")}

LONGEST = 2048
"""How many bytes a bracketed part may have."""

DEEPEST = 16
"""How deep brackets may be nested."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One specification as written: inner text, index and transformations unread, and its end."""

    name: bytes
    inner: bytes
    index: bytes
    transformations: bytes
    end: int


def parse(text: bytes, position: int = 0) -> Parsed | None:
    """Read the specification that begins with the "$" at a position; None when there is none."""
    if text[position : position + 1] != b"$":
        return None
    start = position + 1
    following = text[start : start + 1]
    if following == b"$":
        return Parsed(b"$", b"", b"", b"", start + 1)
    if following == b"(":
        return _parse_enclosed(text, start + 1)
    name = _NAME.match(text, start)
    if name is None:
        return None
    inner, end = _enclosed(text, name.end(), b"(")
    if end < 0:
        return None
    return Parsed(name.group(), inner, b"", b"", end)


def _parse_enclosed(text: bytes, position: int) -> Parsed | None:
    name = _NAME.match(text, position)
    if name is None:
        return None
    inner, end = _enclosed(text, name.end(), b"(")
    if end < 0:
        return None
    index, end = _enclosed(text, end, b"[")
    if end < 0:
        return None
    first = end
    while text[end : end + 1] == b"{":
        _, end = _enclosed(text, end, b"{")
        if end < 0:
            return None
    if text[end : end + 1] != b")":
        return None
    return Parsed(name.group(), inner, index.strip(_BLANKS), text[first:end], end + 1)


def _enclosed(text: bytes, position: int, opening: bytes) -> tuple[bytes, int]:
    # Returns what stands in the brackets at this position and the end behind them: the position
    # itself when no bracket opens there, -1 when it never closes.
    if text[position : position + 1] != opening:
        return b"", position
    end = closing(text, position)
    return (text[position + 1 : end], end + 1) if end >= 0 else (b"", -1)


def closing(text: bytes, position: int) -> int:
    """Return where the bracket that opens at a position closes, -1 when it never does.

    What is nested deeper or reaches farther than any script's own text is taken as never closed:
    a script may join what peers send to a text with variables.
    """
    opening = text[position : position + 1]
    depth = 0
    for match in _BRACKETS[opening].finditer(text, position, position + LONGEST):
        if match.group() == opening:
            depth += 1
            if depth > DEEPEST:
                return -1
        else:
            depth -= 1
            if depth == 0:
                return match.start()
    return -1
