"""Module app_lua: which Lua scripts run, how they behave, and running Lua from a route.

Owns modparams, functions and RPCs; the engine is script/engine.py, the Lua state the lua package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services
from lua import LuaError


@dataclass(frozen=True, slots=True)
class AppLuaParams(Params):
    """modparams of app_lua; nil_concat, nonblocking and instruction_budget are ours."""

    load: list[str] = field(default_factory=list)
    reload: int = 1
    log_mode: int = 0
    nil_concat: int = 1
    nonblocking: int = 1
    instruction_budget: int = 10_000_000


class AppLua(Module):
    """The Lua interpreter as Kamailio's module shows it."""

    name = "app_lua"
    Params: ClassVar[type[Params]] = AppLuaParams
    without_effect: ClassVar[tuple[str, ...]] = ("log_mode",)
    params: AppLuaParams

    def __init__(self, params: AppLuaParams, services: Services) -> None:
        super().__init__(params, services)
        services.on_worker("app_lua.reload", self._reload)

    def scripts(self) -> tuple[str, ...]:
        """Return the script files in the order they are run: the last load parameter first."""
        return tuple(reversed(self.params.load))

    def _reload(self) -> None:
        try:
            self.services.script.reload()
        except LuaError as error:
            self.services.log.error("app_lua", f"reload: {error}")

    @kemi("app_lua.run", native=())
    def run(self, context: Context, name: bytes) -> int:
        """Run a global function of the script; 1, or -1 when it failed or there is none."""
        return self.services.script.call(context, name)

    @kemi("app_lua.run_p1", native=())
    def run_p1(self, context: Context, name: bytes, first: bytes) -> int:
        """Run a global function of the script with one argument."""
        return self.services.script.call(context, name, first)

    @kemi("app_lua.run_p2", native=())
    def run_p2(self, context: Context, name: bytes, first: bytes, second: bytes) -> int:
        """Run a global function of the script with two arguments."""
        return self.services.script.call(context, name, first, second)

    @kemi("app_lua.run_p3", native=())
    def run_p3(
        self, context: Context, name: bytes, first: bytes, second: bytes, third: bytes
    ) -> int:
        """Run a global function of the script with three arguments."""
        return self.services.script.call(context, name, first, second, third)

    @kemi("lua_run", native="lua_run")
    def lua_run(
        self, context: Context, name: bytes, first: bytes = b"", second: bytes = b"",
        third: bytes = b"",
    ) -> int:  # fmt: skip
        """Run a global function of the script from a native route; 1, or -1 when it failed."""
        return self.services.script.call(context, name, first, second, third)

    @kemi("app_lua.runstring", native=("lua_runstring", "lua_dostring"))
    def runstring(self, context: Context, text: bytes) -> int:
        """Run Lua text in the script's state; 1, or -1 when it failed."""
        return self.services.script.run_text(context, text)

    @kemi("app_lua.dostring", native=())
    def dostring(self, context: Context, text: bytes) -> int:
        """Run Lua text; 1, or -1 when it failed."""
        return self.services.script.run_text(context, text)

    @kemi("app_lua.dofile", native="lua_dofile")
    def dofile(self, context: Context, path: bytes) -> int:
        """Run a Lua file; 1, or -1 when it failed."""
        return self.services.script.run_file(context, path.decode())

    @kemi("x.probe", native=())
    def probe(self, context: Context) -> int:
        """Return 1: the script engine is there."""
        return 1

    @rpc("app_lua.list")
    def list_scripts(self) -> object:
        """The script files that are loaded, in load order."""
        return [{"script": path} for path in self.scripts()]

    @rpc("app_lua.reload")
    def reload(self, index: int = -1) -> object:
        """Run the script files again in every process; a file with an error changes nothing."""
        scripts = self.scripts()
        if not scripts:
            raise RpcFault(500, "No script loaded")
        if index >= len(scripts):
            raise RpcFault(500, "Failed to reload")
        if not self.params.reload:
            raise RpcFault(500, "Reload is not activated")
        for rank in (*range(1, self.services.worker_count + 1), -1):
            self.services.tell_worker(rank, "app_lua.reload")
        self._reload()
        return {}
