"""What modparam("htable", "htable", "name=>size=8;autoexpire=30") says of one table.

Owns the syntax and the bounds; it makes no table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

_SPEC = re.compile(r"\s*([^=\s]+)\s*=>\s*(.*?)\s*;?\s*\Z", re.DOTALL)
_LARGEST_SIZE = 31
_SLOTS_BEYOND = 1 << 14
_FEWEST_SLOTS = 8


class DefinitionError(ValueError):
    """The definition of a table is none; the text says which."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One table: `slots` as Kamailio counts them, `lifetime` (autoexpire) in seconds, 0 for ever.

    `renews`: whether writing a value begins its lifetime anew (updateexpire). With `columns` the
    first is the key's and the others are joined to one value.
    """

    name: bytes
    slots: int = 16
    lifetime: int = 0
    initial: int | None = None
    renews: bool = True
    database_table: str = ""
    database_mode: int = 0
    columns: tuple[str, ...] = field(default=())
    delimiter: str = ","
    null: str = "*"
    replicated: int = 0


def parse_definition(text: str) -> Definition:
    """Return the table that a modparam defines; raises DefinitionError."""
    match = _SPEC.match(text)
    if match is None or not match.group(2):
        raise DefinitionError(f"invalid htable parameter [{text}]")
    definition = Definition(match.group(1).encode())
    for part in match.group(2).split(";"):
        name, _, value = (piece.strip() for piece in part.partition("="))
        change = _CHANGES.get(name)
        if change is None:
            raise DefinitionError(f"invalid htable parameter [{text}]: no attribute {name!r}")
        try:
            definition = change(definition, value.strip("\"'"))
        except ValueError as error:
            raise DefinitionError(f"invalid htable parameter [{text}]: {error}") from error
    return definition


def _slots(size: int) -> int:
    if size <= 1:
        return _FEWEST_SLOTS
    return 1 << size if size <= _LARGEST_SIZE else _SLOTS_BEYOND


def _unsigned(value: str) -> int:
    if not value.isdecimal():
        raise ValueError(f"{value!r} is no number")
    return int(value)


def _columns(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if len(names) < 2:
        raise ValueError("there must be at least two columns (prefix, value)")
    return names


def _character(value: str) -> str:
    if len(value) > 1:
        raise ValueError(f"{value!r} is more than one character")
    return value


_CHANGES: dict[str, Callable[[Definition, str], Definition]] = {
    "size": lambda old, value: replace(old, slots=_slots(_unsigned(value))),
    "autoexpire": lambda old, value: replace(old, lifetime=_unsigned(value)),
    "initval": lambda old, value: replace(old, initial=int(value)),
    "updateexpire": lambda old, value: replace(old, renews=bool(_unsigned(value))),
    "dbtable": lambda old, value: replace(old, database_table=value),
    "dbmode": lambda old, value: replace(old, database_mode=_unsigned(value)),
    "cols": lambda old, value: replace(old, columns=_columns(value)),
    "coldelim": lambda old, value: replace(old, delimiter=_character(value)),
    "colnull": lambda old, value: replace(old, null=_character(value)),
    "dmqreplicate": lambda old, value: replace(old, replicated=_unsigned(value)),
}
