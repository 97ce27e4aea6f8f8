"""{line.*}: lines of a text, without their line ends."""

from __future__ import annotations

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import integer, plain_text


def _lines(value: Value) -> list[bytes]:
    lines = plain_text(value).split(b"\n")
    if lines and not lines[-1]:
        del lines[-1]
    return [line.removesuffix(b"\r") for line in lines]


def _count(value: Value) -> Value:
    return b"%d" % len(_lines(value)) if value != b"" else None


def _at(value: Value, index: Value) -> Value:
    if value == b"":
        return None
    lines, place = _lines(value), integer(index)
    return lines[place] if -len(lines) <= place < len(lines) else b""


def _starting_with(value: Value, prefix: Value) -> Value:
    if value == b"":
        return None
    wanted = plain_text(prefix)
    return next((line for line in _lines(value) if line.startswith(wanted)), b"")


OPERATIONS = {
    b"line.count": Operation(_count),
    b"line.at": Operation(_at, 1),
    b"line.sw": Operation(_starting_with, 1),
}
