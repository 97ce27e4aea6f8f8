"""A command as scripts write it, split into words: owns that notation (hiredis's), runs nothing.

What a placeholder stands for is one word, or a part of one, whatever is in it: only spaces of the
text itself part words, and quotes mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLACEHOLDER = re.compile(rb"%([%sb])")

# They would leave a connection that others use in another state, or without replies.
_REFUSED = frozenset(
    (
        b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE",
        b"SUNSUBSCRIBE", b"MONITOR", b"SYNC", b"PSYNC", b"HELLO", b"AUTH", b"QUIT", b"RESET",
    )
)  # fmt: skip
_REFUSED_OF_CLIENT = frozenset((b"REPLY", b"TRACKING"))

Words = tuple[bytes, ...]


class CommandError(Exception):
    """A command that is not run; the text says why and holds none of its values."""


def split_command(text: bytes, values: Sequence[bytes] = ()) -> Words:
    """Return the words of a command, each %s (or %b) in it replaced by the next of the values.

    %% is a %; one that stands for nothing else is itself.  Values too many are left out.  Raises
    CommandError when there are too few, and for commands that cannot share a connection.
    """
    parts = [part for part in text.split(b" ") if part]
    if not parts:
        raise CommandError("a command is empty")
    words = tuple(parts) if b"%" not in text else _filled(parts, values)
    name = words[0].upper()
    if name in _REFUSED or (
        name == b"CLIENT" and len(words) > 1 and words[1].upper() in _REFUSED_OF_CLIENT
    ):
        raise CommandError(f"{name.decode()} cannot be used over connections that requests share")
    return words


def _filled(parts: list[bytes], values: Sequence[bytes]) -> Words:
    left = iter(values)

    def fill(match: re.Match[bytes]) -> bytes:
        if match.group(1) == b"%":
            return b"%"
        value = next(left, None)
        if value is None:
            raise CommandError("a command has more placeholders than values")
        return value

    return tuple(_PLACEHOLDER.sub(fill, part) for part in parts)
