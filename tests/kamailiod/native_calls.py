"""Runs native routes of a config text over some modules and the fake services, waits included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from kamailiod.cfg import Kemi, compile_routes, load
from kamailiod.script.context import Context
from kamailiod.script.engine import Engine, ScriptSettings
from kamailiod.script.functions import catalogue, kemi_functions, native_functions
from kamailiod.script.module import Module
from tests.kamailiod.fakes import FakeServices


class NativeCalls:
    """The engine of a config whose request route is run over contexts."""

    def __init__(
        self,
        services: FakeServices,
        modules: Iterable[Module],
        folder: Path,
        text: str,
        scripts: tuple[str, ...] = (),
    ) -> None:
        modules = list(modules)
        for module in modules:
            services.variables.register_module(module)
        path = folder / "native.cfg"
        path.write_text(text)
        known = catalogue({module.name: type(module) for module in modules})
        config = load(str(path), catalogue=known)
        self._services = services
        self.engine = Engine(
            ScriptSettings(scripts, Kemi(), False), compile_routes(config, known),
            kemi_functions(modules), native_functions(modules), services.variables, services.log,
            lambda value: False, services.faked_context, {},
        )  # fmt: skip
        services.script = self.engine  # type: ignore[assignment]  # the real one for the fake
        self.engine.load()
        self.waits = 0
        self.on_wait: Callable[[], object] = lambda: None

    def run(self, context: Context) -> Context:
        """Run request_route over a context to its end, and return the context."""

        async def main() -> None:
            loop = self._services.loop = asyncio.get_running_loop()
            self.engine.open(loop, self._waited, lambda: None)
            ended: asyncio.Future[bool] = loop.create_future()
            assert self.engine.request_route is not None
            self.engine.run(context, self.engine.request_route, ended.set_result)
            assert await ended

        asyncio.run(main())
        self._services.loop = None
        return context

    def _waited(self, by: int = 1) -> None:
        self.waits += by
        self.on_wait()
