"""The values of a header line, joined by commas, and the parameters of a value.

Owns cutting and joining; a comma or semicolon within quotes or `<>` is none.
"""

from __future__ import annotations

import re

from kamailiod.sip.cells import Cells

# header  =  field-name HCOLON header-value *(COMMA header-value)     (RFC 3261 7.3.1)
_QUOTED = rb"\"(?:[^\"\\]|\\.)*+\""
_VALUE = re.compile(rb"(?:[^,\"<]|" + _QUOTED + rb"|<[^<>]*+>|[\"<])*", re.DOTALL)
_PARAMETER = re.compile(rb";((?:[^;\"<]|" + _QUOTED + rb"|<[^<>]*+>|[\"<])*)", re.DOTALL)
_FIRST = re.compile(rb"(?:[^;\"<]|" + _QUOTED + rb"|<[^<>]*+>|[\"<])*", re.DOTALL)
_START = re.compile(rb"[^:]*:[ \t]*", re.DOTALL)
_SCHEME = re.compile(rb"[^:]*:[ \t]*(?:[^\s,=\"]+[ \t]+(?=[^\s=]))?", re.DOTALL)


class HeaderValues:
    """The values of one header line, numbered as they came."""

    __slots__ = ("cells", "prefix")

    def __init__(self, prefix: bytes, values: list[bytes]) -> None:
        self.prefix = prefix
        self.cells = Cells(values)

    def __len__(self) -> int:
        return len(self.cells.cells)

    def assign(self, number: int, value: bytes | None) -> None:
        """Replace a value, the blanks before it staying; None takes it out."""
        old = self.cells.cells[number] or b""
        blanks = old[: len(old) - len(old.lstrip())]
        self.cells.cells[number] = None if value is None else blanks + value

    def find(self, value: bytes) -> list[int]:
        """Return the numbers of all values that are equal to one, without regard to case."""
        wanted = value.strip().lower()
        return [
            number
            for number, cell in enumerate(self.cells.cells)
            if cell is not None and cell.strip().lower() == wanted
        ]

    def line(self) -> bytes | None:
        """Return the header line, None when no value is left."""
        values = self.cells.all()
        return self.prefix + b",".join(values) if values else None


def header_values(line: bytes) -> HeaderValues:
    """Cut a header line into its values."""
    prefix = _matched(_START, line)
    return HeaderValues(prefix, split_values(line[len(prefix) :]))


def credential_values(line: bytes) -> HeaderValues:
    """Cut a header line like Authorization into its scheme and its parameters."""
    prefix = _matched(_SCHEME, line)
    return HeaderValues(prefix, split_values(line[len(prefix) :]))


def split_values(body: bytes) -> list[bytes]:
    """Cut a header body at its commas; blanks stay where they are."""
    values = []
    position = 0
    while True:
        match = _VALUE.match(body, position)
        end = match.end() if match is not None else len(body)
        values.append(body[position:end])
        if end >= len(body):
            return values
        position = end + 1


def value_parameter(value: bytes, name: bytes) -> bytes | None:
    """Return a parameter of a value, b"" for one without a value, None when absent."""
    for match in _PARAMETER.finditer(value, len(_matched(_FIRST, value))):
        key, _, text = match.group(1).partition(b"=")
        if key.strip().lower() == name.lower():
            return text.strip()
    return None


def with_parameter(value: bytes, name: bytes, text: bytes) -> bytes | None:
    """Return a value with a parameter set, or taken out by an empty text.

    None says that there is nothing to take out.
    """
    for match in _PARAMETER.finditer(value, len(_matched(_FIRST, value))):
        key = match.group(1).partition(b"=")[0]
        if key.strip().lower() == name.lower():
            new = b";" + key.strip() + b"=" + text if text else b""
            return value[: match.start()] + new + value[match.end() :]
    return value + b";" + name + b"=" + text if text else None


def _matched(expression: re.Pattern[bytes], text: bytes) -> bytes:
    match = expression.match(text)
    return match.group() if match is not None else b""
