"""A message as one text that a script may rewrite, and the edits such a rewriting makes.

Owns finding the lines that changed, so that all others leave as they came.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context

Change = Callable[[bytes], tuple[bytes, int]]
"""Rewrites a text: returns the new text and how often it changed something."""

_END = b"\r\n\r\n"


def received(context: Context) -> bytes:
    """Return the whole message as received, without octets behind its Content-Length."""
    message = context.message
    return b"\r\n".join(message.lines) + _END + message.body


def current_body(context: Context) -> bytes:
    """Return the body with the changes made so far."""
    body = context.edits.body
    return context.message.body if body is None else body


def rewrite_message(context: Context, change: Change) -> int:
    """Rewrite head and body as one text; returns how often it changed."""
    numbers, lines = _current_lines(context)
    body = current_body(context)
    text, count = change(b"\r\n".join(lines) + _END + body)
    if count:
        head, _, new_body = text.partition(_END)
        _store_head(context, numbers, lines, head)
        if new_body != body:
            context.edits.body = new_body
    return count


def rewrite_headers(context: Context, change: Change) -> int:
    """Rewrite the first line and the headers as one text; returns how often it changed."""
    numbers, lines = _current_lines(context)
    text, count = change(b"\r\n".join(lines) + b"\r\n")
    if count:
        _store_head(context, numbers, lines, text.removesuffix(b"\r\n"))
    return count


def rewrite_body(context: Context, change: Change) -> int:
    """Rewrite the body; returns how often it changed."""
    text, count = change(current_body(context))
    if count:
        context.edits.body = text
    return count


def rewrite_header(context: Context, number: int, change: Change) -> int:
    """Rewrite the value of one header line; returns how often it changed."""
    line = context.edits.line(context.message, number)
    if line is None:
        return 0
    name, colon, value = line.partition(b":")
    stripped = value.lstrip(b" \t")
    text, count = change(stripped)
    if count:
        blank = value[: len(value) - len(stripped)]
        context.edits.replaced[number] = name + colon + blank + text
    return count


def _current_lines(context: Context) -> tuple[list[int], list[bytes]]:
    message = context.message
    edits = context.edits
    numbers = []
    lines = []
    for number in range(len(message.lines)):
        line = edits.line(message, number)
        if line is not None:
            numbers.append(number)
            lines.append(line)
    if message.is_request and context.uri != message.uri_text:
        lines[0] = b"%s %s SIP/2.0" % (message.method, context.uri)
    return numbers, lines


def _store_head(context: Context, numbers: list[int], lines: list[bytes], head: bytes) -> None:
    # A folded header is one line of a message, so its folds must not be taken for line ends.
    # "." matches CR but not LF, so a rewriting may leave bare LF, or an empty line in the head.
    new: list[bytes] = []
    for line in head.split(b"\n"):
        line = line.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t") and new:
            new[-1] += b"\r\n" + line
        elif line:
            new.append(line)
    if not new:
        return
    _store_first_line(context, lines[0], new[0])
    old = lines[1:]
    new = new[1:]
    numbers = numbers[1:]
    if len(new) == len(old):
        for number, before, after in zip(numbers, old, new, strict=True):
            if before != after:
                context.edits.replaced[number] = after
        return
    _store_changed_run(context, numbers, old, new)


def _store_first_line(context: Context, before: bytes, after: bytes) -> None:
    parts = after.split(b" ")
    if before != after and len(parts) == 3 and context.message.is_request:
        context.set_uri(parts[1])


def _store_changed_run(
    context: Context, numbers: list[int], old: list[bytes], new: list[bytes]
) -> None:
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and old[start] == new[start]:
        start += 1
    tail = 0
    while tail < shorter - start and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    changed = numbers[start : len(numbers) - tail]
    lines = new[start : len(new) - tail]
    edits = context.edits
    if not changed:
        if start:
            edits.after.setdefault(numbers[start - 1], [])[:0] = lines
        else:
            edits.top.extend(lines)
        return
    edits.replaced[changed[0]] = b"\r\n".join(lines) if lines else None
    for number in changed[1:]:
        edits.replaced[number] = None
