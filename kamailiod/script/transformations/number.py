"""{num.*}: digits of a number."""

from __future__ import annotations

import re

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text


def _digit(value: Value, place: int) -> Value:
    match = re.fullmatch(rb"[+-]?([0-9]+)", plain_text(value))
    return int(match.group(1)[place : place + 1 or None]) if match else None


OPERATIONS = {
    b"num.fdigit": Operation(lambda value: _digit(value, 0)),
    b"num.ldigit": Operation(lambda value: _digit(value, -1)),
}
