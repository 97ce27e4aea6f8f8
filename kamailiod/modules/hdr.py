"""KSR.hdr: adding, removing and reading header fields.

Owns how script texts become edits; what is appended is not seen by the reading functions before
the edits are applied, as in Kamailio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from kamailiod.modules.core_functions.header_text import header_lines
from kamailiod.script.context import Context
from kamailiod.script.module import Module, kemi
from kamailiod.sip.header_names import canonical

_MATCHES: dict[bytes, Callable[[bytes, bytes], bool]] = {
    b"eq": lambda body, value: body == value,
    b"ne": lambda body, value: body != value,
    b"sw": lambda body, value: body.startswith(value),
    b"in": lambda body, value: value in body,
}


class Hdr(Module):
    """The header functions every script has."""

    name: ClassVar[str] = "hdr"

    @kemi("hdr.append", native=())
    def append(self, context: Context, text: bytes) -> int:
        """Append header lines behind the last header; the text ends in CRLF, -1 if it is none."""
        lines = header_lines(text)
        context.edits.end.extend(lines)
        return 1 if lines else -1

    @kemi("hdr.insert", native=())
    def insert(self, context: Context, text: bytes) -> int:
        """Insert header lines before the first header."""
        lines = header_lines(text)
        context.edits.top.extend(lines)
        return 1 if lines else -1

    @kemi("hdr.append_after", native=())
    def append_after(self, context: Context, text: bytes, name: bytes) -> int:
        """Append header lines behind the first header of this name, else behind the last one."""
        return place_after(context, header_lines(text), name)

    @kemi("hdr.insert_before", native=())
    def insert_before(self, context: Context, text: bytes, name: bytes) -> int:
        """Insert header lines before the first header of this name, else before the first one."""
        return place_before(context, header_lines(text), name)

    @kemi("hdr.remove", native=())
    def remove(self, context: Context, name: bytes) -> int:
        """Remove all headers of this name; 1 even if there was none, -1 for an empty name."""
        if not name:
            return -1
        context.edits.remove_header(context.message, name)
        return 1

    @kemi("hdr.rmappend", native=())
    def rmappend(self, context: Context, name: bytes, text: bytes) -> int:
        """Remove all headers of a name, then append header lines."""
        return self.append(context, text) if self.remove(context, name) > 0 else -1

    @kemi("hdr.rminsert", native=())
    def rminsert(self, context: Context, name: bytes, text: bytes) -> int:
        """Remove all headers of a name, then insert header lines before the first header."""
        return self.insert(context, text) if self.remove(context, name) > 0 else -1

    @kemi("hdr.is_present", native=())
    def is_present(self, context: Context, name: bytes) -> int:
        """Return 1 when the message as received has a header of this name, else -1."""
        return 1 if canonical(name) in context.message.index else -1

    @kemi("hdr.append_to_reply", native=())
    def append_to_reply(self, context: Context, text: bytes) -> int:
        """Add header lines to every reply that is made here for this request."""
        lines = header_lines(text)
        context.shared.reply_lines.extend(lines)
        return 1 if lines else -1

    @kemi("hdr.get", native=())
    def get(self, context: Context, name: bytes) -> object:
        """Return the body of the first header of this name, nil when there is none."""
        return context.message.header(canonical(name))

    @kemi("hdr.gete", native=())
    def gete(self, context: Context, name: bytes) -> bytes:
        """Return the body of the first header of this name, empty when there is none."""
        return context.message.header(canonical(name)) or b""

    @kemi("hdr.getw", native=())
    def getw(self, context: Context, name: bytes) -> bytes:
        """Return the body of the first header of this name, `<null>` when there is none."""
        body = context.message.header(canonical(name))
        return b"<null>" if body is None else body

    @kemi("hdr.get_idx", native=())
    def get_idx(self, context: Context, name: bytes, index: int) -> object:
        """Return the body of a header by its index, negative from the end; nil when absent."""
        return _indexed(context, name, index)

    @kemi("hdr.gete_idx", native=())
    def gete_idx(self, context: Context, name: bytes, index: int) -> bytes:
        """Return the body of a header by its index, empty when absent."""
        return _indexed(context, name, index) or b""

    @kemi("hdr.getw_idx", native=())
    def getw_idx(self, context: Context, name: bytes, index: int) -> bytes:
        """Return the body of a header by its index, `<null>` when absent."""
        body = _indexed(context, name, index)
        return b"<null>" if body is None else body

    @kemi("hdr.match_content", native=())
    def match_content(
        self, context: Context, name: bytes, operator: bytes, value: bytes, which: bytes
    ) -> bool:
        """Compare bodies by eq, ne, sw or in: the first (f), last (l), all (a) or any one (o)."""
        match = _MATCHES.get(operator)
        bodies = context.message.headers(canonical(name))
        if match is None or not bodies:
            return False
        if which[:1] == b"f":
            return match(bodies[0], value)
        if which[:1] == b"l":
            return match(bodies[-1], value)
        if which[:1] == b"a":
            return all(match(body, value) for body in bodies)
        return any(match(body, value) for body in bodies)


def place_after(context: Context, lines: list[bytes], name: bytes) -> int:
    """Put lines behind the first header of a name, else at the end; -1 when there are no lines."""
    numbers = context.message.index.get(canonical(name))
    if numbers:
        context.edits.after.setdefault(numbers[0], []).extend(lines)
    else:
        context.edits.end.extend(lines)
    return 1 if lines else -1


def place_before(context: Context, lines: list[bytes], name: bytes) -> int:
    """Put lines before the first header of a name, else at the top; -1 when there are no lines."""
    numbers = context.message.index.get(canonical(name))
    if numbers:
        context.edits.before.setdefault(numbers[0], []).extend(lines)
    else:
        context.edits.top.extend(lines)
    return 1 if lines else -1


def _indexed(context: Context, name: bytes, index: int) -> bytes | None:
    bodies = context.message.headers(canonical(name))
    return bodies[index] if -len(bodies) <= index < len(bodies) else None
