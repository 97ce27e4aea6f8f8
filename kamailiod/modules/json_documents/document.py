"""JSON texts, read and written as Kamailio's jansson module has them.

Owns that format and what of a document a variable can hold; knows no script.
"""

from __future__ import annotations

import json

from kamailiod.script.context import Value

Node = dict[str, "Node"] | list["Node"] | str | int | float | bool | None

_SMALL = 1 << 31
_LARGE = 1 << 63


class DocumentError(Exception):
    """A text that is no JSON document, or a place that a document does not have."""


def parse(text: bytes) -> Node:
    """Read an object or array of UTF-8 without repeated keys; raises DocumentError."""
    try:
        found: Node = json.loads(
            text.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse,
            parse_int=_integer, parse_float=lambda digits: _refuse_endless(float(digits)),
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(error)) from None
    if not isinstance(found, dict | list):
        raise DocumentError("neither an object nor an array")
    return found


def dump(node: Node, spaced: bool = False) -> bytes:
    """Write a node as text, without blanks unless `spaced`."""
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(node, ensure_ascii=False, separators=separators).encode("utf-8", "replace")


def value_of(node: Node) -> Value:
    """Return what a variable holds of a node: true is 1, objects and arrays are their texts.

    Reals, and integers of more than 32 bits, are texts.
    """
    if node is None or isinstance(node, bool):
        return None if node is None else int(node)
    if isinstance(node, int):
        return node if -_SMALL <= node < _SMALL else b"%d" % node
    if isinstance(node, float):
        return b"%.15g" % node
    return node.encode("utf-8", "replace") if isinstance(node, str) else dump(node)


def node_of(value: Value) -> Node:
    """Return a variable's value as node; raises DocumentError for what is no UTF-8."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise DocumentError("a text that is not UTF-8") from None


def typed(kind: bytes, text: bytes) -> Node:
    """Read a value of a named type: int, real, str, obj, array, true, false, null.

    Raises DocumentError.
    """
    if kind in (b"object", b"obj", b"array"):
        found = parse(text)
        if isinstance(found, list) != (kind == b"array"):
            raise DocumentError(f"no {kind.decode()}")
        return found
    if kind in (b"string", b"str"):
        return node_of(text)
    if kind in _WORDS:
        return _WORDS[kind]
    try:
        if kind in (b"integer", b"int"):
            return _integer(text.decode())
        if kind == b"real":
            return _refuse_endless(float(text))
    except ValueError:
        raise DocumentError(f"no {kind.decode()}: {text[:64]!r}") from None
    raise DocumentError(f"no type {kind[:64]!r}")


_WORDS: dict[bytes, Node] = {b"true": True, b"false": False, b"null": None}


def _unrepeated(pairs: list[tuple[str, Node]]) -> dict[str, Node]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a repeated key")
    return found


def _refuse(word: str) -> Node:
    raise ValueError(f"{word} is no JSON")


def _integer(text: str) -> int:
    number = int(text)
    if not -_LARGE <= number < _LARGE:
        raise ValueError("too large an integer")
    return number


def _refuse_endless(number: float) -> float:
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("no finite number")
    return number
