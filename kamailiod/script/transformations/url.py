"""{url.*}: path and query of an HTTP request target."""

from __future__ import annotations

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text


def _path(value: Value) -> Value:
    return plain_text(value).partition(b"?")[0]


def _query(value: Value) -> Value:
    return plain_text(value).partition(b"?")[2]


OPERATIONS = {b"url.path": Operation(_path), b"url.querystring": Operation(_query)}
