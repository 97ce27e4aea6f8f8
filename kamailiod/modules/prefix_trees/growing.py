"""From rows of a database to prefix trees: owns which rows are good, and the published form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kamailiod.modules.prefix_trees.definition import INTEGERS, TreeError
from kamailiod.modules.prefix_trees.prefix_tree import PrefixTree, TreeFacts, Value
from kamailiod.script.database import Row
from kamailiod.script.table_query import cell

_LONGEST = 63
_OCTETS_PER_ENTRY = 24
_NULL = b"*"


@dataclass(frozen=True, slots=True)
class Soil:
    """What holds for all trees: the octets of prefixes, what becomes of a prefix met again."""

    allowed: bytes
    ignore_duplicates: bool
    allow_duplicates: bool
    warn: Callable[[str], None]


def grow(
    soil: Soil, name: bytes, kind: int, rows: Iterable[Row], reloads: int, now: int
) -> list[object]:
    """Return a tree of rows (prefix, value, ...) as a value to publish; raises TreeError.

    Several values are joined by commas, NULL among them as `*`.  A row without prefix or value is
    left out with a warning.
    """
    values: dict[bytes, list[Value]] = {}
    for row in rows:
        prefix, text = cell(row[0]), _packed(row[1:])
        if not prefix or not text:
            soil.warn(f"tree {name.decode()}: a row without prefix or value is left out")
            continue
        _check(soil, prefix)
        value = _integer(text) if kind == INTEGERS else text
        known = values.get(prefix)
        if known is None:
            values[prefix] = [value]
        elif soil.ignore_duplicates:
            soil.warn(f"tree {name.decode()}: prefix {prefix.decode()} is there already")
        elif soil.allow_duplicates:
            known.insert(0, value)
        else:
            raise TreeError(f"prefix {prefix.decode()} is there already")
    prefixes = sorted(values)
    facts = _facts(soil, kind, prefixes, values)
    return [name, kind, *facts, reloads, now, prefixes, [values[p] for p in prefixes]]


def grown(published: Sequence[Any], allowed: bytes) -> PrefixTree:
    """Return the tree of a published value."""
    *facts, prefixes, values = published
    return PrefixTree(TreeFacts(*facts), prefixes, values, allowed)


def _packed(values: Row) -> bytes:
    if len(values) == 1:
        return cell(values[0])
    return b",".join(_NULL if value is None else cell(value) for value in values)


def _check(soil: Soil, prefix: bytes) -> None:
    if len(prefix) > _LONGEST:
        raise TreeError(f"a prefix has more than {_LONGEST} characters: {prefix.decode()}")
    if prefix.translate(None, soil.allowed):
        raise TreeError(f"a prefix has a character not in char_list: {prefix!r}")


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise TreeError(f"not an integer: {text!r}") from None


def _facts(
    soil: Soil, kind: int, prefixes: Sequence[bytes], values: dict[bytes, list[Value]]
) -> tuple[int, int, int]:
    """Return nodes, items and memory as Kamailio counts them: a node holds every character."""
    nodes, previous = 0, b""
    for prefix in prefixes:
        # Its heads are nodes; those it shares with the one before are counted already.
        shared = 0
        for one, other in zip(prefix[:-1], previous[:-1], strict=False):
            if one != other:
                break
            shared += 1
        nodes += len(prefix) - (shared + 1 if previous else 0)
        previous = prefix
    memory = nodes * len(soil.allowed) * _OCTETS_PER_ENTRY
    if kind == INTEGERS:
        return nodes, 0, memory
    items = [value for found in values.values() for value in found if isinstance(value, bytes)]
    return nodes, len(items), memory + sum(len(value) + 1 for value in items)
