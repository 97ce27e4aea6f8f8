"""Kamailio's tables in a SQLite file, filled by a test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kamailiod.script.table_layouts import create_tables


class SqliteTables:
    """A file with some tables of Kamailio's layout."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.path = folder / "tables.db"
        self.url = f"sqlite:///{self.path}"
        create_tables(self.url, names)

    def insert(self, table: str, **values: object) -> None:
        """Add a row."""
        marks = ", ".join("?" * len(values))
        names = ", ".join(values)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values.values())

    def run(self, statement: str, *values: object) -> None:
        """Run a statement."""
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute(statement, values)
        connection.close()

    def break_down(self) -> None:
        """Turn the file into something that is no database."""
        self.path.write_bytes(b"no database at all" * 100)

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """Keep the file locked until the connection commits."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        yield connection
        connection.close()
