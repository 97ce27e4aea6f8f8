"""What nearly every request within a dialog has: one Route, which is as we wrote it.

Owns that shortcut through RFC 3261 16.12; whatever looks different is left to module rr.
"""

from __future__ import annotations

from collections.abc import Sequence

from kamailiod.script.context import Context


class OwnRoute:
    """Knows how our Record-Route lines begin; `loose` is `;lr` as we write it.

    `records` are `host:port[;transport=x]` of the local sockets.
    """

    __slots__ = ("_loose", "_starts")

    def __init__(self, records: Sequence[bytes], loose: bytes) -> None:
        self._loose = loose
        self._starts = [b"<sip:" + record + loose for record in records]

    def take(self, context: Context) -> bytes | None:
        """Remove the only Route when we wrote it, and give its parameters; None otherwise."""
        message = context.message
        numbers = message.index[b"route"]
        body = message.header(b"route") or b""
        if len(numbers) > 1 or b";lr" in message.uri_text or body.count(b"<") > 1:
            return None
        for start in self._starts:
            length = len(start)
            if body.startswith(start) and body[-1:] == b">" and body[length : length + 1] in b";>":
                context.edits.replaced[numbers[0]] = None
                context.destination = b""
                return body[length - len(self._loose) : -1]
        return None
