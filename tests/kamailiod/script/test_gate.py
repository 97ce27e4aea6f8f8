"""How many statements run at once."""

from __future__ import annotations

import asyncio

import pytest

from kamailiod.script.gate import FIRST, Gate


class Runs:
    """Counts who is inside a gate."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.inside = self.most = self.ended = 0
        self.go = asyncio.Event()

    async def run(self) -> None:
        async with self.gate:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.go.wait()
            self.inside -= 1
            self.ended += 1


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]  # a lambda
            await asyncio.sleep(0)


def test_short_ones_need_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.gate.PATIENCE", 60.0)

    async def main() -> None:
        runs = Runs(Gate(9))
        runs.go.set()
        await asyncio.gather(*(runs.run() for _ in range(50)))
        assert runs.ended == 50
        assert runs.most <= FIRST and runs.gate.width == FIRST

    asyncio.run(main())


def test_long_ones_get_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.gate.PATIENCE", 0.001)

    async def main() -> None:
        runs = Runs(Gate(9))
        tasks = [asyncio.create_task(runs.run()) for _ in range(20)]
        await until(lambda: runs.inside == 9)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert runs.most == 9
        runs.go.set()
        await asyncio.gather(*tasks)
        assert runs.ended == 20 and runs.gate._inside == 0

    asyncio.run(main())


def test_who_gives_up_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.gate.PATIENCE", 60.0)

    async def main() -> None:
        runs = Runs(Gate(2))
        tasks = [asyncio.create_task(runs.run()) for _ in range(5)]
        await until(lambda: runs.inside == 2)
        tasks[0].cancel()
        tasks[2].cancel()
        await until(lambda: runs.gate._inside == 2 and tasks[2].done())
        # Let in and given up at the same moment.
        tasks[1].cancel()
        tasks[4].cancel()
        await asyncio.gather(tasks[1], tasks[4], return_exceptions=True)
        runs.go.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert runs.gate._inside == 0
        await asyncio.wait_for(runs.run(), 5)

    asyncio.run(main())


def test_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.script.gate.PATIENCE", 0.001)

    async def main() -> None:
        runs = Runs(Gate(9))
        tasks = [asyncio.create_task(runs.run()) for _ in range(20)]
        await until(lambda: runs.gate.width == FIRST + 2)
        runs.gate.pause(60.0)
        width = runs.gate.width
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert runs.gate.width == width == FIRST + 1
        runs.gate.pause(0.001)
        await until(lambda: runs.gate.width == 9)
        runs.go.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
