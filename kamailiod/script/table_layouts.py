"""Kamailio's tables by name, and making them in a database of any kind.

Owns no layout: those are data in kamailio_tables.py.
"""

from __future__ import annotations

import sqlite3
from asyncio import AbstractEventLoop
from collections.abc import Iterable

from kamailiod.script.database import DatabaseError, parse_url
from kamailiod.script.databases import Databases
from kamailiod.script.kamailio_tables import TABLES
from kamailiod.script.log import ERROR, Log
from kamailiod.script.sqlite_database import create_file

LAYOUTS = {table.name: table for table in TABLES}


def create_tables(url: str, names: Iterable[str] = ()) -> list[str]:
    """Make tables of Kamailio's layout, all without names, in a database; blocks.

    What is there stays as it is; a SQLite file is made when it is absent.  Returns the names.
    Raises DatabaseError with what the database said.
    """
    wanted = list(names) or list(LAYOUTS)
    unknown = [name for name in wanted if name not in LAYOUTS]
    if unknown:
        raise DatabaseError(f"no layout of a table {', '.join(unknown)}")
    scheme = parse_url(url).scheme
    statements = list(LAYOUTS["version"].statements(scheme))
    statements.append(LAYOUTS["version"].version_statement(scheme))
    for name in wanted:
        statements += LAYOUTS[name].statements(scheme)
        statements.append(LAYOUTS[name].version_statement(scheme))
    _run(url, statements)
    return wanted


def _run(url: str, statements: list[str]) -> None:
    parsed = parse_url(url)
    if parsed.scheme == "sqlite":
        try:
            create_file(parsed.name, statements)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"{parsed}: {error}") from error
        return
    said: list[str] = []
    log = Log(ERROR, write=lambda level, line: said.append(line))
    database = Databases(_no_loop, log).database(url)
    for statement in statements:
        if database.execute_blocking(statement, {}) is None:
            raise DatabaseError(said[-1] if said else f"{parsed} fails")


def _no_loop() -> AbstractEventLoop:
    raise AssertionError("what blocks asks for no loop")
