"""The layout of one database table as data, and the statements that make it.

Owns what differs between SQLite, PostgreSQL and MySQL; which tables there are is in
table_layouts.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from kamailiod.script.database import identifier


class Default(Enum):
    """What a column has that is given no value, unless it is a literal."""

    NULL = auto()
    NONE = auto()
    """Nothing: each row has to give a value."""


class Kind(Enum):
    """What a column holds; its size is characters of a text, decimals of a number."""

    TEXT = auto()
    INTEGER = auto()
    UNSIGNED = auto()
    SMALL = auto()
    REAL = auto()
    MOMENT = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `default` is a literal, or what Default names."""

    name: str
    kind: Kind
    size: int = 0
    default: str | int | float | Default = Default.NONE


@dataclass(frozen=True, slots=True)
class Key:
    """An index over columns; a unique one is a constraint."""

    name: str
    columns: tuple[str, ...]
    is_unique: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table with its version; each has a first column `id` that the database counts."""

    name: str
    version: int
    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()

    def statements(self, scheme: str, name: str = "") -> Iterator[str]:
        """Yield what makes this table unless it is there, under its own or another name."""
        name = identifier(name or self.name)
        dialect = _DIALECTS[scheme]
        parts = [dialect.identity]
        parts += [_column(column, dialect) for column in self.columns]
        parts += [_constraint(key, name, dialect) for key in self.keys if key.is_unique]
        indexes = [key for key in self.keys if not key.is_unique]
        if dialect.quote:
            # MySQL has no CREATE INDEX IF NOT EXISTS.
            parts += [f"INDEX {key.name} ({_names(key, dialect)})" for key in indexes]
            indexes = []
        quote = dialect.quote
        yield f"CREATE TABLE IF NOT EXISTS {quote}{name}{quote} ({', '.join(parts)})"
        for key in indexes:
            yield (
                f"CREATE INDEX IF NOT EXISTS {name}_{key.name} ON {name} ({_names(key, dialect)})"
            )

    def version_statement(self, scheme: str, name: str = "") -> str:
        """Return what writes the version of this table into the version table, once."""
        name = identifier(name or self.name)
        before, behind = _DIALECTS[scheme].unless_there
        return (
            f"INSERT {before}INTO version (table_name, table_version)"
            f" VALUES ('{name}', {self.version}){behind}"
        )


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of database says it."""

    identity: str
    kinds: dict[Kind, str]
    unless_there: tuple[str, str]
    quote: str = ""


_STANDARD_KINDS = {
    Kind.TEXT: "VARCHAR(%d)",
    Kind.INTEGER: "INTEGER",
    Kind.UNSIGNED: "INTEGER",
    Kind.SMALL: "SMALLINT",
    Kind.REAL: "REAL",
    Kind.MOMENT: "TIMESTAMP WITHOUT TIME ZONE",
}
_MYSQL_KINDS = {
    Kind.TEXT: "VARCHAR(%d)",
    Kind.INTEGER: "INT",
    Kind.UNSIGNED: "INT UNSIGNED",
    Kind.SMALL: "SMALLINT UNSIGNED",
    Kind.REAL: "FLOAT(10,%d)",
    Kind.MOMENT: "DATETIME",
}
_POSTGRES = Dialect(
    "id SERIAL PRIMARY KEY NOT NULL", _STANDARD_KINDS, ("", " ON CONFLICT DO NOTHING")
)
_DIALECTS = {
    "sqlite": Dialect("id INTEGER PRIMARY KEY NOT NULL", _STANDARD_KINDS, ("OR IGNORE ", "")),
    "postgres": _POSTGRES,
    "postgresql": _POSTGRES,
    "mysql": Dialect(
        "`id` INT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL", _MYSQL_KINDS, ("IGNORE ", ""), "`"
    ),
}


def _column(column: Column, dialect: Dialect) -> str:
    kind = dialect.kinds[column.kind]
    if "%" in kind:
        kind %= column.size
    return f"{dialect.quote}{column.name}{dialect.quote} {kind}{_default(column.default)}"


def _default(default: str | int | float | Default) -> str:
    if default is Default.NULL:
        return " DEFAULT NULL"
    if default is Default.NONE:
        return " NOT NULL"
    return f" DEFAULT {default!r} NOT NULL"


def _constraint(key: Key, table: str, dialect: Dialect) -> str:
    # A name of a constraint is MySQL's table's own, and the whole database's elsewhere.
    name = key.name if dialect.quote else f"{table}_{key.name}"
    return f"CONSTRAINT {name} UNIQUE ({_names(key, dialect)})"


def _names(key: Key, dialect: Dialect) -> str:
    return ", ".join(f"{dialect.quote}{name}{dialect.quote}" for name in key.columns)
