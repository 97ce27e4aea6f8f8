"""Statements of scripts on real databases: as they are, bound, slow, too many, on other loops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamailiod.script.database import DatabaseOptions, QueryResult
from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.server_database import ServerDatabase
from kamailiod.script.sqlite_database import create_file
from tests.database_servers import DatabaseServer

SLOW = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
)
SLEEP = {"postgres": "SELECT pg_sleep({})", "mysql": "SELECT SLEEP({})"}


class World:
    """The databases of a process of eight workers, its loop and its log."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.loop = asyncio.new_event_loop()
        log = Log(DEBUG, write=lambda level, text: self.lines.append(text))
        self.databases = Databases(lambda: self.loop, log, lambda: 8)

    def query(self, url: str, statement: str, *values: object) -> QueryResult | None:
        database = self.databases.database(url)
        return self.loop.run_until_complete(database.query(statement, values or None))

    def close(self) -> None:
        for database in self.databases._open.values():
            if isinstance(database, ServerDatabase):
                self.loop.run_until_complete(database.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    create_file(str(tmp_path / "q.db"), ["CREATE TABLE t (a INT UNIQUE, b TEXT)"])
    return f"sqlite:///{tmp_path}/q.db"


def test_a_slow_statement_on_sqlite_blocks_nobody(
    world: World, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kamailiod.script.sqlite_database.TIMEOUT", 0.3)
    database = world.databases.database(file)
    turns = 0

    async def main() -> QueryResult | None:
        nonlocal turns
        slow = asyncio.ensure_future(database.query(SLOW))
        while not slow.done():
            turns += 1
            assert await database.query("SELECT 1") is not None
        return await slow

    assert world.loop.run_until_complete(main()) is None
    assert turns > 10
    assert "took more than 0.3 s" in world.lines[0] and len(world.lines) == 1


def test_sqlite_files(world: World, file: str, tmp_path: Path) -> None:
    assert world.query(file, "INSERT INTO t VALUES (?, ?)", 1, "x") == QueryResult((), [], 1)
    assert world.query(file, "INSERT INTO t VALUES (1, 'y')") is None
    assert "refuses a statement: UNIQUE constraint failed: t.a" in world.lines[-1]
    assert world.query(file, "SELECT a, b FROM t") == QueryResult(("a", "b"), [(1, b"x")], 0)
    assert world.query(file, "SELECT \x1b[31m,\n") is None
    assert world.lines[-1].isprintable()
    (tmp_path / "q.db").unlink()
    assert world.query(file, "SELECT a FROM t") is None
    assert " fails: " in world.lines[-1]
    create_file(str(tmp_path / "q.db"), ["CREATE TABLE t (a INT)"])
    assert world.query(file, "SELECT a FROM t") == QueryResult(("a",), [], 0)
    assert "works again" in world.lines[-1]


def test_a_slow_statement_on_a_server(
    world: World, server: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.databases.configure(("postgres", "mysql"), DatabaseOptions(2, 0.3))
    began = time.monotonic()
    assert world.query(server.url, SLEEP[server.scheme].format(5)) is None
    assert time.monotonic() - began < 4
    assert "TimeoutError" in world.lines[0]
    assert world.query(server.url, "SELECT 1") is not None


def test_more_connections_than_the_server_allows(world: World, server: DatabaseServer) -> None:
    """PostgreSQL runs with 50 here: what is refused at first is done by those that there are."""
    world.databases.configure(("postgres", "mysql"), DatabaseOptions(70, 10.0, 10.0))
    database = world.databases.database(server.url)
    sleep = SLEEP[server.scheme].format(0.1)

    async def many() -> list[QueryResult | None]:
        return await asyncio.gather(*(database.query(sleep) for _ in range(120)))

    assert None not in world.loop.run_until_complete(many())
    assert world.lines == []


def test_connections_are_opened_when_they_are_needed(
    world: World, server: DatabaseServer
) -> None:
    world.databases.configure(("postgres", "mysql"), DatabaseOptions(9))
    database = world.databases.database(server.url)
    assert isinstance(database, ServerDatabase)

    async def many(statement: str, count: int) -> int:
        results = await asyncio.gather(*(database.query(statement) for _ in range(count)))
        assert None not in results
        return int(database._opened().pool.checkedin())  # type: ignore[attr-defined]  # a queue

    assert world.loop.run_until_complete(many("SELECT 1", 1)) == 1
    assert world.loop.run_until_complete(many(SLEEP[server.scheme].format(0.2), 20)) == 9


def test_what_a_process_may_open(world: World) -> None:
    def most(workers: int, options: DatabaseOptions | None = None) -> int:
        databases = Databases(lambda: None, Log(DEBUG), lambda: workers)
        if options is not None:
            databases.configure(("mysql",), options)
        return databases._options_of("mysql").connections

    assert [most(workers) for workers in (1, 2, 4, 8, 64)] == [32, 32, 20, 10, 4]
    assert most(2, DatabaseOptions(7)) == 7
    assert most(8, DatabaseOptions(timeout=5.0)) == 10


@pytest.mark.parametrize("where", ["before the fork", "in a thread"])
def test_waits_that_block(world: World, server: DatabaseServer, where: str) -> None:
    """On another loop than the process's a statement has a connection of its own."""
    database = world.databases.database(server.url)

    async def work() -> object:
        return [await database.query("SELECT 1"), await database.fetch("SELECT 2", {})]

    def blocking() -> object:
        return asyncio.run(work())

    async def beside_the_loop() -> object:
        await work()
        return await asyncio.get_running_loop().run_in_executor(None, blocking)

    run: Callable[[], object] = blocking
    if where == "in a thread":
        run = lambda: world.loop.run_until_complete(beside_the_loop())  # noqa: E731  # one line
    one, two = run()  # type: ignore[misc]  # a list of two
    assert list(one.rows) == [(1,)] and list(two) == [(2,)]
    assert world.query(server.url, "SELECT 3") is not None
    assert world.lines == []


def test_values_that_do_not_fit(world: World, server: DatabaseServer) -> None:
    assert world.query(server.url, "SELECT 1 WHERE 1 = ?", 1, None) is not None
    assert world.query(server.url, "SELECT 1 WHERE 1 = ?", 1, 2) is None
    assert world.query(server.url, "SELECT 1 WHERE 1 = ? AND 2 = ?", 1) is None
    assert "refuses a statement" in world.lines[-1]
    assert " fails: " not in "".join(world.lines)


def test_settings_of_postgres_sessions(world: World, postgres_url: str) -> None:
    settings = {"server_settings": {"application_name": "pbx"}, "ssl": "disable"}
    world.databases.configure(("postgres",), DatabaseOptions(connect=settings))
    found = world.query(postgres_url, "SHOW application_name")
    assert found is not None and found.rows == [("pbx",)]


def test_values_of_postgres_types(world: World, postgres_url: str) -> None:
    for kind, value in (
        ("int", "7"), ("bigint", 7), ("numeric", "1.50"), ("float8", "1.5"), ("bool", "t"),
        ("timestamp", "2026-01-02 03:04:05"), ("date", "2026-01-02"), ("uuid", "0" * 32),
        ("inet", "192.0.2.1"), ("bytea", "x"), ("text", 5), ("jsonb", "{}"), ("time", "03:04"),
    ):  # fmt: skip
        found = world.query(postgres_url, f"SELECT CAST(? AS {kind}), 1", value)
        assert found is not None and found.rows[0][0] is not None, kind
        assert world.query(postgres_url, f"SELECT CAST(? AS {kind})", None) is not None
    assert world.query(postgres_url, "SELECT CAST(? AS int)", "1; DROP TABLE t") is None
    assert "DROP" not in world.lines[-1]
