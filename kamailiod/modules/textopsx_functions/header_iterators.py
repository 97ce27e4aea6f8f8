"""textopsx: going through the headers of a message one by one.

Owns the iterators; up to four of a message at a time, as in Kamailio.
"""

from __future__ import annotations

from kamailiod.modules.core_functions.header_text import header_lines
from kamailiod.script.context import Context
from kamailiod.script.module import kemi, pseudo_variable
from kamailiod.sip.message import SipMessage, line_body

_NOTE = "textopsx_header_iterators"
_MOST = 4


class _Iterator:
    """A place in a message's headers: 0 before the first, the number of lines behind the last."""

    __slots__ = ("message", "number")

    def __init__(self, message: SipMessage) -> None:
        self.message = message
        self.number = 0

    def at(self, context: Context) -> int:
        """Return the number of the line it stands on, 0 when on none (any more)."""
        there = self.message is context.message and self.number < len(self.message.lines)
        return self.number if there else 0


class HeaderIterators:
    """The iterators over headers: 1 when done, -1 when there is no such iterator or place."""

    @kemi("textopsx.hf_iterator_start")
    def hf_iterator_start(self, context: Context, name: bytes) -> int:
        """Begin to go through the headers; -1 when four others are under way."""
        iterators = _iterators(context)
        if name not in iterators and len(iterators) >= _MOST:
            return -1
        iterators[name] = _Iterator(context.message)
        return 1

    @kemi("textopsx.hf_iterator_end")
    def hf_iterator_end(self, context: Context, name: bytes) -> int:
        """Forget an iterator."""
        _iterators(context).pop(name, None)
        return 1

    @kemi("textopsx.hf_iterator_next")
    def hf_iterator_next(self, context: Context, name: bytes) -> int:
        """Go to the next header; -1 behind the last."""
        iterator = _iterators(context).get(name)
        if iterator is None or iterator.message is not context.message:
            return -1
        iterator.number = min(iterator.number + 1, len(iterator.message.lines))
        return 1 if iterator.at(context) else -1

    @kemi("textopsx.hf_iterator_prev")
    def hf_iterator_prev(self, context: Context, name: bytes) -> int:
        """Go to the header before; 1 also when there is none."""
        iterator = _iterators(context).get(name)
        if iterator is None or iterator.message is not context.message:
            return -1
        iterator.number = max(iterator.number - 1, 0)
        return 1

    @kemi("textopsx.hf_iterator_rm")
    def hf_iterator_rm(self, context: Context, name: bytes) -> int:
        """Remove the header that an iterator stands on."""
        number = _place(context, name)
        if number:
            context.edits.replaced[number] = None
        return 1 if number else -1

    @kemi("textopsx.hf_iterator_append")
    def hf_iterator_append(self, context: Context, name: bytes, text: bytes) -> int:
        """Put header lines behind the header that an iterator stands on."""
        number, lines = _place(context, name), header_lines(text)
        if not number or not lines:
            return -1
        context.edits.after.setdefault(number, []).extend(lines)
        return 1

    @kemi("textopsx.hf_iterator_insert")
    def hf_iterator_insert(self, context: Context, name: bytes, text: bytes) -> int:
        """Put header lines before the header that an iterator stands on."""
        number, lines = _place(context, name), header_lines(text)
        if not number or not lines:
            return -1
        context.edits.before.setdefault(number, []).extend(lines)
        return 1

    @kemi("textopsx.hf_iterator_hname", native=())
    def hf_iterator_hname(self, context: Context, name: bytes) -> object:
        """Return the name of the header that an iterator stands on, nil on none."""
        number = _place(context, name)
        return context.message.lines[number].partition(b":")[0].strip() if number else None

    @kemi("textopsx.hf_iterator_hbody", native=())
    def hf_iterator_hbody(self, context: Context, name: bytes) -> object:
        """Return the body of the header that an iterator stands on, nil on none."""
        number = _place(context, name)
        return line_body(context.message.lines[number]) if number else None

    @pseudo_variable("hfitname")
    def header_name(self, context: Context, inner: bytes, index: object) -> object:
        """$hfitname(iterator): the name of the header that it stands on."""
        return self.hf_iterator_hname(context, inner)

    @pseudo_variable("hfitbody")
    def header_body(self, context: Context, inner: bytes, index: object) -> object:
        """$hfitbody(iterator): the body of the header that it stands on."""
        return self.hf_iterator_hbody(context, inner)


def _iterators(context: Context) -> dict[bytes, _Iterator]:
    return context.shared.notes.setdefault(_NOTE, {})  # type: ignore[return-value]  # only iterators are kept there


def _place(context: Context, name: bytes) -> int:
    iterator = _iterators(context).get(name)
    return 0 if iterator is None else iterator.at(context)
