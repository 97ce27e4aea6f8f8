"""The pseudo-variables $sht, $shtex, $shtinc, $shtdec, $shtcn and $shtcv.

Owns the notation table=>key; it is compiled once, so that reading a value costs its look-up.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.modules.hash_tables.table import HashTable
from kamailiod.modules.hash_tables.tables import HashTables
from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Accessor, Getter, Setter, Specification

_KEY = re.compile(rb"\s*([^=\s]+)\s*=>(.*)\Z", re.DOTALL)

Key = Callable[[Context], bytes]
Make = Callable[[HashTable, Key], tuple[Getter, Setter | None]]


def split_key(text: bytes) -> tuple[bytes, bytes] | None:
    """Return table and key of `table=>key`, None when it is not that; blanks are the key's."""
    match = _KEY.match(text)
    return None if match is None else (match.group(1), match.group(2))


class TableVariables:
    """Makes accessors; `formatter` gives what expands the variables in a text."""

    def __init__(
        self, tables: HashTables, formatter: Callable[[bytes], Callable[[Context], bytes]]
    ) -> None:
        self._tables = tables
        self._formatter = formatter

    def accessor(self, specification: Specification, make: Make) -> Accessor | None:
        """Return the accessor of a variable; an unknown table holds nothing and takes nothing."""
        found = split_key(specification.inner)
        if found is None:
            return None
        name, template = found
        key = self._formatter(template) if b"$" in template else lambda context: template
        table = self._tables.get(name)
        if table is not None:
            return Accessor(*make(table, key))
        return self._later(name, key, make)

    def _later(self, name: bytes, key: Key, make: Make) -> Accessor:
        # Compiled before the tables are made, or of a table that there is not.
        def get(context: Context) -> Value:
            table = self._tables.get(name)
            return None if table is None else make(table, key)[0](context)

        def set(context: Context, value: Value) -> bool:
            table = self._tables.get(name)
            setter = None if table is None else make(table, key)[1]
            return setter is not None and setter(context, value)

        return Accessor(get, set)


def value(table: HashTable, key: Key) -> tuple[Getter, Setter]:
    """Make $sht: a value; nothing removes it."""
    read, write, delete = table.get, table.set, table.delete

    def get(context: Context) -> Value:
        return read(key(context))

    def set(context: Context, value: Value) -> bool:
        if value is None:
            delete(key(context))
            return True
        return write(key(context), value)

    return get, set


def lifetime(table: HashTable, key: Key) -> tuple[Getter, Setter]:
    """Make $shtex: how many seconds a value lives on; a text written lets it live for ever."""

    def set(context: Context, value: Value) -> bool:
        return table.set_lifetime(key(context), value if isinstance(value, int) else 0)

    return lambda context: table.seconds_left(key(context)), set


def increment(table: HashTable, key: Key) -> tuple[Getter, None]:
    """Make $shtinc: add 1 and read."""
    return lambda context: table.add(key(context), 1), None


def decrement(table: HashTable, key: Key) -> tuple[Getter, None]:
    """Make $shtdec: take 1 off and read."""
    return lambda context: table.add(key(context), -1), None


def count_names(table: HashTable, key: Key) -> tuple[Getter, None]:
    """Make $shtcn: how many names an expression fits."""
    return lambda context: table.count(key(context), by_value=False), None


def count_values(table: HashTable, key: Key) -> tuple[Getter, None]:
    """Make $shtcv: how many values an expression fits."""
    return lambda context: table.count(key(context), by_value=True), None
