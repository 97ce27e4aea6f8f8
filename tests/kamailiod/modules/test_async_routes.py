"""Module async: requests that go on later, from Lua and natively, and routes beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamailiod.loading import module_classes
from kamailiod.modules.async_routes import pending
from kamailiod.modules.pv import Pv
from kamailiod.net.address import Source
from kamailiod.script.context import Context, Route
from tests.kamailiod.fakes import LISTEN, FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.native_calls import NativeCalls
from tests.kamailiod.script.proxy_world import ProxyWorld

ASYNC: Any = module_classes()["async"]


class FakeLoop:
    """Keeps what is to be called and after how many seconds."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append((seconds, call))

    def call_soon(self, call: Callable[[], None]) -> None:
        self.call_later(0.0, call)

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for _, call in calls:
            call()


class World(ProxyWorld):
    """A proxy whose request route is Lua text; the route BACK relays, and keeps what it sees."""

    def __init__(self, services: FakeServices, **params: object) -> None:
        super().__init__(services)
        self.module = services.load(ASYNC, **params)
        self.lua = LuaCalls(services, [self.module, services.module(Pv)])
        self.fake_loop = FakeLoop()
        services.loop = self.fake_loop
        self.text = ""
        self.returned: list[object] = []
        self.heard: list[Context] = []
        self.seen: list[object] = []
        self.then: Callable[[Context], object] = self.relay
        self.script.request_route = self._ask
        self.script.named[b"BACK"] = self._hear

    def _ask(self, context: Context) -> None:
        if context.message.method == b"INVITE":
            self.returned.append(self.lua(context, f"return KSR.async.{self.text}"))
        else:
            self.relay(context)

    def _hear(self, context: Context) -> None:
        self.heard.append(context)
        values = "KSR.async.get_gname(), KSR.async.get_data()"
        read = f'return table.concat({{{values}, KSR.pv.getw("$async(gname)")}}, "|")'
        self.seen.append(self.lua(context, read))
        self.then(context)

    def call(self, text: str) -> object:
        """Send an INVITE and return what the function returned."""
        self.text = text
        self.invite()
        return self.returned[-1]

    def end(self) -> None:
        self.services.loop = None


@pytest.mark.parametrize(("text", "seconds", "seen"), [
    ('route("BACK", 4)', 4, b"||<null>"), ('ms_route("BACK", 30)', 0.03, b"||<null>"),
    ('task_route("BACK")', 0, b"default||default"),
    ('task_group_route("BACK", "abc")', 0, b"abc||abc"),
])  # fmt: skip
def test_a_request_goes_on_later(
    services: FakeServices, text: str, seconds: float, seen: bytes
) -> None:
    world = World(services, ms_timer=1)
    assert world.call(text) == 0
    assert world.codes == [100] and not world.to(6001)
    assert [delay for delay, _ in world.fake_loop.calls] == [seconds]
    world.invite()
    assert len(world.returned) == 1
    world.fake_loop.run()
    assert world.seen == [seen]
    assert world.heard[0].route is Route.FAILURE
    assert world.methods(6001) == [b"INVITE"]
    world.answer(200)
    assert world.finals == [200]
    assert len(world.module._pending) == 0 == len(world.tm.suspension)


def test_the_modparam_return(services: FakeServices) -> None:
    world = World(services, **{"return": 7})
    assert world.call('route("BACK", 1)') == 7


def test_a_route_that_does_nothing(services: FakeServices) -> None:
    world = World(services)
    world.then = lambda context: None
    world.call('task_route("BACK")')
    world.fake_loop.run()
    assert world.finals == [500]


def test_a_cancel_meanwhile(services: FakeServices) -> None:
    world = World(services)
    world.call('route("BACK", 5)')
    world.script.request_route = lambda context: world.tm.t_relay_cancel(context)
    world.request(b"CANCEL")
    assert 487 in world.finals
    world.fake_loop.run()
    assert world.heard == [] and not world.to(6001)
    assert len(world.module._pending) == 0


@pytest.mark.parametrize("text", [
    'route("BACK", 0)', 'route("BACK", 101)', 'route("NONE", 1)', 'ms_route("BACK", 10)',
    'task_route("NONE")', 'task_group_route("NONE", "abc")', 'task_data("NONE", "x")',
    'task_group_data("NONE", "abc", "x")',
])  # fmt: skip
def test_what_cannot_be(services: FakeServices, text: str) -> None:
    world = World(services)
    assert world.call(text) == -1
    assert world.fake_loop.calls == [] and world.codes == []


def test_no_transaction_of_a_faked_message(services: FakeServices) -> None:
    world = World(services)
    context = services.faked_context()
    context.source = Source(LISTEN, b"127.0.0.1", 0, 0, 0.0)
    assert world.lua(context, 'return KSR.async.route("BACK", 1)') == -1
    assert context.transaction is None


def test_not_too_many(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST", 1)
    world = World(services)
    assert world.call('task_data("BACK", "x")') == 1
    world.request(b"INVITE", b"second", call_id=b"second")
    assert world.call('task_route("BACK")') == -1
    world.fake_loop.run()
    world.request(b"INVITE", b"third", call_id=b"third")
    assert world.returned[-1] == 0


@pytest.mark.parametrize(("text", "seen"), [
    ('task_data("BACK", "hello")', b"default|hello|default"),
    ('task_group_data("BACK", "abc", "hello")', b"abc|hello|abc"),
])  # fmt: skip
def test_data(services: FakeServices, text: str, seen: bytes) -> None:
    world = World(services)
    world.then = lambda context: None
    assert world.call(text) == 1
    assert world.codes == []
    world.fake_loop.run()
    assert world.seen == [seen]
    assert world.heard[0].message.method == b"OPTIONS" and world.heard[0].transaction is None


NATIVE = """
loadmodule "async.so"
request_route {
    if ($rU == "sleep") { async_ms_sleep("20"); $avp(seen) = "slept"; t_relay(); exit; }
    if ($rU == "never") { if (!async_sleep("0")) { $avp(seen) = "no"; } exit; }
    if ($rU == "route") { async_route("BACK", "1"); }
    if ($rU == "ms") { async_ms_route("BACK", "10"); }
    if ($rU == "task") { async_task_route("BACK"); }
    if ($rU == "group") { async_task_group_route("BACK", "abc"); }
    if ($rU == "data") { async_task_data("DATA", "about $rU"); t_relay(); }
    if ($rU == "gdata") { async_task_group_data("DATA", "abc", "about $rU"); t_relay(); }
    $avp(seen) = "went on";
}
route[BACK] { $avp(seen) = $async(gname); t_relay(); }
route[DATA] { $shv(seen) = $async(data); }
"""


class NativeWorld(ProxyWorld):
    """A proxy whose routes are NATIVE, with an event loop."""

    def __init__(self, services: FakeServices, folder: Path) -> None:
        super().__init__(services)
        module = services.load(ASYNC, ms_timer=1)
        self.contexts: list[Context] = []
        modules = [module, self.tm, services.module(Pv)]
        self.calls = NativeCalls(services, modules, folder, NATIVE)
        self.script.request_route = self._start

    def _start(self, context: Context) -> None:
        assert self.calls.engine.request_route is not None
        self.contexts.append(context)
        self.calls.engine.run(context, self.calls.engine.request_route, lambda ok: None)

    def call(self, user: str, meanwhile: Callable[[], object], until: Callable[[], object]) -> Any:
        """Send an INVITE; return what the routes left in $avp(seen)."""

        async def work() -> None:
            loop = self.services.loop = asyncio.get_running_loop()
            self.calls.engine.open(loop, lambda *by: None, lambda *by: None)
            self.request(b"INVITE", uri=b"sip:%s@127.0.0.1:6001" % user.encode())
            meanwhile()
            async with asyncio.timeout(5):
                while not until():
                    await asyncio.sleep(0.002)

        asyncio.run(work())
        self.services.loop = None
        return self.contexts[0].shared.avps.get(b"seen", [None])[0]


@pytest.mark.parametrize(("user", "seen"), [
    ("sleep", b"slept"), ("route", None), ("ms", None), ("task", b"default"), ("group", b"abc"),
    ("data", b"went on"), ("gdata", b"went on"),
])  # fmt: skip
def test_native_routes(
    services: FakeServices, tmp_path: Path, user: str, seen: bytes | None
) -> None:
    world = NativeWorld(services, tmp_path)
    assert world.call(user, lambda: None, lambda: world.to(6001)) == seen
    assert world.codes == [100]
    world.answer(200)
    assert world.finals == [200]


def test_a_pause_that_cannot_be(services: FakeServices, tmp_path: Path) -> None:
    world = NativeWorld(services, tmp_path)
    assert world.call("never", lambda: None, lambda: True) == b"no"
    assert world.codes == []


def test_a_cancel_ends_a_pause(services: FakeServices, tmp_path: Path) -> None:
    world = NativeWorld(services, tmp_path)
    module: Any = services.modules[ASYNC]

    def cancel() -> None:
        world.script.request_route = lambda context: world.tm.t_relay_cancel(context)
        world.request(b"CANCEL", uri=b"sip:sleep@127.0.0.1:6001")
        assert 487 in world.finals

    assert world.call("sleep", cancel, lambda: not len(module._pending)) is None
    assert not world.to(6001)
