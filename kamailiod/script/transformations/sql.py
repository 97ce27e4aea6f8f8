r"""{sql.*}: values as they stand in a SQL statement.

Owns the quoting: `'` is doubled, not `\'` as Kamailio has it, which SQLite and PostgreSQL take for
the end of the string; `\` is doubled for MySQL.  Bound parameters need none of it.
"""

from __future__ import annotations

from kamailiod.script.context import Value
from kamailiod.script.transformations.operation import Operation
from kamailiod.script.variables.value import plain_text


def _quoted(value: Value) -> Value:
    if isinstance(value, int):
        return value
    text = plain_text(value)
    return b"'%b'" % text.replace(b"\\", b"\\\\").replace(b"'", b"''").replace(b"\0", b"\\0")


def _or_null(value: Value) -> Value:
    return b"NULL" if value is None else _quoted(value)


def _or_zero(value: Value) -> Value:
    return 0 if value is None else _quoted(value)


OPERATIONS = {
    b"sql.val": Operation(_or_null, takes_nothing=True),
    b"sql.val.int": Operation(_or_zero, takes_nothing=True),
    b"sql.val.str": Operation(_quoted, takes_nothing=True),
}
