"""The pending changes of one message: what Kamailio calls lumps.

Owns which lines are dropped, replaced or added; the received bytes are never changed, and what no
edit touches leaves byte-identical.
"""

from __future__ import annotations

from kamailiod.sip.header_names import canonical
from kamailiod.sip.message import SipMessage


class Edits:
    """Changes by line number of a message; None replaces a line by nothing.

    `top` holds new header lines before the first header, `before` and `after` those around a
    line, `end` those behind the last header; `body` replaces the body unless None.
    """

    __slots__ = ("after", "before", "body", "end", "replaced", "top")

    def __init__(self) -> None:
        self.replaced: dict[int, bytes | None] = {}
        self.before: dict[int, list[bytes]] = {}
        self.after: dict[int, list[bytes]] = {}
        self.top: list[bytes] = []
        self.end: list[bytes] = []
        self.body: bytes | None = None

    def __bool__(self) -> bool:
        """Whether there is any change."""
        return bool(
            self.replaced or self.end or self.top or self.before or self.after
            or self.body is not None
        )

    def copy(self) -> Edits:
        """Return an independent copy, for one branch of a fork."""
        other = Edits()
        other.replaced = self.replaced.copy()
        if self.before:
            other.before = {number: list(lines) for number, lines in self.before.items()}
        if self.after:
            other.after = {number: list(lines) for number, lines in self.after.items()}
        other.top = self.top.copy()
        other.end = self.end.copy()
        other.body = self.body
        return other

    def remove_header(self, message: SipMessage, name: bytes) -> int:
        """Drop every header of a name; returns how many there were."""
        numbers = message.index.get(canonical(name), ())
        for number in numbers:
            self.replaced[number] = None
        return len(numbers)

    def line(self, message: SipMessage, number: int) -> bytes | None:
        """Return a line as it now stands, None when dropped."""
        return self.replaced.get(number, message.lines[number])

    def header_lines(self, message: SipMessage) -> list[bytes]:
        """Return all header lines as they will be sent, without start line."""
        lines = message.lines
        replaced = self.replaced
        if not self.before and not self.after:
            if not replaced:
                return [*self.top, *lines[1:], *self.end]
            kept = lines.copy()
            for number in sorted(replaced, reverse=True):
                line = replaced[number]
                if line is None:
                    del kept[number]
                else:
                    kept[number] = line
            del kept[0]
            return [*self.top, *kept, *self.end]
        return self._interleaved(lines)

    def _interleaved(self, lines: list[bytes]) -> list[bytes]:
        result = list(self.top)
        for number, line in enumerate(lines):
            if number == 0:
                continue
            result.extend(self.before.get(number, ()))
            kept = self.replaced.get(number, line)
            if kept is not None:
                result.append(kept)
            result.extend(self.after.get(number, ()))
        result.extend(self.end)
        return result

    def apply(self, message: SipMessage) -> bytes:
        """Return the message with the edits in it and Content-Length set right."""
        body = message.body if self.body is None else self.body
        lines = self.header_lines(message)
        if self.body is not None:
            lines = [
                line for line in lines if canonical(line[: line.find(b":")]) != b"content-length"
            ]
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join((message.lines[0], *lines, b"", body))
