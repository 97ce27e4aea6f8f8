"""{json.*}: what stands in a JSON text, and texts as parts of names.

Owns the lenient JSON of Kamailio's json module, which takes quotes of either kind; its functions
are in modules/json.py.
"""

from __future__ import annotations

import json
import re

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text

ESCAPE = "%"
"""What stands for a dot in a name of a path."""

MISSING = object()
"""Stands for what a document does not have."""

_STEP = re.compile(r"([^\[]*)(?:\[(\d+)\])?")
_PIECES = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'((?:[^'\\]|\\.)*)'|[^\"']+|[\"']", re.DOTALL)
_SAFE = re.compile(rb"[^A-Za-z0-9~_-]")


def read(text: bytes) -> object:
    """Read a JSON text, strings in '...' too, what follows it left out; raises ValueError."""
    plain = text.decode("utf-8", "replace").strip()
    decode = json.JSONDecoder().raw_decode
    try:
        try:
            return decode(plain)[0]
        except ValueError:
            return decode(_PIECES.sub(_double_quoted, plain))[0]
    except RecursionError:
        raise ValueError("nested too deeply") from None


def find(document: object, path: bytes, escape: str = ESCAPE) -> object:
    """Return what stands at a path of names and indices, `a.b[1].c`; MISSING for nothing."""
    node = document
    if not path:
        return node
    for part in path.decode("utf-8", "replace").split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            return MISSING
        name, index = match.group(1).replace(escape, "."), match.group(2)
        if name or index is None:
            node = node.get(name, MISSING) if isinstance(node, dict) else MISSING
        if index is not None and isinstance(node, list):
            node = node[int(index)] if int(index) < len(node) else MISSING
    return node


def shown(node: object, quoted: bool = False) -> bytes:
    """Return a node as text: strings as they are unless `quoted`, all else as JSON."""
    if isinstance(node, str) and not quoted:
        return node.encode("utf-8", "replace")
    return _spaced(node).encode("utf-8", "replace")


def _spaced(node: object) -> str:
    # As json-c writes by default: blanks inside brackets.
    if isinstance(node, dict):
        inner = ", ".join(f"{_spaced(key)}: {_spaced(value)}" for key, value in node.items())
        return f"{{ {inner} }}" if inner else "{ }"
    if isinstance(node, list):
        inner = ", ".join(map(_spaced, node))
        return f"[ {inner} ]" if inner else "[ ]"
    return json.dumps(node, ensure_ascii=False).replace("/", "\\/")


def _double_quoted(match: re.Match[str]) -> str:
    inner = match.group(1)
    if inner is None:
        return match.group()
    return '"' + re.sub(r"\\(.)|\"", _unquoted, inner) + '"'


def _unquoted(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped is None:
        return '\\"'
    return "'" if escaped == "'" else f"\\{escaped}"


def _parse(value: Value, path: Value) -> Value:
    found = _parse_or_nothing(value, path)
    return b"" if found is None else found


def _parse_or_nothing(value: Value, path: Value) -> Value:
    try:
        found = find(read(plain_text(value)), plain_text(path))
    except ValueError:
        return None
    return None if found is MISSING or found is None else shown(found)


def _encode(value: Value) -> Value:
    text = plain_text(value)
    if text in (b"#", b"*"):
        return text
    return _SAFE.sub(lambda match: b"+" if match[0] == b" " else b"%%%02X" % match[0][0], text)


OPERATIONS = {
    b"json.parse": Operation(_parse, 1),
    b"json.parsex": Operation(_parse_or_nothing, 1),
    b"json.encode": Operation(_encode),
}
