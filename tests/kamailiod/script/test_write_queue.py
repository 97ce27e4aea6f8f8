from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from kamailiod.script.database import Database, Outcome, Parameters
from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.write_queue import WriteQueue
from shm import Spool
from tests.kamailiod.fakes import FakeServices

INSERT = "INSERT INTO t VALUES (:name)"


class FakeDatabase:
    """Answers with outcomes as they are set; keeps what was written."""

    def __init__(self) -> None:
        self.outcome = Outcome.WRITTEN
        self.written: list[object] = []
        self.tries = 0
        self.bulks: list[int] = []
        self.hold: asyncio.Event | None = None

    async def write(self, statement: str, parameters: Parameters) -> Outcome:
        if self.hold is not None:
            await self.hold.wait()
        return self.write_blocking(statement, parameters)

    async def write_many(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        if self.hold is not None:
            await self.hold.wait()
        return self.write_many_blocking(statement, rows)

    def write_many_blocking(self, statement: str, rows: Sequence[Parameters]) -> Outcome:
        self.bulks.append(len(rows))
        if any(row["name"] == "bad" for row in rows):
            self.tries += 1
            return Outcome.REFUSED
        outcomes = [self.write_blocking(statement, row) for row in rows]
        return outcomes[-1]

    def write_blocking(self, statement: str, parameters: Parameters) -> Outcome:
        self.tries += 1
        if parameters["name"] == "bad":
            return Outcome.REFUSED
        if self.outcome is Outcome.WRITTEN:
            self.written.append(parameters["name"])
        return self.outcome


class World:
    def __init__(self, limit: int = 4) -> None:
        self.database = FakeDatabase()
        self.losses = 0
        self.queue = WriteQueue(cast(Database, self.database), limit, self._lose)
        self.loop = asyncio.new_event_loop()

    def _lose(self) -> None:
        self.losses += 1

    def put(self, *names: str) -> list[bool]:
        return [self.queue.put(INSERT, {"name": name}) for name in names]

    def turn(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def settle(self) -> None:
        async def settled() -> None:
            while self.queue.pending:
                await asyncio.sleep(0)

        self.loop.run_until_complete(asyncio.wait_for(settled(), 5))


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.loop.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.write_queue._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("kamailiod.script.write_queue._LONGEST_PAUSE", 0.004)


def test_rows_are_written_in_their_order_and_no_task_stays(world: World) -> None:
    world.put("a", "b")
    assert world.queue.pending == 2, "they gather before the loop is there"
    world.queue.start(world.loop)
    world.queue.start(world.loop)
    world.settle()
    world.turn()
    assert world.database.written == ["a", "b"]
    assert not asyncio.all_tasks(world.loop)
    world.put("c")
    world.settle()
    assert world.database.written == ["a", "b", "c"]
    assert world.losses == 0


def test_a_row_waits_for_its_database_and_those_behind_it_too(world: World, quick: None) -> None:
    world.database.outcome = Outcome.UNREACHABLE
    world.queue.start(world.loop)
    world.put("a", "b")
    while world.database.tries < 6:
        world.turn(0.001)
    assert world.queue.pending == 2
    world.database.outcome = Outcome.WRITTEN
    world.settle()
    assert world.database.written == ["a", "b"]
    assert world.losses == 0


def test_the_pause_between_tries_grows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            world.database.outcome = Outcome.WRITTEN

    world.database.outcome = Outcome.UNREACHABLE
    world.put("a")
    monkeypatch.setattr("kamailiod.script.write_queue.asyncio.sleep", sleep)
    world.queue.start(world.loop)
    assert world.queue._task is not None
    world.loop.run_until_complete(world.queue._task)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert world.database.written == ["a"]


def test_a_full_queue_refuses_and_counts(world: World) -> None:
    assert world.put("a", "b", "c", "d", "e", "f") == [True] * 4 + [False] * 2
    assert world.losses == 2
    assert world.queue.pending == 4


def test_a_refused_row_blocks_no_other(world: World) -> None:
    world.queue.start(world.loop)
    world.put("a", "bad", "b")
    world.settle()
    assert world.database.written == ["a", "b"]
    assert world.losses == 1
    assert world.database.bulks == [3], "once together, then one by one"
    world.put("c", "d")
    world.settle()
    assert world.database.bulks == [3, 2], "those behind them together again"


def test_rows_may_be_gathered(world: World) -> None:
    queue = WriteQueue(cast(Database, world.database), 9, list, gather=0.01)
    queue.start(world.loop)
    queue.put(INSERT, {"name": "a"})
    world.turn()
    queue.put(INSERT, {"name": "b"})
    while queue.pending:
        world.turn(0.001)
    assert world.database.bulks == [2]
    queue.put(INSERT, {"name": "c"})
    world.turn()
    assert queue.drain_blocking(1.0), "the end does not wait for more"
    assert world.database.written == ["a", "b", "c"]


def test_rows_survive_the_death_of_their_process(services: FakeServices) -> None:
    records = services.hash_map("spool", 16, 0.1)
    before = WriteQueue(cast(Database, FakeDatabase()), 9, list, Spool(records, 1))
    other = WriteQueue(cast(Database, FakeDatabase()), 9, list, Spool(records, -1))
    for number in range(3):
        before.put(INSERT, {"name": f"n{number}"})
    other.put(INSERT, {"name": "other"})
    database = FakeDatabase()
    after = WriteQueue(cast(Database, database), 9, list, Spool(records, 1))
    after.put(INSERT, {"name": "n3"})
    assert after.drain_blocking(1)
    assert database.written == ["n0", "n1", "n2", "n3"]
    assert len(records) == 1, "what is written is forgotten; the other process has its own"


def test_the_rest_is_written_at_the_end(world: World) -> None:
    world.database.outcome = Outcome.UNREACHABLE
    world.queue.start(world.loop)
    world.put("a", "b")
    world.turn()
    assert world.database.bulks == [2], "now it pauses, for longer than this test"
    world.database.outcome = Outcome.WRITTEN
    assert world.queue.drain_blocking(1.0)
    assert world.database.written == ["a", "b"]
    assert world.queue.drain_blocking(1.0), "a second time there is nothing to do"


def test_the_row_under_way_at_the_end_is_written_once(world: World) -> None:
    world.database.hold = asyncio.Event()
    world.queue.start(world.loop)
    world.put("a", "b")
    world.turn()
    world.loop.call_later(0.01, world.database.hold.set)
    assert world.queue.drain_blocking(1.0)
    assert world.database.written == ["a", "b"]


def test_what_cannot_be_written_at_the_end_is_counted(world: World) -> None:
    world.database.outcome = Outcome.UNREACHABLE
    world.put("a", "b")
    assert not world.queue.drain_blocking(0.05)
    assert world.losses == 2
    assert world.queue.pending == 0


def test_with_a_database_that_comes_back(tmp_path: Path, quick: None) -> None:
    lines: list[str] = []
    loop = asyncio.new_event_loop()
    databases = Databases(lambda: loop, Log(DEBUG, write=lambda level, text: lines.append(text)))
    losses: list[None] = []
    path = tmp_path / "k.db"
    queue = WriteQueue(databases.database(f"sqlite:///{path}"), 9, lambda: losses.append(None))
    queue.start(loop)
    for name in ("a", "b", "a", "c"):
        queue.put(INSERT, {"name": name})
    queue.put("INSERT INTO nowhere VALUES (:name)", {"name": "a"})
    queue.put(INSERT, {"name": object()})
    loop.run_until_complete(asyncio.sleep(0.01))
    assert queue.pending == 6, "there is no file yet"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (name VARCHAR(9) UNIQUE)")

    async def settled() -> None:
        while queue.pending:
            await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(settled(), 5))
    found = connection.execute("SELECT name FROM t").fetchall()
    connection.close()
    assert found == [("a",), ("b",), ("c",)]
    assert len(losses) == 3
    refusals = [line for line in lines if "refuses a row" in line]
    for reason in ("UNIQUE constraint failed", "no such table: nowhere", "not supported"):
        assert any(reason in line for line in refusals)
    loop.close()
