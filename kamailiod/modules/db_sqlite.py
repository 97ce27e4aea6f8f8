"""Module db_sqlite: gives loadmodule "db_sqlite.so" its name.

SQLite is always there (script/sqlite_database.py); this owns only the modparams.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.module import Module, Params


@dataclass(frozen=True, slots=True)
class DbSqliteParams(Params):
    """Kamailio's modparams of db_sqlite."""

    db_set_readonly: list[str] = field(default_factory=list)
    db_set_journal_mode: list[str] = field(default_factory=list)
    db_set_busy_timeout: list[str] = field(default_factory=list)


class DbSqlite(Module):
    """The driver of sqlite:// URLs."""

    name: ClassVar[str] = "db_sqlite"
    Params: ClassVar[type[DbSqliteParams]] = DbSqliteParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "db_set_readonly",
        "db_set_journal_mode",
        "db_set_busy_timeout",
    )
