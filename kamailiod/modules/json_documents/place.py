"""Places in a document by path, `a.b[2].c`: what stands there, and putting something there.

Owns the grammar of paths as Kamailio's jansson module reads them.
"""

from __future__ import annotations

import re
from itertools import pairwise

from kamailiod.modules.json_documents.document import DocumentError, Node

_KEY = re.compile(r"[^.\[]*")
_INDEX = re.compile(r"\[([^\]]*)\]")

Step = str | int


def steps_of(path: str) -> list[Step]:
    """Split a path; an empty last key is that of a path which ends with a dot, or is empty.

    Raises DocumentError.
    """
    steps: list[Step] = []
    position = 0
    if not path.startswith("["):
        key = _KEY.match(path)
        assert key is not None  # it matches the empty text too
        steps.append(key.group())
        position = key.end()
    while position < len(path):
        if path[position] == ".":
            key = _KEY.match(path, position + 1)
            assert key is not None  # as above
            steps.append(key.group())
            position = key.end()
            continue
        index = _INDEX.match(path, position)
        if index is None:
            raise DocumentError(f"a bad path: {path[:64]}")
        steps.append(_number(index.group(1)))
        position = index.end()
    return steps


def get(document: Node, path: str) -> Node:
    """Return what stands at a place; raises DocumentError when there is nothing."""
    node = document
    steps = steps_of(path)
    if steps[-1] == "":
        steps.pop()
    for step in steps:
        node = _child(node, step)
    return node


def put(document: Node, path: str, value: Node) -> None:
    """Put a value at a place; missing objects on the way are made. Raises DocumentError."""
    *way, last = steps_of(path)
    if last == "":
        raise DocumentError("a path without an end")
    parent = _walk(document, way, last)
    if isinstance(last, int):
        _child(parent, last)
        assert isinstance(parent, list)  # it has a child of that index
        parent[last] = value
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise DocumentError(f"no object for {last[:64]}")


def append(document: Node, path: str, value: Node) -> None:
    """Append a value to an array, or update an object by one; raises DocumentError.

    What a path with an index at its end names is replaced, as in Kamailio.
    """
    *way, last = steps_of(path)
    if isinstance(last, int):
        put(document, path, value)
        return
    target = _walk(document, way, last)
    if last:
        target = _child(target, last)
    if isinstance(target, list):
        target.append(value)
    elif isinstance(target, dict) and isinstance(value, dict):
        target.update(value)
    else:
        raise DocumentError("neither an array, nor objects both")


def _walk(document: Node, way: list[Step], last: Step) -> Node:
    node = document
    for step, following in pairwise((*way, last)):
        missing = isinstance(node, dict) and isinstance(step, str) and step not in node
        if missing and step and isinstance(following, str):
            assert isinstance(node, dict) and isinstance(step, str)  # it is missing there
            node[step] = {}
        node = _child(node, step)
    return node


def _child(node: Node, step: Step) -> Node:
    if isinstance(step, str):
        if isinstance(node, dict) and step in node:
            return node[step]
    elif isinstance(node, list) and 0 <= step < len(node):
        return node[step]
    raise DocumentError(f"nothing at {str(step)[:64]}")


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise DocumentError(f"a bad index: {text[:64]}") from None
