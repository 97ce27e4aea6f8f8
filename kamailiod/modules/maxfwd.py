"""Module maxfwd: the hop limit of RFC 3261 16.3 and 16.6, step 3.

Owns reading and rewriting Max-Forwards; rejecting with 483 is the script's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi

NOTE = "maxfwd"
"""The shared note that is true once a script function has taken care of Max-Forwards."""

_VALUE = "maxfwd_value"
_HIGHEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MaxfwdParams(Params):
    """Modparams of maxfwd."""

    max_limit: int = 70


class Maxfwd(Module):
    """Checking and lowering Max-Forwards."""

    name: ClassVar[str] = "maxfwd"
    Params: ClassVar[type[Params]] = MaxfwdParams

    @kemi(
        "maxfwd.process_maxfwd",
        native=("process_maxfwd", "maxfwd_process", "mf_process_maxfwd_header"),
        routes=Route.REQUEST,
    )
    def process_maxfwd(self, context: Context, limit: int) -> int:
        """Lower Max-Forwards: 1 lowered, 2 added with `limit`, -1 it is zero, -2 no number."""
        numbers = context.message.index.get(b"max-forwards")
        if not numbers and _VALUE not in context.shared.notes:
            _note(context, limit)
            context.edits.end.append(b"Max-Forwards: %d" % limit)
            return 2
        value = _current(context)
        if value is None:
            return -2
        if value == 0:
            return -1
        value = min(value - 1, self.params.max_limit)
        line = b"Max-Forwards: %d" % value
        if numbers:
            context.edits.replaced[numbers[0]] = line
        else:
            _replace_added(context.edits.end, line)
        _note(context, value)
        return 1

    @kemi(
        "maxfwd.is_maxfwd_lt",
        native=("is_maxfwd_lt", "maxfwd_at_least", "mf_lowlimit"),
        routes=Route.REQUEST | Route.FAILURE | Route.BRANCH,
    )
    def is_maxfwd_lt(self, context: Context, limit: int) -> int:
        """Whether Max-Forwards is lower: 1 yes, -1 no, -2 there is none, -3 it is no number."""
        if b"max-forwards" not in context.message.index and _VALUE not in context.shared.notes:
            return -2
        value = _current(context)
        if value is None:
            return -3
        return 1 if value < limit else -1


def _note(context: Context, value: int) -> None:
    notes = context.shared.notes
    notes[NOTE] = True
    notes[_VALUE] = value


def _current(context: Context) -> int | None:
    noted = context.shared.notes.get(_VALUE)
    if isinstance(noted, int):
        return noted
    value = context.message.number(b"max-forwards")
    return value if value is not None and value <= _HIGHEST else None


def _replace_added(lines: list[bytes], line: bytes) -> None:
    for position, added in enumerate(lines):
        if added.startswith(b"Max-Forwards:"):
            lines[position] = line
            return
    lines.append(line)
