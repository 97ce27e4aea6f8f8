"""textopsx: going through the lines of a body one by one.

Owns the iterators; up to four of a message at a time, all over the same lines.
"""

from __future__ import annotations

from kamailiod.modules.textops_functions.message_text import current_body
from kamailiod.script.context import Context
from kamailiod.script.module import kemi, pseudo_variable
from kamailiod.sip.cells import Cells

_NOTE = "textopsx_body_iterators"
_MOST = 4


class _Lines:
    """The lines of a body as it was when the first iterator began, ends included."""

    __slots__ = ("body", "cells", "lines")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.lines = body.splitlines(keepends=True)
        self.cells = Cells(self.lines)


class _Iterator:
    __slots__ = ("lines", "number")

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines
        self.number = -1

    def at(self) -> int:
        """Return the number of the line it stands on, -1 on none."""
        return self.number if self.number < len(self.lines.lines) else -1


class BodyIterators:
    """The iterators over body lines: 1 when done, -1 when there is no such iterator or place."""

    @kemi("textopsx.bl_iterator_start")
    def bl_iterator_start(self, context: Context, name: bytes) -> int:
        """Begin to go through the lines of the body; -1 when four others are under way."""
        iterators = _iterators(context)
        if name not in iterators and len(iterators) >= _MOST:
            return -1
        body = current_body(context)
        lines = next((i.lines for i in iterators.values() if i.lines.body == body), None)
        iterators[name] = _Iterator(_Lines(body) if lines is None else lines)
        return 1

    @kemi("textopsx.bl_iterator_end")
    def bl_iterator_end(self, context: Context, name: bytes) -> int:
        """Forget an iterator."""
        _iterators(context).pop(name, None)
        return 1

    @kemi("textopsx.bl_iterator_next")
    def bl_iterator_next(self, context: Context, name: bytes) -> int:
        """Go to the next line; -1 behind the last."""
        iterator = _iterators(context).get(name)
        if iterator is None:
            return -1
        iterator.number = min(iterator.number + 1, len(iterator.lines.lines))
        return 1 if iterator.at() >= 0 else -1

    @kemi("textopsx.bl_iterator_rm")
    def bl_iterator_rm(self, context: Context, name: bytes) -> int:
        """Remove the line that an iterator stands on."""
        iterator = _standing(context, name)
        if iterator is None:
            return -1
        iterator.lines.cells.cells[iterator.number] = None
        return _store(context, iterator.lines)

    @kemi("textopsx.bl_iterator_append")
    def bl_iterator_append(self, context: Context, name: bytes, text: bytes) -> int:
        """Put a text behind the line that an iterator stands on."""
        iterator = _standing(context, name)
        if iterator is None or not text:
            return -1
        iterator.lines.cells.append(iterator.number, text)
        return _store(context, iterator.lines)

    @kemi("textopsx.bl_iterator_insert")
    def bl_iterator_insert(self, context: Context, name: bytes, text: bytes) -> int:
        """Put a text before the line that an iterator stands on."""
        iterator = _standing(context, name)
        if iterator is None or not text:
            return -1
        iterator.lines.cells.insert(iterator.number, text)
        return _store(context, iterator.lines)

    @kemi("textopsx.bl_iterator_value", native=())
    def bl_iterator_value(self, context: Context, name: bytes) -> object:
        """Return the line that an iterator stands on, its end included; nil on none."""
        iterator = _standing(context, name)
        return None if iterator is None else iterator.lines.lines[iterator.number]

    @pseudo_variable("blitval")
    def body_line(self, context: Context, inner: bytes, index: object) -> object:
        """$blitval(iterator): the line that it stands on, its end included."""
        return self.bl_iterator_value(context, inner)


def _iterators(context: Context) -> dict[bytes, _Iterator]:
    return context.shared.notes.setdefault(_NOTE, {})  # type: ignore[return-value]  # only iterators are kept there


def _standing(context: Context, name: bytes) -> _Iterator | None:
    iterator = _iterators(context).get(name)
    # A body that somebody else has changed meanwhile is not the one that this one goes through.
    if iterator is None or iterator.at() < 0 or iterator.lines.body != current_body(context):
        return None
    return iterator


def _store(context: Context, lines: _Lines) -> int:
    lines.body = b"".join(lines.cells.all())
    context.edits.body = lines.body
    return 1
