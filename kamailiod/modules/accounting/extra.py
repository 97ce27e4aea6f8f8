"""Additional attributes of an accounting line: "name=$pv;name=$pv".

Owns their syntax and reading them; knows no transaction and no destination.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.script.context import Context, Value

if TYPE_CHECKING:
    from kamailiod.script.pseudovariables import PseudoVariables

# A semicolon may also stand in a transformation: only one before the next "name=$" separates.
_SEPARATOR = re.compile(r";\s*(?=[A-Za-z0-9_.\-]+\s*=\s*\$)|;\s*\Z")
_LEG_VARIABLE = re.compile(rb"\$(?:\(([a-z]*avp)\((.*?)\)\)|([a-z]*avp)\((.*)\))\Z")
_MAXIMUM_LEGS = 64

Getter = Callable[[Context], Value]


class ExtraAttributes:
    """Attributes of a whole line, each read once."""

    __slots__ = ("_attributes", "names")

    def __init__(self, definition: str, variables: PseudoVariables) -> None:
        self._attributes = [
            (name, variables.accessors[spec].get) for name, spec in split_definition(definition)
        ]
        self.names = [name.decode() for name, _ in self._attributes]

    def read(self, context: Context) -> list[tuple[bytes, bytes]]:
        """Return (name, value) of each; a value that is null is empty."""
        return [(name, as_text(get(context))) for name, get in self._attributes]

    def values(self, context: Context) -> list[Value]:
        """Return the value of each, None for null."""
        return [get(context) for _, get in self._attributes]


class LegAttributes:
    """Attributes of call legs: AVPs with a value a leg, the newest leg first.

    A definition with another variable than an AVP gives that variable's value in one leg.
    """

    __slots__ = ("_getters", "_names", "_specs", "_variables", "names")

    def __init__(self, definition: str, variables: PseudoVariables) -> None:
        parts = split_definition(definition)
        self._names = [name for name, _ in parts]
        self.names = [name.decode() for name in self._names]
        self._specs = [_LEG_VARIABLE.match(spec) or spec for _, spec in parts]
        self._variables = variables
        self._getters: list[list[Getter | None]] = []

    def read(self, context: Context) -> list[tuple[bytes, bytes]]:
        """Return (name, value) of each attribute, leg by leg; one empty leg when there is none."""
        found: list[tuple[bytes, bytes]] = []
        for values in self.legs(context):
            found += zip(self._names, map(as_text, values), strict=True)
        return found

    def legs(self, context: Context) -> list[list[Value]]:
        """Return the values of each leg; one leg of nulls when there is none."""
        found: list[list[Value]] = []
        for leg in range(_MAXIMUM_LEGS if self._names else 0):
            values = [None if get is None else get(context) for get in self._of_leg(leg)]
            if leg and all(value is None for value in values):
                break
            found.append(values)
        return found

    def _of_leg(self, leg: int) -> list[Getter | None]:
        while len(self._getters) <= leg:
            number = len(self._getters)
            self._getters.append([self._getter(spec, number) for spec in self._specs])
        return self._getters[leg]

    def _getter(self, spec: re.Match[bytes] | bytes, leg: int) -> Getter | None:
        if isinstance(spec, bytes):
            return None if leg else self._variables.accessors[spec].get
        kind, name = spec.group(1) or spec.group(3), spec.group(2) or spec.group(4)
        return self._variables.accessors[b"$(%s(%s)[%d])" % (kind, name, leg)].get


def split_definition(definition: str) -> list[tuple[bytes, bytes]]:
    """Return (name, variable) of each attribute of a modparam."""
    found = []
    for part in _SEPARATOR.split(definition):
        name, equals, spec = part.partition("=")
        if equals:
            found.append((name.strip().encode(), spec.strip().encode()))
    return found


def as_text(value: Value) -> bytes:
    """Return a value as it stands in a line."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else b"%d" % value
