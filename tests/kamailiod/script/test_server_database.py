"""ServerDatabase against real servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Iterator
from datetime import datetime
from typing import TypeVar

import pytest

from kamailiod.script.database import Outcome
from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.table_layouts import LAYOUTS, create_tables
from kamailiod.script.write_queue import WriteQueue
from tests.database_servers import PASSWORD, DatabaseServer

T = TypeVar("T")

INSERT = "INSERT INTO t (name, number, time) VALUES (:name, :number, :time)"
QUERY = "SELECT name, number, time FROM t WHERE name = :name ORDER BY number"
NOON = datetime(2026, 1, 2, 12, 0, 0)


class World:
    """One server, one loop, one set of databases."""

    def __init__(self, server: DatabaseServer) -> None:
        self.server = server
        self.lines: list[str] = []
        self.loop = asyncio.new_event_loop()
        log = Log(DEBUG, write=lambda level, text: self.lines.append(text))
        self.databases = Databases(lambda: self.loop, log)
        self.database = self.databases.database(server.url)
        self.database.execute_blocking("DROP TABLE IF EXISTS t", {})
        made = self.database.execute_blocking(
            "CREATE TABLE t (name VARCHAR(9) UNIQUE NOT NULL, number INT, time TIMESTAMP NULL)", {}
        )
        assert made is not None

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.loop.run_until_complete(awaited())

    def insert(self, name: str, number: object = 1) -> int | None:
        row = {"name": name, "number": number, "time": NOON}
        return self.run(self.database.execute(INSERT, row))

    def write(self, statement: str = INSERT, **row: object) -> Outcome:
        values = {"name": "a", "number": 1, "time": NOON, **row}
        return self.run(self.database.write(statement, values))

    def close(self) -> None:
        for database in self.databases._open.values():
            if isinstance(database, ServerDatabase):
                self.run(database.close())
        self.loop.close()


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def world(server: DatabaseServer) -> Iterator[World]:
    made = World(server)
    yield made
    made.close()
    assert PASSWORD not in "\n".join(made.lines)


def test_reading_and_writing(world: World) -> None:
    assert world.insert("a'--", 7) == 1
    database = world.database
    assert world.run(database.fetch(QUERY, {"name": "a'--"})) == [("a'--", 7, NOON)]
    assert world.run(database.fetch(QUERY, {"name": "nobody"})) == []
    assert database.fetch_at_once(QUERY, {"name": "a'--"}) is None
    assert world.run(database.execute("DELETE FROM t WHERE number < :most", {"most": 9})) == 1
    assert world.lines == []


def test_the_blocking_variants(world: World) -> None:
    row = {"name": "b", "number": None, "time": None}
    assert world.database.execute_blocking(INSERT, row) == 1
    assert world.database.fetch_blocking(QUERY, {"name": "b"}) == [("b", None, None)]

    async def on_a_running_loop() -> object:
        return world.database.fetch_blocking(QUERY, {"name": "b"})

    assert world.run(on_a_running_loop()) == [("b", None, None)]
    assert world.database.execute_blocking(INSERT, row) is None, "not unique"
    assert world.database.write_blocking(INSERT, row) is Outcome.REFUSED


def test_many_at_once_share_a_small_pool(world: World) -> None:
    names = [f"n{number}" for number in range(40)]

    async def all_of_them() -> list[int | None]:
        return await asyncio.gather(
            *(
                world.database.execute(INSERT, {"name": name, "number": 1, "time": NOON})
                for name in names
            )
        )

    assert world.run(all_of_them()) == [1] * 40
    assert world.run(world.database.fetch("SELECT COUNT(*) FROM t", {})) == [(40,)]
    assert world.databases.database(world.server.url) is world.database


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (INSERT, {"name": "a"}),
        (INSERT, {"name": None}),
        (INSERT, {"name": "longer than nine"}),
        (INSERT, {"name": object()}),
        ("INSERT INTO nowhere VALUES (:name)", {}),
        ("INSERT INTO t (nothing) VALUES (:name)", {}),
        ("INSERT INTO t VALUES (", {}),
    ],
    ids=["unique", "null", "length", "type", "table", "column", "syntax"],
)
def test_what_will_never_be_taken_is_refused(
    world: World, statement: str, row: dict[str, object]
) -> None:
    world.insert("a")
    assert world.write(statement, **row) is Outcome.REFUSED
    assert "refuses a row" in world.lines[-1]
    assert world.write(name="b") is Outcome.WRITTEN


def test_a_statement_that_takes_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.server_database.TIMEOUT", 0.2)
    sleep = "SELECT pg_sleep(5)" if "postgres" in world.server.url else "SELECT SLEEP(5)"
    assert world.run(world.database.fetch(sleep, {})) is None
    assert world.run(world.database.write(sleep, {})) is Outcome.UNREACHABLE
    assert len(world.lines) == 1 and "TimeoutError" in world.lines[0]
    monkeypatch.undo()
    assert world.insert("after") == 1
    assert "works again" in world.lines[1]


def test_a_server_that_is_killed_and_comes_back(world: World) -> None:
    assert world.insert("a") == 1
    losses: list[None] = []
    queue = WriteQueue(world.database, 9, lambda: losses.append(None))
    queue.start(world.loop)
    world.server.kill()
    try:
        assert world.insert("b") is None
        assert world.run(world.database.fetch(QUERY, {"name": "a"})) is None
        assert world.database.fetch_blocking(QUERY, {"name": "a"}) is None
        queue.put(INSERT, {"name": "c", "number": 1, "time": NOON})
        world.run(asyncio.sleep(0.05))
        assert queue.pending == 1
    finally:
        world.server.start()
    assert world.insert("d") == 1

    async def settled() -> None:
        while queue.pending:
            await asyncio.sleep(0.01)

    world.run(asyncio.wait_for(settled(), 10))
    names = world.run(world.database.fetch("SELECT name FROM t ORDER BY name", {}))
    assert names == [("a",), ("c",), ("d",)]
    assert not losses
    assert len([line for line in world.lines if " fails: " in line]) == 1
    assert len([line for line in world.lines if "works again" in line]) == 1


def test_a_wrong_password(world: World) -> None:
    url = world.server.url.replace(PASSWORD, "hunter2")
    database = world.databases.database(url)
    assert world.run(database.fetch("SELECT 1", {})) is None
    assert world.run(database.write("SELECT 1", {})) is Outcome.UNREACHABLE
    assert database.fetch_blocking("SELECT 1", {}) is None
    assert len(world.lines) == 1
    assert "hunter2" not in world.lines[0]


def test_one_that_accepts_and_says_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.server_database.TIMEOUT", 0.2)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = world.server.url.replace(str(world.server.port), str(listener.getsockname()[1]))
        database = world.databases.database(url)
        assert world.run(database.fetch("SELECT 1", {})) is None
        assert database.fetch_blocking("SELECT 1", {}) is None


def test_kamailios_tables(world: World) -> None:
    assert create_tables(world.server.url) == list(LAYOUTS)
    create_tables(world.server.url)
    versions = world.run(world.database.fetch("SELECT table_name, table_version FROM version", {}))
    assert versions is not None
    assert set(versions) == {(name, table.version) for name, table in LAYOUTS.items()}
    insert = "INSERT INTO subscriber (username, domain) VALUES ('a', 'b')"
    assert world.write(insert) is Outcome.WRITTEN
    assert world.write(insert) is Outcome.REFUSED
    for name in LAYOUTS:
        statement = f"DROP TABLE {name}"
        assert world.run(world.database.execute(statement, {})) is not None
