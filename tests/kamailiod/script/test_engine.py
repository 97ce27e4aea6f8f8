"""The script engine with real Lua: routes, waits, errors, events, reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from kamailiod.cfg import Kemi
from kamailiod.script.context import Context, Route
from kamailiod.script.engine import Engine, ScriptSettings
from lua import Function, LuaError, Wait
from tests.kamailiod.fakes import FakeServices

SCRIPT = """
trail = {}
function ksr_request_route() KSR.note("request") end
function ksr_reply_route() KSR.note("reply") end
function fails() error("on purpose") end
function waits() local got = KSR.slow("a"); KSR.note(got) end
function waits_badly() KSR.slow("bad"); KSR.note("never") end
function exits() KSR.note("before"); KSR.x.exit(); KSR.note("after") end
function drops() KSR.x.drop(); KSR.note("after") end
function MANAGE_FAILURE() KSR.note("failure") end
function on_event(name) KSR.note(name) end
function mod_init() KSR.note("mod_init") end
function child_init(rank) KSR.note("child_init " .. rank) end
function given(a, b) KSR.note(a .. b) end
"""


class World:
    def __init__(self, services: FakeServices, folder: Path, text: str = SCRIPT) -> None:
        self.services = services
        self.notes: list[tuple[Context, bytes]] = []
        self.failures = 0
        self.path = folder / "script.lua"
        self.path.write_text(text)
        settings = ScriptSettings((str(self.path),), Kemi(), True)
        self.engine = Engine(
            settings, None,
            [Function("note", self._note, ("str",)),
             Function("slow", self._slow, ("str",), waits=True)],
            {}, services.variables, services.log, lambda value: False, services.faked_context,
            {"mod": "on_event"},
        )  # fmt: skip
        self.engine.load()

    def _note(self, context: Context, text: bytes) -> None:
        self.notes.append((context, text))

    def _slow(self, context: Context, text: bytes) -> Wait:
        async def work() -> bytes:
            await asyncio.sleep(0)
            if text == b"bad":
                raise ValueError("the backend is down")
            return text + b" at last"

        return Wait(work)

    def failed(self) -> None:
        self.failures += 1

    def run(self, name: bytes, context: Context | None = None) -> list[bool]:
        ended: list[bool] = []

        async def main() -> None:
            self.engine.open(asyncio.get_running_loop(), lambda: None, self.failed)
            run = context or self.services.faked_context()
            self.engine.run(run, self.engine._runtime.function(name), ended.append)
            async with asyncio.timeout(5):
                while not ended:
                    await asyncio.sleep(0)

        asyncio.run(main())
        return ended

    @property
    def said(self) -> list[bytes]:
        return [text for _, text in self.notes]


@pytest.fixture
def make(services: FakeServices, tmp_path: Path) -> Callable[..., World]:
    return lambda *text: World(services, tmp_path, *text)


def test_routes_are_found_and_run(make: Callable[..., World]) -> None:
    world = make()
    assert world.engine.request_route is not None
    assert world.engine.reply_route is not None
    context = world.services.faked_context()
    ended: list[bool] = []
    assert world.engine.run(context, world.engine.request_route, ended.append)
    assert ended == [True]
    assert world.notes == [(context, b"request")]


def test_an_error_is_logged_counted_and_told(make: Callable[..., World]) -> None:
    world = make()
    assert world.run(b"fails") == [False]
    assert world.failures == 1
    (line,) = [line for line in world.services.lines if "on purpose" in line]
    assert "script.lua" in line
    assert "ERROR" in line


def test_a_wait_suspends_only_its_request(make: Callable[..., World]) -> None:
    world = make()
    first, second = world.services.faked_context(), world.services.faked_context()
    ended: list[int] = []

    async def main() -> None:
        engine = world.engine
        engine.open(asyncio.get_running_loop(), lambda: None, world.failed)
        waits = engine._runtime.function(b"waits")
        assert not engine.run(first, waits, lambda ok: ended.append(1))
        assert not engine.run(second, waits, lambda ok: ended.append(2))
        assert engine.waiting == 2
        assert engine.run(second, engine.request_route, lambda ok: ended.append(3))
        async with asyncio.timeout(5):
            while len(ended) < 3:
                await asyncio.sleep(0)
        assert engine.waiting == 0

    asyncio.run(main())
    assert ended[0] == 3
    assert [(c, t) for c, t in world.notes if t != b"request"] == [
        (first, b"a at last"), (second, b"a at last"),
    ]  # fmt: skip


def test_an_error_of_a_wait_is_the_scripts(make: Callable[..., World]) -> None:
    world = make()
    assert world.run(b"waits_badly") == [False]
    assert world.said == []
    assert any("the backend is down" in line for line in world.services.lines)


def test_exit_and_drop(make: Callable[..., World]) -> None:
    world = make()
    assert world.run(b"exits") == [True]
    assert world.said == [b"before"]
    context = world.services.faked_context()
    assert world.run(b"drops", context) == [True]
    assert world.said == [b"before"]
    assert context.dropped


def test_a_failure_route_may_be_a_lua_function(make: Callable[..., World]) -> None:
    world = make()
    context = world.services.faked_context()
    context.route = Route.FAILURE
    ended: list[bool] = []
    assert world.engine.run_route(context, b"MANAGE_FAILURE", ended.append)
    assert world.engine.run_route(context, b"NO_SUCH", ended.append)
    assert ended == [True, True]
    assert world.said == [b"failure"]


def test_events_and_named_functions(make: Callable[..., World]) -> None:
    world = make()
    world.engine.run_event("mod", "happened")
    world.engine.run_event("other", "happened")
    assert world.said == [b"mod:happened"]
    assert world.engine.defines(b"exits")
    assert not world.engine.defines(b"nothing")
    context = world.services.faked_context()
    assert world.engine.run_function(b"MANAGE_FAILURE", context)
    assert not world.engine.run_function(b"nothing", context)
    assert world.engine.call(context, b"given", b"x", b"y") == 1
    assert world.engine.call(context, b"nothing") == -1
    assert world.engine.call(context, b"fails") == -1
    assert world.said[1:] == [b"failure", b"xy"]
    assert world.engine.named_route(b"none") is None


def test_initialisation(make: Callable[..., World]) -> None:
    world = make()
    world.engine.initialise(b"mod_init")
    world.engine.initialise(b"child_init", 2)
    world.engine.initialise(b"none_such")
    assert world.said == [b"mod_init", b"child_init 2"]


def test_text_and_files(make: Callable[..., World], tmp_path: Path) -> None:
    world = make()
    context = world.services.faked_context()
    assert world.engine.run_text(context, b'KSR.note("text")') == 1
    assert world.engine.run_text(context, b"syntax error here") == -1
    assert world.engine.run_file(context, str(tmp_path / "none.lua")) == -1
    assert world.said == [b"text"]
    assert world.engine.memory() > 1000


def test_reload_takes_the_new_and_keeps_the_old_when_it_is_bad(
    make: Callable[..., World],
) -> None:
    world = make()
    context = world.services.faked_context()

    def run() -> None:
        world.engine.run(context, world.engine.request_route, lambda ok: None)

    world.path.write_text(SCRIPT.replace('note("request")', 'note("new")'))
    world.engine.reload()
    run()
    world.path.write_text("function ksr_request_route( end")
    with pytest.raises(LuaError):
        world.engine.reload()
    run()
    assert world.said == [b"new", b"new"]


def test_a_script_without_the_callback_is_told(make: Callable[..., World]) -> None:
    world = make("x = 1")
    assert world.engine.request_route is None
    assert any("ksr_request_route" in line for line in world.services.lines)
