"""The replies a request has got, by the names its script gave them, and how $redis reads them.

Owns the notation behind `=>` and the numbers of types (hiredis.h); it asks no server.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kamailiod.script.context import Value
from kamailiod.script.redis_reply import ErrorReply, Reply, Status

STRING, ARRAY, INTEGER, NIL, STATUS, ERROR = 1, 2, 3, 4, 5, 6

TYPES = {
    b"rpl_str": STRING, b"rpl_arr": ARRAY, b"rpl_int": INTEGER, b"rpl_nil": NIL,
    b"rpl_sts": STATUS, b"rpl_err": ERROR,
}  # fmt: skip

_NAME = re.compile(rb"\s*([^=\s]+)\s*=>\s*(.*\S)\s*\Z", re.DOTALL)
# key = *( "value" "[" index "]" "=>" ) ( "value" / "type" ) [ "[" index "]" ] / "info" / "size"
_STEP = re.compile(rb"(value|type|info|size)\s*(?:\[\s*(-?\d+)\s*\])?\s*(?:=>\s*|\Z)")

Step = tuple[bytes, int | None]


class NoReply:
    """Stands for a reply that has been freed or has not come."""

    __slots__ = ()


NO_REPLY = NoReply()
Held = Reply | NoReply


@lru_cache(maxsize=1024)
def parse_path(text: bytes) -> tuple[bytes, tuple[Step, ...]] | None:
    """Take `name=>value[1]=>type` apart: the name and the steps; None when it is not that."""
    match = _NAME.match(text)
    if match is None:
        return None
    steps: list[Step] = []
    rest, at = match.group(2), 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if step is None:
            return None
        index = None if step.group(2) is None else int(step.group(2))
        steps.append((step.group(1), index))
        at = step.end()
    *ways, (key, last) = steps
    if any(way != b"value" or index is None for way, index in ways):
        return None
    return None if key in (b"info", b"size") and last is not None else (
        match.group(1), tuple(steps)
    )  # fmt: skip


def read(reply: Held, steps: tuple[Step, ...]) -> Value:
    """Return what steps lead to in a reply; None where there is nothing."""
    for _, index in steps[:-1]:
        reply = _element(reply, index)
    key, index = steps[-1]
    if index is not None:
        reply = _element(reply, index)
    if isinstance(reply, NoReply):
        return None
    if key == b"type":
        return type_of(reply)
    if key == b"size":
        return len(reply) if isinstance(reply, list) else None
    if key == b"info":
        return bytes(reply) if isinstance(reply, bytes) else None
    return reply if isinstance(reply, int) or type(reply) is bytes else None


def type_of(reply: Reply) -> int:
    """Return the number of a reply's type."""
    if isinstance(reply, bytes):
        if isinstance(reply, Status):
            return STATUS
        return ERROR if isinstance(reply, ErrorReply) else STRING
    if isinstance(reply, int):
        return INTEGER
    return NIL if reply is None else ARRAY


def first_value(reply: Held) -> Value:
    """Return the first string or number of a reply, a status as its text; None without."""
    while isinstance(reply, list):
        if not reply:
            return None
        reply = reply[0]
    if isinstance(reply, NoReply | ErrorReply):
        return None
    return bytes(reply) if isinstance(reply, bytes) else reply


def _element(reply: Held, index: int | None) -> Held:
    if isinstance(reply, list) and index is not None and 0 <= index < len(reply):
        return reply[index]
    return NO_REPLY
