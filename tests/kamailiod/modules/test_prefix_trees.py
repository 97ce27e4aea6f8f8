"""The machinery of mtree without a database: definitions, growing, look-ups, destinations."""

from __future__ import annotations

import random

import pytest

from kamailiod.modules.prefix_trees.definition import (
    DESTINATIONS,
    INTEGERS,
    STRINGS,
    TreeDefinition,
    TreeError,
    parse_definition,
)
from kamailiod.modules.prefix_trees.destinations import destinations
from kamailiod.modules.prefix_trees.growing import Soil, grow, grown
from kamailiod.modules.prefix_trees.prefix_tree import PrefixTree

DIGITS = b"0123456789"


def soil(warnings: list[str] | None = None, ignore: bool = False, allow: bool = False) -> Soil:
    return Soil(DIGITS, ignore, allow, ([] if warnings is None else warnings).append)


def tree(rows: dict[str, str], kind: int = STRINGS) -> PrefixTree:
    return grown(grow(soil(), b"t", kind, list(rows.items()), 1, 0), DIGITS)


def test_definitions() -> None:
    assert parse_definition(" name = a ; DBTABLE=t;type=2;multi=1;") == TreeDefinition(
        "a", "t", INTEGERS, True
    )
    assert parse_definition("name=a;cols='p, v,w'") == TreeDefinition(
        "a", "mtree", STRINGS, False, ("p", "v", "w")
    )
    assert parse_definition('name="a b";type=1').kind == DESTINATIONS
    for text in ("", "dbtable=x", "name=a;type=3", "name=a;multi=2", "name=a;type=x", "name=a;;",
                 "name=a;cols='p'", "rubbish"):  # fmt: skip
        with pytest.raises(TreeError):
            parse_definition(text)


def test_rows() -> None:
    warnings: list[str] = []
    rows = [("1", "a"), ("", "x"), (None, "x"), ("2", None), ("2", ""), ("1", "b")]
    grow(soil(warnings, ignore=True), b"t", STRINGS, rows, 1, 0)
    assert len(warnings) == 5
    for bad in (("12a", "x"), ("1" * 64, "x"), ("1", "y")):
        with pytest.raises(TreeError):
            grow(soil(), b"t", STRINGS, [("1", "a"), bad], 1, 0)
    with pytest.raises(TreeError):
        grow(soil(), b"t", INTEGERS, [("1", "a")], 1, 0)


def test_look_ups_are_those_of_a_walk() -> None:
    chance = random.Random(5)
    for _ in range(50):
        prefixes = {"".join(chance.choices("0123", k=chance.randint(1, 5))) for _ in range(20)}
        made = tree({prefix: prefix for prefix in prefixes})
        for _ in range(50):
            number = "".join(chance.choices("0123+", (8, 8, 8, 8, 1), k=chance.randint(0, 7)))
            expected = _walk(prefixes, number)
            match = made.longest(number.encode())
            assert (None if match is None else match[0].decode()) == expected


def _walk(prefixes: set[str], number: str) -> str | None:
    """Find the longest prefix as a tree of nodes has it."""
    found = None
    for place, octet in enumerate(number):
        if not any(p.startswith(number[:place]) and len(p) > place for p in prefixes):
            break
        if octet == "+":
            return None
        if number[: place + 1] in prefixes:
            found = number[: place + 1]
    return found


def test_nodes_are_the_heads_of_prefixes() -> None:
    chance = random.Random(6)
    for _ in range(50):
        prefixes = {"".join(chance.choices("012", k=chance.randint(1, 6))) for _ in range(15)}
        heads = {prefix[:place] for prefix in prefixes for place in range(len(prefix))}
        assert tree(dict.fromkeys(prefixes, "x")).facts.nodes == len(heads)


def test_destinations() -> None:
    assert destinations([]) == []
    # Of equal weight: in the order of the text.
    assert destinations([(b"1", [b"5=1;6=1;7=2"])]) == [(7, 2), (5, 1), (6, 1)]
    assert destinations([(b"1", [b"5=9;x=3;6"]), (b"12", [b"5=1"])]) == [(5, 1), (6, 0)]
    many = b";".join(b"%d=1" % number for number in range(1, 100))
    assert len(destinations([(b"1", [many])])) == 64
