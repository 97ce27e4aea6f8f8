"""The script of a process: Lua files and the compiled native routes, run over contexts.

Owns the Lua runtime and everything between a context and a script function: waits, script errors,
events.  What functions do is the modules' part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from kamailiod.cfg import Chunk, Kemi
from kamailiod.script.context import Context, Route
from kamailiod.script.keywords import keyword_value
from kamailiod.script.log import Log
from kamailiod.script.pseudovariables import PseudoVariables
from lua import (
    DONE,
    FAILED,
    Function,
    LuaError,
    LuaFunction,
    Outcome,
    Runtime,
    Suspended,
    Wait,
)

Done = Callable[[bool], None]

_KINDS = {
    Route.FAILURE: b"failure", Route.BRANCH: b"branch", Route.ONREPLY: b"onreply",
    Route.REQUEST: b"route", Route.EVENT: b"event", Route.BRANCH_FAILURE: b"branch_failure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScriptSettings:
    """What the config says of scripts: files in load order, callbacks, behaviour."""

    files: tuple[str, ...]
    kemi: Kemi
    uses_lua_routes: bool
    nil_concat: bool = True
    nonblocking: bool = True
    instruction_budget: int = 10_000_000


class Engine:
    """Runs routes; made in the supervisor, so that what mod_init sets reaches every process.

    `functions` are below KSR, `native` those of the native language by `name/count`; `chunk` is
    the compiled config, None without routes.  `waited` counts waits, `failed` script errors.
    """

    def __init__(
        self, settings: ScriptSettings, chunk: Chunk | None, functions: Iterable[Function],
        native: Mapping[str, Function], variables: PseudoVariables, log: Log,
        is_myself: Callable[[bytes], bool], faked_context: Callable[[], Context],
        event_callbacks: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._chunk = chunk
        self._log = log
        self._native = native
        self._variables = variables
        self._is_myself = is_myself
        self._faked_context = faked_context
        self._event_callbacks = event_callbacks
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waited: Callable[..., None] = lambda: None
        self._failed: Callable[..., None] = lambda: None
        self._routes: dict[bytes, Any] = {}
        self._single: dict[bytes, LuaFunction] = {}
        self._named: dict[tuple[bytes, bytes], LuaFunction | None] = {}
        self.waiting = 0
        self._runtime = Runtime(
            functions, self._script_log, block=self._block, on_drop=_mark_dropped,
            instruction_budget=settings.instruction_budget, nil_concat=settings.nil_concat,
            nonblocking=settings.nonblocking,
        )  # fmt: skip

    def load(self) -> None:
        """Run the script files' top level and the native routes' chunk; raises lua.LuaError."""
        context = self._faked_context()
        for path in self._settings.files:
            self._runtime.load(path, context)
        if self._chunk is not None:
            table = self._runtime.load_chunk(
                self._chunk.text.encode(), "kamailio.cfg", self._primitives(), context
            )
            self._routes = {kind: dict(table[kind]) for kind in
                            (b"route", b"branch", b"failure", b"onreply", b"event")}  # fmt: skip
            for kind in (b"request", b"reply", b"onsend"):
                if table[kind] is not None:
                    self._single[kind] = table[kind]
        self._choose_routes()

    def reload(self) -> None:
        """Run the script files again; a file with an error changes nothing and raises LuaError."""
        for path in self._settings.files:
            self._runtime.compile_only(path)
        for path in self._settings.files:
            self._runtime.load(path, self._faked_context())
        self._named.clear()
        self._choose_routes()

    def _choose_routes(self) -> None:
        kemi = self._settings.kemi
        native = self._single
        self.request_route = native.get(b"request")
        self.reply_route = native.get(b"reply")
        if self.request_route is None and self._settings.uses_lua_routes:
            self.request_route = self._runtime.function(kemi.request_route_callback.encode())
            if self.request_route is None:
                self._log.error("script", f"no function {kemi.request_route_callback}")
        if self._settings.uses_lua_routes and kemi.reply_route_callback not in ("", "none"):
            found = self._runtime.function(kemi.reply_route_callback.encode())
            self.reply_route = found or self.reply_route

    def open(
        self, loop: asyncio.AbstractEventLoop, waited: Callable[..., None],
        failed: Callable[..., None],
    ) -> None:  # fmt: skip
        """Connect to the process's loop and counters, after the fork."""
        self._loop = loop
        self._waited = waited
        self._failed = failed

    def initialise(self, name: bytes, *arguments: object) -> bool:
        """Run mod_init or child_init(rank) to its end; False on error, True also without one."""
        function = self._runtime.function(name)
        if function is None:
            return True
        outcome = self._runtime.run_to_completion(self._faked_context(), function, *arguments)
        return outcome == DONE

    def defines(self, name: bytes) -> bool:
        """Whether the Lua script has a global function of this name."""
        return self._runtime.defines(name)

    def run(self, context: Context, function: LuaFunction, done: Done) -> bool:
        """Run a script function; done(ok) hears its end; returns whether that was at once."""
        outcome = self._runtime.start(context, function)
        if outcome == DONE:
            done(True)
            return True
        return self._went_on(outcome, done)

    def _went_on(self, outcome: Outcome, done: Done) -> bool:
        if isinstance(outcome, Suspended):
            self._await(outcome, done)
            return False
        if outcome == FAILED:
            self._failed()
        done(outcome == DONE)
        return True

    def _await(self, suspended: Suspended, done: Done) -> None:
        self._waited()
        self.waiting += 1
        loop = self._loop
        assert loop is not None, "a script can wait only after the fork"
        future = asyncio.ensure_future(suspended.wait.awaitable_factory(), loop=loop)
        future.add_done_callback(lambda ended: self._resume(suspended, ended, done))

    def _resume(self, suspended: Suspended, ended: asyncio.Future[object], done: Done) -> None:
        self.waiting -= 1
        if ended.cancelled():
            self._runtime.cancel(suspended, "the process ends")
            return
        error = ended.exception()
        if error is not None:
            self._went_on(self._runtime.throw(suspended, error), done)
        else:
            self._went_on(self._runtime.resume(suspended, ended.result()), done)

    def run_route(self, context: Context, name: bytes, done: Done | None = None) -> bool:
        """Run a failure, branch or onreply route: the native one, else the Lua function.

        A name that is neither ends at once and well, as in Kamailio.
        """
        function = self._find_route(_KINDS[context.route], name)
        ended = done or _ignore
        if function is None:
            ended(True)
            return True
        return self.run(context, function, ended)

    def _find_route(self, kind: bytes, name: bytes) -> LuaFunction | None:
        key = (kind, name)
        if key not in self._named:
            native = self._routes.get(kind, {})
            if kind == b"branch_failure":
                native = self._branch_failure_routes()
            self._named[key] = (
                native.get(name) or self._runtime.function(name)
                # What t_continue names is a route[], whichever kind it runs as.
                or self._routes.get(b"route", {}).get(name)
            )
        return self._named[key]

    def _branch_failure_routes(self) -> dict[bytes, LuaFunction]:
        # event_route[tm:branch-failure:NAME] is what t_on_branch_failure("NAME") arms.
        start = b"tm:branch-failure:"
        events = self._routes.get(b"event", {})
        return {n.removeprefix(start): route for n, route in events.items() if n.startswith(start)}

    def named_route(self, name: bytes) -> LuaFunction | None:
        """Return native route[name] as a function that only the script can call; None without."""
        return self._routes.get(b"route", {}).get(name)

    def run_named(
        self, context: Context, name: bytes, event: bytes = b"", done: Done | None = None
    ) -> bool:
        """Run native route[name], else the Lua function of that name, with the event's name.

        As `run_route` it returns whether that ended at once; done(False) also without such a one.
        """
        ended = done or _ignore
        function = self.named_route(name)
        arguments: tuple[bytes, ...] = ()
        if function is None:
            function = self._runtime.function(name)
            arguments = (event,) if event else ()
        if function is None:
            ended(False)
            return True
        return self._went_on(self._runtime.start(context, function, *arguments), ended)

    def run_event(self, module: str, event: str, context: Context | None = None) -> None:
        """Run event_route[module:event] and the module's event_callback, when there is one."""
        name = f"{module}:{event}"
        native = self._routes.get(b"event", {}).get(name.encode())
        callback = self._event_callbacks.get(module)
        if native is None and not callback:
            return
        run = context or self._faked_context()
        if native is not None:
            self._run_event(run, native)
        if callback:
            function = self._runtime.function(callback.encode())
            if function is not None:
                self._run_event(run, function, name.encode())

    def _run_event(self, context: Context, function: LuaFunction, *arguments: bytes) -> None:
        if self._loop is None:
            self._runtime.run_to_completion(context, function, *arguments)
        else:
            self._went_on(self._runtime.start(context, function, *arguments), _ignore)

    def hears(self, module: str, event: str) -> bool:
        """Whether run_event would run anything."""
        name = f"{module}:{event}".encode()
        return name in self._routes.get(b"event", {}) or bool(self._event_callbacks.get(module))

    def run_function(self, name: bytes, context: Context) -> bool:
        """Run a Lua global function over a context when it is defined; whether it is."""
        function = self._runtime.function(name)
        if function is None:
            return False
        self._went_on(self._runtime.start(context, function), _ignore)
        return True

    def call(self, context: Context, name: bytes, *arguments: bytes) -> int:
        """Run a Lua global function to its end; 1, or -1 when it failed or there is none."""
        function = self._runtime.function(name)
        if function is None:
            return -1
        given = [argument for argument in arguments if argument]
        return 1 if self._runtime.run_to_completion(context, function, *given) == DONE else -1

    def run_text(self, context: Context, text: bytes) -> int:
        """Run Lua text in the script's state; 1, or -1 when it failed."""
        return self._run_code(lambda: self._runtime.load_text(text, "runstring", context))

    def run_file(self, context: Context, path: str) -> int:
        """Run a Lua file in the script's state; 1, or -1 when it failed."""
        return self._run_code(lambda: self._runtime.load(path, context))

    def _run_code(self, work: Callable[[], object]) -> int:
        try:
            work()
        except LuaError as error:
            self._log.error("script", str(error))
            return -1
        return 1

    def memory(self) -> int:
        """Return the bytes that the Lua state uses."""
        return self._runtime.memory

    def _script_log(self, level: int, text: str) -> None:
        self._log.line(level, "script", text)

    def _block(self, wait: Wait) -> object:
        # In mod_init, child_init and with nonblocking=0: the work runs to its end here.
        async def work() -> object:
            return await wait.awaitable_factory()

        if self._loop is not None and not self._loop.is_running():
            return self._loop.run_until_complete(work())
        if self._loop is None:
            return asyncio.run(work())
        return _in_thread(work)

    def _primitives(self) -> dict[str, object]:
        runtime = self._runtime
        native = {name.encode(): runtime.wrap(function) for name, function in self._native.items()}
        # In the routes lua_run is Lua itself, so that what it runs may wait.
        native.update({b"lua_run/%d" % count: runtime.run_function for count in range(1, 5)})
        return {
            "call": runtime.table(native),
            "getter": self._getter,
            "setter": self._setter,
            "format": self._format,
            "keyword": self._keyword,
            "match": lambda value, pattern: _matches(value, pattern),
            "is_myself": lambda value: value is not None and self._is_myself(_bytes(value)),
            "in_subnet": _in_subnet,
            "lua_run": runtime.run_function,
            "log": lambda level, text: self._log.line(int(level), "script", _bytes(text).decode()),
            "drop": Function("drop", _mark_dropped),
            "set_rc": Function("set_rc", _set_return_code, ("int",)),
        }

    def _getter(self, spec: bytes) -> LuaFunction:
        accessor = self._variables.compile(spec)
        if accessor is None:
            raise ValueError(f"no such pseudo-variable: {spec.decode(errors='replace')}")
        return self._runtime.wrap(Function("getter", accessor.get))

    def _setter(self, spec: bytes) -> LuaFunction:
        accessor = self._variables.compile(spec)
        if accessor is None:
            raise ValueError(f"no such pseudo-variable: {spec.decode(errors='replace')}")
        return self._runtime.wrap(Function("setter", accessor.set, ("any",)))

    def _format(self, text: bytes) -> LuaFunction:
        return self._runtime.wrap(Function("format", self._variables.format(text).expand))

    def _keyword(self, name: bytes) -> LuaFunction:
        return self._runtime.wrap(Function("keyword", keyword_value(name)))


def _mark_dropped(context: Context) -> None:
    context.dropped = True


def _set_return_code(context: Context, code: int) -> None:
    context.return_code = code


def _ignore(ok: bool) -> None:
    del ok


def _in_thread(work: Callable[[], Any]) -> object:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@lru_cache(maxsize=1024)
def _pattern(pattern: bytes) -> re.Pattern[bytes] | None:
    try:
        return re.compile(pattern, re.IGNORECASE | re.DOTALL)
    except re.error:
        return None


def _matches(value: object, pattern: bytes) -> bool:
    compiled = _pattern(pattern)
    return compiled is not None and value is not None and bool(compiled.search(_bytes(value)))


def _in_subnet(address: bytes | None, network: bytes) -> bool:
    if address is None:
        return False
    try:
        return ip_address(address.decode().strip("[]")) in ip_network(network.decode(), False)
    except ValueError:
        return False

