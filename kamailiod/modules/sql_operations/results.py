"""Results of queries by the names that scripts gave them, and the values in them.

Owns what a script may ask of a result; it must not know how it came.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kamailiod.script.context import Context, Route, Value
from kamailiod.script.database import QueryResult

_NOTE = "sqlops"
_EXACT = 2**53
NONE = QueryResult()

_ASKED = re.compile(
    rb"\s*(?P<name>[^=\s]+)\s*=>\s*(?:(?P<what>rows|cols)"
    rb"|colname\s*\[\s*(?P<title>\d+)\s*\]"
    rb"|\[\s*(?P<row>\d+)\s*,\s*(?P<column>\d+)\s*\])\s*\Z"
)


class Results:
    """The results of requests, at most `limit` names each.

    They belong to their request, as two may interleave at a wait.  What runs without one (mod_init,
    events) leaves its results to the whole process.
    """

    __slots__ = ("_limit", "_standing")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._standing: dict[bytes, QueryResult] = {}

    def find(self, context: Context, name: bytes) -> QueryResult:
        """Return the result of this name; an empty one when there is none."""
        return self._own(context).get(name) or self._standing.get(name) or NONE

    def has_room(self, context: Context, name: bytes) -> bool:
        """Whether a result of this name can be kept."""
        own = self._own(context)
        return name in own or len(own) < self._limit

    def keep(self, context: Context, name: bytes, result: QueryResult) -> None:
        """Keep a result in the place of what had this name."""
        self._own(context)[name] = result

    def free(self, context: Context, name: bytes) -> None:
        """Forget a result."""
        # An empty one hides that of the process.
        own = self._own(context)
        own.pop(name, None)
        if name in self._standing:
            own[name] = NONE

    def _own(self, context: Context) -> dict[bytes, QueryResult]:
        if context.route == Route.EVENT and context.transaction is None:
            return self._standing
        own = context.shared.notes.get(_NOTE)
        if not isinstance(own, dict):
            own = context.shared.notes[_NOTE] = {}
        return own


def cell(result: QueryResult, row: int, column: int) -> Value:
    """Return a value as scripts see it: None for NULL and for what is not there."""
    if not (0 <= row < len(result.rows) and 0 <= column < len(result.columns)):
        return None
    return value_of(result.rows[row][column])


def value_of(value: object) -> Value:
    """Return a database's value as a script's: whole numbers, else text; NULL is None."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, int):
        # Lua's numbers are exact so far.
        return int(value) if -_EXACT <= value <= _EXACT else b"%d" % value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return str(value).encode("utf-8", "surrogateescape")


def asked(results: Results, context: Context, inner: bytes) -> Value:
    """Return what `$dbr(inner)` stands for."""
    parsed = _parse(inner)
    if parsed is None:
        return None
    name, what, first, second = parsed
    result = results.find(context, name)
    if what == b"rows":
        return len(result.rows)
    if what == b"cols":
        return len(result.columns)
    if what == b"colname":
        return result.columns[first].encode() if first < len(result.columns) else None
    return cell(result, first, second)


@lru_cache(maxsize=1024)
def _parse(inner: bytes) -> tuple[bytes, bytes, int, int] | None:
    match = _ASKED.match(inner)
    if match is None:
        return None
    if match["what"]:
        return match["name"], match["what"], 0, 0
    if match["title"]:
        return match["name"], b"colname", int(match["title"]), 0
    return match["name"], b"", int(match["row"]), int(match["column"])
