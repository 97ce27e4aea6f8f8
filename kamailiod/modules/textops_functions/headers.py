"""textops: adding, removing and looking for headers.

Owns textops' own forms; the core's KSR.hdr functions are in hdr.py.
"""

from __future__ import annotations

from email.utils import formatdate

from kamailiod.modules.core_functions.checks import method_set
from kamailiod.modules.core_functions.header_text import header_lines
from kamailiod.modules.hdr import place_after, place_before
from kamailiod.modules.textops_functions.patterns import pattern
from kamailiod.script.context import Context, Route
from kamailiod.script.module import kemi
from kamailiod.sip.header_names import canonical
from kamailiod.sip.message import line_body

_FORWARDING = Route.REQUEST | Route.FAILURE | Route.BRANCH


class Headers:
    """The header functions of textops."""

    @kemi("textops.append_hf")
    def append_hf(self, context: Context, text: bytes, after: bytes = b"") -> int:
        """Append header lines behind the last header, or behind the first one of a name."""
        return place_after(context, header_lines(text), after)

    @kemi(native="insert_hf")
    def insert_hf(self, context: Context, text: bytes, before: bytes = b"") -> int:
        """Insert header lines before the first header, or before the first one of a name."""
        return place_before(context, header_lines(text), before)

    @kemi(native="append_urihf", routes=_FORWARDING)
    def append_urihf(self, context: Context, start: bytes, end: bytes) -> int:
        """Append a header made of a text, the original request URI and another text."""
        return place_after(context, header_lines(start + context.message.uri_text + end), b"")

    @kemi(native="append_to_reply", routes=_FORWARDING)
    def append_to_reply(self, context: Context, text: bytes) -> int:
        """Add header lines to every reply that is made here for this request."""
        lines = header_lines(text)
        context.shared.reply_lines.extend(lines)
        return 1 if lines else -1

    @kemi(native="append_time", routes=_FORWARDING)
    def append_time(self, context: Context) -> int:
        """Add a Date header to every reply that is made here for this request."""
        context.shared.reply_lines.append(_date_line())
        return 1

    @kemi(native="append_time_to_request")
    def append_time_to_request(self, context: Context) -> int:
        """Append a Date header to the message."""
        context.edits.end.append(_date_line())
        return 1

    @kemi("textops.remove_hf", native=("remove_hf", "remove_hf_pv"))
    def remove_hf(self, context: Context, name: bytes) -> int:
        """Remove all headers of a name; 1 even if there was none."""
        context.edits.remove_header(context.message, name)
        return 1

    @kemi("textops.remove_hf_idx")
    def remove_hf_idx(self, context: Context, name: bytes, index: int) -> int:
        """Remove one header of a name by index, negative from the end: 1 removed, 2 no such."""
        numbers = context.message.index.get(canonical(name), ())
        if not -len(numbers) <= index < len(numbers):
            return 2
        context.edits.replaced[numbers[index]] = None
        return 1

    @kemi("textops.remove_hf_re", native=("remove_hf_re", "remove_hf_re_pv"))
    def remove_hf_re(self, context: Context, expression: bytes) -> int:
        """Remove all headers whose names match an expression; -1 when there is none."""
        return _remove_matching(context, expression, b"")

    @kemi("textops.remove_hf_exp", native=("remove_hf_exp", "remove_hf_exp_pv"))
    def remove_hf_exp(self, context: Context, expression: bytes, kept: bytes) -> int:
        """Remove all headers whose names match one expression and not another."""
        return _remove_matching(context, expression, kept)

    @kemi("textops.remove_hf_match")
    def remove_hf_match(
        self, context: Context, name: bytes, operator: bytes, value: bytes
    ) -> int:
        """Remove headers whose bodies match by eq, ne, in, sw or re: 1 some, -2 none, -1 error."""
        message = context.message
        compiled = pattern(value) if operator == b"re" else None
        if operator not in (b"eq", b"ne", b"in", b"sw", b"re"):
            return -1
        if operator == b"re" and compiled is None:
            return -1
        removed = 0
        for number in message.index.get(canonical(name), ()):
            body = line_body(message.lines[number])
            if compiled.search(body) if compiled else _compare(operator, body, value):
                context.edits.replaced[number] = None
                removed += 1
        return 1 if removed else -2

    @kemi("textops.is_present_hf", native=("is_present_hf", "is_present_hf_pv"))
    def is_present_hf(self, context: Context, name: bytes) -> int:
        """Return 1 when the message as received has a header of this name, else -1."""
        return 1 if canonical(name) in context.message.index else -1

    @kemi("textops.is_present_hf_re", native=("is_present_hf_re", "is_present_hf_re_pv"))
    def is_present_hf_re(self, context: Context, expression: bytes) -> int:
        """Return 1 when the message has a header whose name matches an expression, else -1."""
        compiled = pattern(expression)
        if compiled is None:
            return -1
        return 1 if any(compiled.search(name) for name, _ in _named_lines(context)) else -1

    @kemi("textops.is_privacy")
    def is_privacy(self, context: Context, kind: bytes) -> int:
        """Whether the Privacy header asks for this kind (id, user, header, ...; RFC 3323)."""
        kinds = [
            value.strip().lower()
            for body in context.message.headers(b"privacy")
            for value in body.replace(b",", b";").split(b";")
        ]
        return 1 if kind.lower() in kinds else -1

    @kemi(native="is_method")
    def native_is_method(self, context: Context, methods: bytes) -> bool:
        """Whether the method is one of these, separated by "|" and compared without case."""
        message = context.message
        return (message.method or message.cseq[1]) in method_set(methods)


def _named_lines(context: Context) -> list[tuple[bytes, int]]:
    lines = context.message.lines
    return [
        (lines[number][: lines[number].find(b":")].strip(), number)
        for number in range(1, len(lines))
    ]


def _remove_matching(context: Context, expression: bytes, kept: bytes) -> int:
    compiled = pattern(expression)
    exception = pattern(kept) if kept else None
    if compiled is None or (kept and exception is None):
        return -1
    removed = 0
    for name, number in _named_lines(context):
        if compiled.search(name) and not (exception and exception.search(name)):
            context.edits.replaced[number] = None
            removed += 1
    return 1 if removed else -1


def _compare(operator: bytes, body: bytes, value: bytes) -> bool:
    if operator == b"eq":
        return body == value
    if operator == b"ne":
        return body != value
    return body.startswith(value) if operator == b"sw" else value in body


def _date_line() -> bytes:
    return b"Date: " + formatdate(usegmt=True).encode()
