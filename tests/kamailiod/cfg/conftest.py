"""A stand-in for the engine: runs compiled routes under LuaJIT with recorded primitives."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lupa import luajit21

from kamailiod.cfg import Chunk, Config, ConfigError, Options, compile_routes, load


class FakeEngine:
    """Variables in a dict, functions that return what `results` says and note their arguments."""

    def __init__(self, chunk: Chunk, lua_run: str = "") -> None:
        self.variables: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.logs: list[tuple[int, str]] = []
        self.dropped = 0
        self.codes: list[int] = []
        self.keywords: dict[str, Any] = {}
        self.lua = luajit21.LuaRuntime(encoding="latin-1", unpack_returned_tuples=True)
        table = self.lua.table_from(self._primitives())
        table["call"] = self.lua.eval(
            "function(make) return setmetatable({}, {__index = function(_, k) return make(k) end})"
            " end"
        )(self._function)
        if lua_run:
            table["lua_run"] = self.lua.eval(lua_run)
        self.routes = self.lua.eval("function(text, p) return assert(loadstring(text))(p) end")(
            chunk.text, table
        )

    def request(self) -> int:
        return self.routes.request()

    def called(self) -> list[str]:
        return [name for name, _ in self.calls]

    def _primitives(self) -> dict[str, Any]:
        return {
            "getter": lambda spec: lambda: self.variables.get(spec),
            "setter": lambda spec: lambda value: self.variables.__setitem__(spec, value),
            "format": lambda text: lambda: f"<{text}>",
            "keyword": lambda name: lambda: self.keywords.get(name),
            "match": lambda value, regex: bool(re.search(regex, value, re.IGNORECASE)),
            "is_myself": lambda value: value == "me",
            "in_subnet": lambda ip, network: f"{ip} in {network}" == "10.1.1.1 in 10.0.0.0/8",
            "lua_run": self._function("lua_run"),
            "log": lambda level, text: self.logs.append((level, text)),
            "drop": self._drop,
            "set_rc": self.codes.append,
        }

    def _drop(self) -> None:
        self.dropped += 1

    def _function(self, key: str) -> Callable[..., Any]:
        name = key.partition("/")[0]

        def call(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return self.results.get(name, 1)

        return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write_config(text: str) -> str:
        path = tmp_path / "kamailio.cfg"
        path.write_text(text)
        return str(path)

    return write_config


@pytest.fixture
def read(write: Callable[[str], str]) -> Callable[..., Config]:
    def read_config(text: str, **options: Any) -> Config:
        return load(write(text), Options(**options))

    return read_config


@pytest.fixture
def engine(read: Callable[..., Config]) -> Callable[..., FakeEngine]:
    return lambda text, lua_run="", catalogue=None: FakeEngine(
        compile_routes(read(text), catalogue), lua_run
    )


@pytest.fixture
def evaluate(engine: Callable[[str], FakeEngine]) -> Callable[..., Any]:
    """The value $var(r) has after `$var(r) = <expression>;`."""

    def value(expression: str, **variables: Any) -> Any:
        routes = (
            "route[RN] { $var(q) = 1; } route[RM] { return -1; } route[R5] { return 5; }"
            "route[RB] { return 1 == 1; }"
        )
        fake = engine(f"request_route {{ $var(r) = {expression}; return 7; }} {routes}")
        fake.variables = {f"$var({name})": value for name, value in variables.items()}
        fake.variables["$var(r)"] = "UNSET"
        assert fake.request() == 7
        return fake.variables["$var(r)"]

    return value


@pytest.fixture
def faults(write: Callable[[str], str]) -> Callable[..., list[str]]:
    """Each fault of a text as `line:column: message`."""

    def faults_of(text: str, catalogue: Any = None) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            load(write(text), None, catalogue)
        return [f"{f.line}:{f.column}: {f.message}" for f in raised.value.faults]

    return faults_of
