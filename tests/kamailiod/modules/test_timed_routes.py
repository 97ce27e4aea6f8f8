"""Modules rtimer and timer: native routes and Lua functions at their intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.cfgutils import Cfgutils
from kamailiod.modules.mqueue import Mqueue
from kamailiod.modules.pv import Pv
from kamailiod.modules.rtimer import Rtimer
from kamailiod.modules.timed_routes.periodic_route import PeriodicRoute
from kamailiod.modules.timer import Timer
from kamailiod.script.module import Module
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls
from workers import TimerWheel

CONFIG = """
loadmodule "mqueue.so"
loadmodule "cfgutils.so"
loadmodule "timer.so"
request_route { timer_enable("off", 1); timer_enable("on", "0"); }
route[NATIVE] { mq_add("q", "native", "$rtimer_worker"); }
route[SLOW] { mq_add("q", "slow", "$rm"); usleep("50000"); }
"""
LUA = """
function lua_timer(event)
    KSR.mqueue.mq_add("q", "lua", event)
end
"""


class World:
    """A timer process with a clock of its own."""

    def __init__(self, services: FakeServices, folder: Path) -> None:
        self.services = services
        self.folder = folder
        self.now = 0.0
        self.loop = services.loop = asyncio.new_event_loop()
        services.timers = TimerWheel(None, clock=lambda: self.now)
        self.queue: Mqueue = services.load(Mqueue, mqueue=["name=q"])

    def start(self, module: Any, more: str = "") -> NativeCalls:
        modules: list[Module] = [
            self.queue, module, self.services.module(Cfgutils), self.services.module(Pv),
        ]  # fmt: skip
        if not isinstance(module, Timer):
            modules.append(self.services.load(Timer, declare_timer=["on=a,1", "off=b,1"]))
        for each in modules:
            each.mod_init()
        script = self.folder / "timers.lua"
        script.write_text(LUA)
        if not self.services.loaded("rtimer"):
            modules.append(self.services.load(Rtimer))
        calls = NativeCalls(self.services, modules, self.folder, CONFIG + more, (str(script),))
        calls.engine.open(self.loop, lambda *by: None, lambda *by: None)
        module.script_init()
        module.child_init(1)
        module.child_init(-1)
        return calls

    def pass_time(self, seconds: float) -> list[tuple[bytes, bytes]]:
        """Return what the routes have put into the queue meanwhile."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.05, end)
            self.services.timers.advance(self.now)
        return self.taken()

    def taken(self) -> list[tuple[bytes, bytes]]:
        context = invite()
        found = []
        while self.queue.mq_fetch(context, b"q") == 1:
            key, value = (get(context, b"q", None) for get in (self.queue.mqk, self.queue.mqv))
            assert isinstance(key, bytes) and isinstance(value, bytes)
            found.append((key, value))
        return found


@pytest.fixture
def world(services: FakeServices, tmp_path: Path) -> Iterator[World]:
    made = World(services, tmp_path)
    yield made
    made.loop.close()
    services.loop = None


def test_rtimer(world: World) -> None:
    module = world.services.load(
        Rtimer, timer=["name=fast;interval=400000u;mode=1", "name=two;interval=1;mode=2", "name=d"],
        exec=["timer=fast;route=lua_timer", "timer=two;route=NATIVE", "timer=d;route=NATIVE"],
        default_interval=3,
    )  # fmt: skip
    world.start(module)
    assert world.pass_time(0.7) == [(b"lua", b"rtimer")]
    assert world.pass_time(0.45) == [
        (b"lua", b"rtimer"), (b"native", b"0"), (b"native", b"1"),
    ]  # fmt: skip
    found = world.pass_time(2)
    assert found.count((b"lua", b"rtimer")) == 5
    assert found.count((b"native", b"0")) == 3 and found.count((b"native", b"1")) == 2
    module.child_exit(-1)
    assert world.pass_time(5) == []


def test_a_waiting_run_is_not_overtaken(world: World) -> None:
    module = world.services.load(
        Rtimer, timer=["name=t;interval=1"], exec=["timer=t;route=SLOW"]
    )
    world.start(module)

    async def work() -> list[tuple[bytes, bytes]]:
        found = world.pass_time(3.1)
        while module.routes[0]._running:
            await asyncio.sleep(0.005)
        return found

    assert world.loop.run_until_complete(work()) == [(b"slow", b"OPTIONS")]
    assert world.loop.run_until_complete(work()) == [(b"slow", b"OPTIONS")]


def test_milliseconds(world: World) -> None:
    world.start(world.services.load(Rtimer))
    periodic = PeriodicRoute(world.services, b"NATIVE", b"", 0.002)

    async def work() -> int:
        periodic.start()
        while world.queue.mq_size(invite(), b"q") < 5:
            await asyncio.sleep(0.002)
        periodic.stop()
        world.taken()
        await asyncio.sleep(0.01)
        return len(world.taken())

    assert world.loop.run_until_complete(work()) == 0
    assert not periodic.started


@pytest.mark.parametrize("params", [
    {"timer": ["interval=3"]}, {"timer": ["name=t;interval=soon"]}, {"timer": ["name=t;what=1"]},
    {"timer": ["name=t"], "exec": ["timer=u;route=R"]}, {"timer": ["name=t", "name=t"]},
    {"timer": ["name=t"], "exec": ["timer=t"]},
])  # fmt: skip
def test_rtimer_definitions_that_are_none(
    services: FakeServices, params: dict[str, list[str]]
) -> None:
    with pytest.raises(ValueError, match="rtimer"):
        services.load(Rtimer, **params).mod_init()


DECLARED = ["on=lua_timer,1000,slow,enable", "off=NATIVE,1000"]


def test_timers_are_switched_natively(world: World) -> None:
    world.services.rank = -1
    calls = world.start(world.services.load(Timer, declare_timer=DECLARED))
    assert world.pass_time(2.1) == [(b"lua", b"timer")] * 2
    calls.engine.run(invite(), calls.engine.request_route, lambda ok: None)  # type: ignore[arg-type]  # there is one
    assert world.pass_time(2.1) == [(b"native", b"0")] * 2


def test_timers_are_switched_from_lua(world: World) -> None:
    module = world.services.load(Timer, declare_timer=DECLARED)
    world.start(module)
    lua = LuaCalls(world.services, [module])
    assert lua(invite(), 'return KSR.timer.timer_enable("on", 0)') == 1
    assert world.pass_time(2.1) == []
    assert lua(invite(), 'return KSR.timer.timer_enable("off", 1)') == 1
    assert lua(invite(), 'return KSR.timer.timer_enable("off", 1)') == 1
    assert world.pass_time(1.1) == [(b"native", b"0")]
    assert lua(invite(), 'return KSR.timer.timer_enable("none", 1)') == -1
    restarted = module.routes
    module.child_exit(-1)
    module.child_init(-1)
    assert [periodic.started for periodic in module.routes] == [False, True]
    assert restarted is not module.routes


def test_before_the_fork(world: World) -> None:
    world.services.rank = 0
    module = world.services.load(Timer, declare_timer=DECLARED)
    module.mod_init()
    assert module.timer_enable(invite(), b"off", 1) == 1
    module.child_init(-1)
    assert [periodic.started for periodic in module.routes] == [True, True]


def test_a_route_that_there_is_not(world: World) -> None:
    world.start(world.services.load(Timer, declare_timer=["t=NOWHERE,1000,,enable"]))
    world.pass_time(1.1)
    assert any("no route b'NOWHERE'" in line for line in world.services.lines)


@pytest.mark.parametrize("text", ["t", "t=R", "t=R,0", "t=R,x", "t=R,1,mid", "t=R,1,slow,maybe"])
def test_declarations_that_are_none(services: FakeServices, text: str) -> None:
    with pytest.raises(ValueError, match="declare_timer"):
        services.load(Timer, declare_timer=[text]).mod_init()
