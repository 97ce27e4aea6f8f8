"""{param.*}: lists of `name=value` parts between delimiters."""

from __future__ import annotations

import re

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import integer, plain_text

Pair = tuple[bytes, bytes]


def pairs(text: bytes, delimiter: bytes = b";") -> list[Pair]:
    """Cut a list into names and values; a delimiter inside double quotes does not count."""
    mark = re.escape(delimiter[:1] or b";")
    found = []
    for part in re.findall(rb'(?:"(?:[^"\\]|\\.)*"|[^' + mark + rb'"]|")+', text):
        name, _, value = part.strip().partition(b"=")
        value = value.strip()
        if len(value) > 1 and value[:1] == b'"' and value[-1:] == b'"':
            value = value[1:-1]
        if name.strip():
            found.append((name.strip(), value))
    return found


def _value(value: Value, name: Value, delimiter: Value = b";") -> Value:
    if not plain_text(value).strip():
        return None
    found = _find(value, name, delimiter)
    return found[1] if found is not None else b""


def _contains(value: Value, name: Value, delimiter: Value = b";") -> Value:
    if not plain_text(value).strip():
        return None
    return 0 if _find(value, name, delimiter) is None else 1


def _find(value: Value, name: Value, delimiter: Value) -> Pair | None:
    wanted = plain_text(name).strip().lower()
    for pair in pairs(plain_text(value), plain_text(delimiter)):
        if pair[0].lower() == wanted:
            return pair
    return None


def _at(value: Value, index: Value, delimiter: Value) -> Pair | tuple[None, None]:
    if not plain_text(value).strip():
        return None, None
    found = pairs(plain_text(value), plain_text(delimiter))
    place = integer(index)
    return found[place] if -len(found) <= place < len(found) else (b"", b"")


def _value_at(value: Value, index: Value, delimiter: Value = b";") -> Value:
    return _at(value, index, delimiter)[1]


def _name_at(value: Value, index: Value, delimiter: Value = b";") -> Value:
    return _at(value, index, delimiter)[0]


def _count(value: Value, delimiter: Value = b";") -> Value:
    text = plain_text(value)
    return len(pairs(text, plain_text(delimiter))) if text.strip() else None


OPERATIONS = {
    b"param.value": Operation(_value, 1, 2),
    b"param.in": Operation(_contains, 1, 2),
    b"param.valueat": Operation(_value_at, 1, 2),
    b"param.name": Operation(_name_at, 1, 2),
    b"param.count": Operation(_count, 0, 1),
}
