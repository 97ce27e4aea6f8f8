"""The definition of a prefix tree, as modparam mtree gives it.

Owns its grammar; what is read by it is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STRINGS, DESTINATIONS, INTEGERS = 0, 1, 2
"""Types of trees: what a prefix has."""

# parameter = name "=" ( quoted / text up to ";" )
_PARAMETER = re.compile(r"\s*([A-Za-z]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^;]*))\s*(?:;|\Z)")
_MOST_COLUMNS = 8


class TreeError(Exception):
    """A definition or a row that cannot be used."""


@dataclass(frozen=True, slots=True)
class TreeDefinition:
    """Where a tree is read from: table, columns (none: the module's) and whether it has others.

    `multi` says that the table holds more trees, told apart by the column of names.
    """

    name: str
    table: str = "mtree"
    kind: int = STRINGS
    multi: bool = False
    columns: tuple[str, ...] = ()


def parse_definition(text: str) -> TreeDefinition:
    """Read `name=n;dbtable=t;type=0;multi=0;cols='prefix,value,...'`; raises TreeError."""
    given: dict[str, str] = {}
    place = 0
    while text[place:].strip():
        match = _PARAMETER.match(text, place)
        if match is None:
            raise TreeError(f"not a definition of a tree: {text!r}")
        name, *values = match.groups()
        given[name.lower()] = next((v for v in values if v is not None), "").strip()
        place = match.end()
    if not given.get("name"):
        raise TreeError(f"a tree without a name: {text!r}")
    return TreeDefinition(
        given["name"],
        given.get("dbtable") or "mtree",
        _number(given, "type", (STRINGS, DESTINATIONS, INTEGERS)),
        bool(_number(given, "multi", (0, 1))),
        _columns(given.get("cols", "")),
    )


def _number(given: dict[str, str], name: str, allowed: tuple[int, ...]) -> int:
    text = given.get(name, "0")
    if not text.isdigit() or int(text) not in allowed:
        raise TreeError(f"tree {given['name']}: {name} cannot be {text!r}")
    return int(text)


def _columns(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    columns = tuple(name.strip() for name in text.split(","))
    if not 2 <= len(columns) <= _MOST_COLUMNS:
        raise TreeError(f"a tree has a prefix and 1 to {_MOST_COLUMNS - 1} values, not {text!r}")
    return columns
