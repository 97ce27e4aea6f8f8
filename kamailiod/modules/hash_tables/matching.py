"""Which values an operator or a counting expression means.

Owns the notations of Kamailio's htable: `~~`, `%~`, `~%`, `==`, `eq`, `**`, and the operators of
sht_match_name and sht_rm_name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.modules.textops_functions.patterns import pattern
from shm.stores.htable import Value

Match = Callable[[bytes], object]
Wanted = Callable[[bytes, Value], object]

_NUMBER = re.compile(rb"\s*([+-]?\d+)")


def compare(operator: bytes, operand: bytes) -> Match | None:
    """Return the test of a text by `eq`, `ne`, `re` or `sw`; None for what is no operator."""
    make = _OPERATORS.get(operator)
    return None if make is None or not operand else make(operand)


def remove(operator: bytes, operand: bytes) -> Match | None:
    """Return the test of what to remove, by `re` or `sw`; None for what is no such operator."""
    return compare(operator, operand) if operator in (b"re", b"sw") else None


def matches(expression: bytes) -> Match | None:
    """Return the test by a regular expression; None for a malformed or empty one."""
    compiled = pattern(expression) if expression else None
    return None if compiled is None else compiled.search


def of_name(match: Match) -> Wanted:
    """Return the test of a name."""
    return lambda name, value: match(name)


def of_value(match: Match) -> Wanted:
    """Return the test of a value; a number is none that a text's test fits."""
    return lambda name, value: isinstance(value, bytes) and match(value)


def counted(expression: bytes, by_value: bool) -> Wanted | None:
    """Return the test of what $shtcn (by name) and $shtcv (by value) count; None for nothing.

    `~~x` is a regular expression, `%~x` a beginning, `~%x` an end, `==x` the whole text, `eq1` a
    number among the values, `**` everything; what is none of them is a regular expression.
    """
    operator, operand = expression[:2], expression[2:]
    if operator == b"**":
        return lambda name, value: True
    if operator == b"eq":
        return _of_number(operand) if by_value else None
    make = _COUNTED.get(operator)
    match = matches(expression) if make is None else make(operand) if operand else None
    if match is None:
        return None
    return of_value(match) if by_value else of_name(match)


def _of_number(operand: bytes) -> Wanted | None:
    if not operand:
        return None
    found = _NUMBER.match(operand)
    number = int(found.group(1)) if found else 0
    return lambda name, value: value == number


_OPERATORS: dict[bytes, Callable[[bytes], Match | None]] = {
    b"eq": lambda operand: lambda text: text == operand,
    b"ne": lambda operand: lambda text: text != operand,
    b"sw": lambda operand: lambda text: text.startswith(operand),
    b"re": matches,
}

_COUNTED: dict[bytes, Callable[[bytes], Match | None]] = {
    b"~~": matches,
    b"%~": lambda operand: lambda text: text.startswith(operand),
    b"~%": lambda operand: lambda text: text.endswith(operand),
    b"==": lambda operand: lambda text: text == operand,
}
