from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from kamailiod.script.database import DatabaseError, identifier, parse_url
from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.sqlite_database import SqliteDatabase, create_file


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def databases(lines: list[str]) -> Databases:
    log = Log(DEBUG, write=lambda level, text: lines.append(text))
    return Databases(asyncio.get_running_loop, log)


def make(path: Path, *names: str) -> None:
    create_file(str(path), ("CREATE TABLE IF NOT EXISTS t (name VARCHAR(9) UNIQUE)",))
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO t VALUES (?)", [(name,) for name in names])
    connection.close()


def test_urls() -> None:
    mysql = parse_url("mysql://u:p%40w@db.example.com:3307/kamailio")
    assert (mysql.user, mysql.password, mysql.host, mysql.port, mysql.name) == (
        "u", "p@w", "db.example.com", 3307, "kamailio",
    )  # fmt: skip
    assert "p@w" not in repr(mysql) and "p@w" not in str(mysql)
    assert parse_url("postgres://u@[::1]/k").host == "::1"
    assert parse_url("sqlite:////var/lib/k.db").name == "/var/lib/k.db"
    assert parse_url("sqlite:///k.db").name == "k.db"


@pytest.mark.parametrize("url", ["", "x", "text:///tmp/db", "mysql://u:secret@h", "sqlite://h/f"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "a;b", "", "1a", "a'", "a--"])
def test_names_of_tables_are_checked(name: str) -> None:
    with pytest.raises(DatabaseError):
        identifier(name)
    assert identifier("subscriber_2") == "subscriber_2"


def test_a_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "k.db"
    make(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(path.parent).st_mode & 0o777 == 0o700


def test_reading_and_writing(tmp_path: Path, databases: Databases) -> None:
    make(tmp_path / "k.db", "a")
    database = databases.database(f"sqlite:///{tmp_path}/k.db")
    assert databases.database(f"sqlite:///{tmp_path}/k.db") is database

    async def run() -> None:
        insert = "INSERT INTO t VALUES (:name)"
        assert await database.execute(insert, {"name": "b'--"}) == 1
        assert await database.execute(insert, {"name": "b'--"}) is None, "not unique"
        query = "SELECT name FROM t WHERE name = :name"
        assert database.fetch_at_once(query, {"name": "b'--"}) == [("b'--",)]
        assert await database.fetch(query, {"name": "nobody"}) == []
        assert await database.execute("DELETE FROM t", {}) == 2

    asyncio.run(run())


def test_a_dead_database_is_none_and_heals(
    tmp_path: Path, databases: Databases, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.db"
    database = databases.database(f"sqlite:///{path}")

    async def run() -> None:
        query = "SELECT name FROM t"
        for _ in range(3):
            assert database.fetch_at_once(query, {}) is None
            assert await database.fetch(query, {}) is None
        assert len(lines) == 1, "one line, not one a statement"
        make(path, "a")
        assert database.fetch_at_once(query, {}) == [("a",)]
        assert "works again" in lines[1]
        path.unlink()
        make(path, "replaced")
        assert database.fetch_at_once(query, {}) == [("a",)]
        later = time.monotonic() + 1.1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        assert database.fetch_at_once(query, {}) == [("replaced",)]

    asyncio.run(run())


def test_a_locked_file_is_waited_for_without_blocking(tmp_path: Path, databases: Databases) -> None:
    path = tmp_path / "k.db"
    make(path, "a")
    database = databases.database(f"sqlite:///{path}")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")

    async def run() -> None:
        query = "SELECT name FROM t"
        assert database.fetch_at_once(query, {}) is None
        waiting = asyncio.ensure_future(database.fetch(query, {}))
        await asyncio.sleep(0)
        assert not waiting.done()
        writer.execute("COMMIT")
        assert await waiting == [("a",)]

    asyncio.run(run())
    writer.close()


def test_a_lock_is_given_up_in_time(
    tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kamailiod.script.sqlite_database.TIMEOUT", 0.05)
    path = tmp_path / "k.db"
    make(path, "a")
    database = databases.database(f"sqlite:///{path}")
    assert isinstance(database, SqliteDatabase)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")

    async def run() -> None:
        assert await database.fetch("SELECT name FROM t", {}) is None
        assert await database.execute("DELETE FROM t", {}) is None

    asyncio.run(run())
    writer.close()


def test_a_server_that_is_not_there_is_none_and_keeps_its_password(
    databases: Databases, lines: list[str]
) -> None:
    database = databases.database("mysql://u:hunter2@127.0.0.1:1/kamailio")
    assert database.fetch_at_once("SELECT 1", {}) is None

    async def run() -> None:
        assert await database.fetch("SELECT 1", {}) is None
        assert await database.execute("SELECT 1", {}) is None

    asyncio.run(run())
    assert len(lines) == 1
    assert "hunter2" not in lines[0]
    assert "mysql://127.0.0.1/kamailio" in lines[0]
