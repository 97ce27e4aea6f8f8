"""The Lua state of a process: scripts loaded into it, their functions run as coroutines.

It owns the LuaJIT state, the root table and the suspended coroutines. It must not know SIP, any
event loop, or what the functions in the root table do. Build it after the fork.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from types import SimpleNamespace
from typing import Any, TypeAlias

from lupa import luajit21

from lua.errors import LuaScriptError, LuaStateError
from lua.function import Function
from lua.outcome import DONE, FAILED, Outcome, Suspended
from lua.source import read_source, syntax_error
from lua.wait import Wait
from lua.wrapper import wrapper_source

# lupa has no types; these are its `_LuaFunction` and `_LuaTable`.
LuaFunction: TypeAlias = Any
LuaTable: TypeAlias = Any

L_ERR = -1
L_DBG = 3
_BRIDGE = b"=[lua bridge]"


class Runtime:
    """One Lua state with a root table of `functions`, in which script functions run as coroutines.

    `log(level, text)` takes Kamailio's levels (-1 error, 0 warning, 3 debug). A run may execute
    `instruction_budget` instructions between two waits (0: no limit, LuaJIT's compiler on).
    `nil_concat` makes nil "<null>" when it is concatenated. `on_drop(context)` runs at x.drop.
    `block(wait)` runs a wait to its end where a coroutine cannot be suspended, and everywhere if
    `nonblocking` is false. Context objects and Python callables must not be shared by two states.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        log: Callable[[int, str], None],
        *,
        block: Callable[[Wait], object],
        on_drop: Callable[[Any], object] = lambda context: None,
        instruction_budget: int = 10_000_000,
        nil_concat: bool = True,
        nonblocking: bool = True,
        warn_global_writes: bool = True,
        root: str = "KSR",
    ) -> None:
        self._lua = luajit21.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        self._log = log
        self._block = block
        bridge = self._lua.compile(_bridge_source(), name=_BRIDGE)(
            _BRIDGE,
            root.encode(),
            _logger(log),
            _describe,
            on_drop,
            block,
            nonblocking,
            instruction_budget,
            nil_concat,
            nonblocking and warn_global_writes,
        )
        # Taken out once: indexing a Lua table while a coroutine runs may give a stray tuple.
        self._bridge = SimpleNamespace(**{name.decode(): f for name, f in bridge.items()})
        self._start = self._bridge.start
        self._resume = self._bridge.resume
        for function in functions:
            self.bind(function.name, self.wrap(function))
        self._bridge.snapshot()

    def load(self, path: str, context: object = None) -> None:
        """Run a script file's top level; loading it again replaces the globals it defines.

        Raises LuaFileError, LuaSyntaxError or LuaScriptError; after the first two nothing changed.
        """
        self._run_chunk(self._compile(read_source(path), path), context)

    def load_text(self, source: bytes, name: str, context: object = None) -> None:
        """Run script text as `load` does; `name` stands for the path in messages."""
        self._run_chunk(self._compile(source, name), context)

    def load_chunk(
        self, source: bytes, name: str, primitives: Mapping[str, object], context: object = None
    ) -> LuaTable:
        """Run a chunk with a table of primitives as its `...` and return its first result.

        A Function among the primitives is given as its wrapper, a Python callable as it is (it is
        called without the context), Lua values and plain values unchanged.
        """
        values = {
            key.encode(): self.wrap(value) if isinstance(value, Function) else value
            for key, value in primitives.items()
        }
        chunk = self._compile(source, name)
        return self._run_chunk(chunk, context, self._lua.table_from(values))

    def compile_only(self, path: str) -> None:
        """Check the syntax of a script file; raises LuaFileError or LuaSyntaxError."""
        self._compile(read_source(path), path)

    def wrap(self, function: Function) -> LuaFunction:
        """The Lua function that counts and coerces arguments and calls `function` in its context.

        What waits in it is yielded, so it must be called from Lua, inside a started function.
        """
        source = wrapper_source(function).encode()
        return self._bridge.wrap(source, function.call, function.name.encode())

    def bind(self, name: str, value: object) -> None:
        """Put a Lua function or a plain value into the root table under a dotted name."""
        self._bridge.bind(name.encode(), value)

    def set_global(self, name: str, value: object) -> None:
        """Set a global variable of the state."""
        self._bridge.set_global(name.encode(), value)

    def table(self, values: Mapping[Any, object] | Iterable[object]) -> LuaTable:
        """A Lua table from a mapping (keys bytes or int) or, numbered from 1, from a sequence."""
        return self._lua.table_from(values)

    def defines(self, name: bytes) -> bool:
        """Whether a global function of this name, possibly dotted, exists."""
        return self.function(name) is not None

    def function(self, name: bytes) -> LuaFunction | None:
        """The global function of this possibly dotted name: quicker to start than its name."""
        return self._bridge.lookup(name)

    @property
    def run_function(self) -> LuaFunction:
        """A Lua function `(name, ...)` that runs a global function within its caller's coroutine.

        It gives 1, or -1 after a logged error, and lets waits through: what `lua_run` is made of.
        """
        return self._bridge.run_function

    @property
    def memory(self) -> int:
        """Bytes in use by the Lua state."""
        return int(self._bridge.memory() * 1024)

    def start(self, context: object, function: bytes | LuaFunction, *arguments: object) -> Outcome:
        """Run a script function in a coroutine until it ends or waits; errors are logged.

        May be nested: what runs now goes on with its own context afterwards.
        """
        outcome = self._start(context, function, *arguments)
        if outcome == DONE:
            return DONE
        return self._settled(context, outcome)

    def resume(self, suspended: Suspended, value: object) -> Outcome:
        """Go on with a suspended function, its wait giving `value`."""
        return self._resumed(suspended, False, value)

    def throw(self, suspended: Suspended, error: BaseException) -> Outcome:
        """Go on with a suspended function, its wait raising `error` in the script."""
        return self._resumed(suspended, True, error)

    def cancel(self, suspended: Suspended, reason: str) -> None:
        """Unwind a suspended function by an error at its wait; if it waits again, drop it."""
        outcome = self._resume(suspended.coroutine, True, b"cancelled: " + reason.encode())
        if outcome is None:
            raise LuaStateError("this wait has already ended")
        if outcome == DONE:
            return
        if outcome[0] == FAILED:
            self._log(L_DBG, _text(outcome[1]))
        else:
            self._bridge.abandon(outcome[1])

    def run_to_completion(
        self, context: object, function: bytes | LuaFunction, *arguments: object
    ) -> Outcome:
        """Run a script function to its end, waits driven by `block`: DONE or FAILED.

        For mod_init, child_init and event routes. Globals written here are not warned about.
        """
        outcome = self._completed(self.start(context, function, *arguments))
        self._bridge.snapshot()
        return outcome

    def _compile(self, source: bytes, name: str) -> LuaFunction:
        chunk, message = self._bridge.compile(source, b"@" + name.encode())
        if message:
            raise syntax_error(name, message)
        return chunk

    def _run_chunk(self, chunk: LuaFunction, context: object, *arguments: object) -> Any:
        code, detail, wait, value = self._bridge.evaluate(context, chunk, *arguments)
        outcome: Outcome | tuple[int, bytes] = code
        if code == FAILED:
            raise LuaScriptError(_text(detail))
        if wait is not None:
            outcome = self._completed(Suspended(context, detail, wait))
        if outcome == FAILED:
            raise LuaScriptError("the script failed after a wait, see the log")
        self._bridge.snapshot()
        return value()

    def _completed(self, outcome: Outcome) -> Outcome:
        while isinstance(outcome, Suspended):
            try:
                value = self._block(outcome.wait)
            except Exception as error:
                outcome = self.throw(outcome, error)
            else:
                outcome = self.resume(outcome, value)
        return outcome

    def _resumed(self, suspended: Suspended, problem: bool, value: object) -> Outcome:
        outcome = self._resume(suspended.coroutine, problem, value)
        if outcome is None:
            raise LuaStateError("this wait has already ended")
        if outcome == DONE:
            return DONE
        return self._settled(suspended.context, outcome)

    def _settled(self, context: object, outcome: tuple[Any, ...]) -> Outcome:
        """Log a failure, or describe a wait."""
        if outcome[0] == FAILED:
            self._log(L_ERR, _text(outcome[1]))
            return FAILED
        return Suspended(context, outcome[1], outcome[2])


def _bridge_source() -> bytes:
    return resources.files("lua").joinpath("bridge.lua").read_bytes()


def _no_attributes(value: object, name: object, setting: bool) -> None:
    """Scripts see Python objects only as error values: their insides are closed to them."""
    raise AttributeError("no attributes here")


def _logger(log: Callable[[int, str], None]) -> Callable[[int, bytes], None]:
    def log_bytes(level: int, text: bytes) -> None:
        log(level, _text(text))

    return log_bytes


def _describe(error: object) -> bytes:
    """A Python exception as `Type: message (file:line)`, the place being where it was raised."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, BaseException) and error.__traceback__ is not None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text += f" ({frame.filename}:{frame.lineno})"
    return text.encode("utf-8", "replace")


def _text(message: bytes) -> str:
    return message.decode("utf-8", "replace")
