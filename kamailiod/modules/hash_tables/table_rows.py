"""A table's rows in a database: the statements, and values from rows and rows from values.

Owns Kamailio's layout (columns by modparams, key and value types); it runs no statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kamailiod.modules.hash_tables.definition import Definition
from kamailiod.script.database import Row, identifier
from kamailiod.script.variables.value import integer
from shm.stores.htable import Value

_ARRAY = 1
_INTEGER = 1
_ROWS_A_STATEMENT = 200

Statement = tuple[str, dict[str, object]]


class RowError(Exception):
    """A row of a table cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns, and whether `expires` is one of them (db_expires)."""

    key_name: str
    key_type: str
    value_type: str
    key_value: str
    expires: str
    with_expires: bool
    size_suffix: bytes


class TableRows:
    """The rows of one table; raises DatabaseError for names that cannot be columns or tables."""

    def __init__(self, definition: Definition, columns: Columns) -> None:
        self._definition = definition
        self._columns = columns
        self._with_expires = columns.with_expires and definition.lifetime > 0
        names = [columns.key_name, columns.key_type, columns.value_type, columns.key_value]
        if self._with_expires:
            names.append(columns.expires)
        self._names = [identifier(name) for name in definition.columns or names]
        self._table = identifier(definition.database_table)

    @property
    def can_be_saved(self) -> bool:
        """Whether values can be written back: not those joined of columns of one's own."""
        return not self._definition.columns

    def select(self) -> str:
        """Return the statement that reads all rows, those of an array one after the other."""
        return f"SELECT {', '.join(self._names)} FROM {self._table} ORDER BY {self._names[0]}"

    def values(self, rows: Sequence[Row], now: int) -> dict[bytes, tuple[Value, int]]:
        """Return values and the last seconds of their lives (0: as the table says) by key.

        Of an array's rows comes key[0], key[1] and so on, and their number as key::size.  Raises
        RowError.
        """
        if self._definition.columns:
            return {_key(row[0]): (self._joined(row[1:]), 0) for row in rows}
        found: dict[bytes, tuple[Value, int]] = {}
        lengths: dict[bytes, int] = {}
        for row in rows:
            last = _number(row[4]) if self._with_expires else 0
            if 0 < last < now:
                continue
            key = _key(row[0])
            if _number(row[1]) == _ARRAY:
                length = lengths.get(key, 0)
                lengths[key] = length + 1
                key = b"%s[%d]" % (key, length)
            found[key] = (_value(row[3], _number(row[2])), last)
        for key, length in lengths.items():
            found[key + self._columns.size_suffix] = (length, 0)
        return found

    def delete(self) -> Statement:
        """Return the statement that removes all rows."""
        return f"DELETE FROM {self._table}", {}

    def inserts(self, entries: Iterable[tuple[bytes, Value, int]]) -> Iterator[Statement]:
        """Go through the statements that write names, values and last seconds of lives."""
        part: list[tuple[bytes, Value, int]] = []
        for entry in entries:
            part.append(entry)
            if len(part) == _ROWS_A_STATEMENT:
                yield self._insert(part)
                part = []
        if part:
            yield self._insert(part)

    def _insert(self, entries: Sequence[tuple[bytes, Value, int]]) -> Statement:
        parameters: dict[str, object] = {}
        places: list[str] = []
        for number, (name, value, last) in enumerate(entries):
            kind = _INTEGER if isinstance(value, int) else 0
            fields = [_text(name), 0, kind, _text(value), last][: len(self._names)]
            keys = [f"p{number}_{column}" for column in range(len(fields))]
            parameters.update(zip(keys, fields, strict=True))
            places.append(f"({', '.join(':' + key for key in keys)})")
        names = ", ".join(self._names)
        return f"INSERT INTO {self._table} ({names}) VALUES {', '.join(places)}", parameters

    def _joined(self, fields: Sequence[object]) -> bytes:
        null = self._definition.null.encode()
        parts = [null if field is None else _octets(field) for field in fields]
        return self._definition.delimiter.encode().join(parts)


def _key(field: object) -> bytes:
    if field is None:
        raise RowError("a key is null")
    return _octets(field)


def _value(field: object, kind: int) -> Value:
    if field is None:
        raise RowError("a value is null")
    return integer(_octets(field)) if kind == _INTEGER else _octets(field)


def _octets(field: object) -> bytes:
    return field if isinstance(field, bytes) else str(field).encode("utf-8", "replace")


def _number(field: object) -> int:
    return field if isinstance(field, int) else integer(_octets(field)) if field else 0


def _text(value: Value) -> str:
    return str(value) if isinstance(value, int) else value.decode("utf-8", "replace")
