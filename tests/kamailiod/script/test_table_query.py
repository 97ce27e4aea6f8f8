"""Questions to tables: at once, after a wait, and by names that cannot be a table's."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from kamailiod.script.database import DatabaseError
from kamailiod.script.table_query import Rows, TableQuery, cell
from lua import Wait
from tests.kamailiod.fakes import FakeServices


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "q.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b INTEGER, c TEXT)")
        connection.execute("INSERT INTO t VALUES ('x', 1, 'y'), ('x', 2, 'z')")
    return file


def query(services: FakeServices, path: Path, *keys: str) -> TableQuery:
    database = services.databases.database(f"sqlite:///{path}")
    return TableQuery(database, services.log, "test", ("b", "c"), keys)


def test_an_answer_at_once(services: FakeServices, path: Path) -> None:
    asked: list[Rows] = []

    def answer(rows: Rows) -> int:
        asked.append(rows)
        return 7

    both = query(services, path, "a", "c")
    assert both.ask(b"t", [b"x", b"z"], answer) == 7
    assert both.ask(b"t", [b"x' OR 1 OR '", b"\xff"], answer) == 7
    assert asked == [[(2, "z")], []]


def test_what_is_no_table_is_a_failure(services: FakeServices, path: Path) -> None:
    one = query(services, path, "a")
    assert one.ask(b"t; DROP TABLE t", [b"x"], lambda rows: -5 if rows is None else 1) == -5
    assert any("not a name of a table" in line for line in services.lines)
    with pytest.raises(DatabaseError):
        query(services, path, "a = a OR b")


def test_many_tables_are_no_leak(services: FakeServices, path: Path) -> None:
    one = query(services, path, "a")
    for number in range(600):
        one.ask(b"t%d" % number, [b"x"], lambda rows: 1)
    assert one.ask(b"t", [b"x"], lambda rows: len(rows or ())) == 2
    assert len(one._statements) <= 256


def test_a_locked_file_is_waited_for(services: FakeServices, path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        found = query(services, path, "a").ask(b"t", [b"x"], lambda rows: len(rows or ()))
        assert isinstance(found, Wait)
        writer.execute("COMMIT")
        writer.close()

        async def awaited() -> object:
            return await found.awaitable_factory()

        assert runner.run(awaited()) == 2


def test_cells() -> None:
    assert [cell(value) for value in (None, b"x", "ä", 5)] == [b"", b"x", "ä".encode(), b"5"]
