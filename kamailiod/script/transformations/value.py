"""{val.*}: what stands for nothing, and texts inside JSON."""

from __future__ import annotations

import json

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text


def _number(value: Value) -> Value:
    return 0 if value is None else value


def _text(value: Value) -> Value:
    return b"" if value is None else value


def _json(value: Value) -> Value:
    text = plain_text(value).decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")


def _quoted_json(value: Value) -> Value:
    return b'"%s"' % plain_text(_json(value))


OPERATIONS = {
    b"val.n0": Operation(_number, takes_nothing=True),
    b"val.ne": Operation(_text, takes_nothing=True),
    b"val.json": Operation(_json, takes_nothing=True),
    b"val.jsonqe": Operation(_quoted_json, takes_nothing=True),
}
