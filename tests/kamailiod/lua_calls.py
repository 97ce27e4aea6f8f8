"""Calls modules from Lua text, as scripts do, over the fake services; waits run to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from kamailiod.script.context import Context
from kamailiod.script.functions import kemi_functions
from kamailiod.script.module import Module
from lua import Runtime, Wait
from tests.kamailiod.fakes import FakeServices


class LuaCalls:
    """A Lua state whose KSR table holds the functions of some modules."""

    def __init__(self, services: FakeServices, modules: Iterable[Module]) -> None:
        modules = list(modules)
        for module in modules:
            services.variables.register_module(module)
        self._services = services
        self.lines: list[str] = []
        self._runtime = Runtime(
            kemi_functions(modules), lambda level, text: self.lines.append(text), block=self._block
        )

    def __call__(self, context: Context, text: str) -> Any:
        """Run Lua text in a context and return what it returns; raises lua.LuaScriptError."""
        return self._runtime.load_chunk(text.encode(), "test.lua", {}, context)

    def _block(self, wait: Wait) -> object:
        async def work() -> object:
            return await wait.awaitable_factory()

        if self._services.loop is not None:
            return self._services.loop.run_until_complete(work())
        with asyncio.Runner() as runner:
            self._services.loop = runner.get_loop()
            try:
                return runner.run(work())
            finally:
                self._services.loop = None
