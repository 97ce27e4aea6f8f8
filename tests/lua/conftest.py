"""A runtime whose functions record what they are called with, by context."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lua import Function, Runtime, Suspended, Wait


class Context:
    """Stands for a request."""

    live = 0

    def __init__(self, name: str) -> None:
        self.name = name
        Context.live += 1

    def __del__(self) -> None:
        Context.live -= 1


async def _awaited() -> bytes:
    return b"awaited"


class Bench:
    """A runtime under test, its log, and the calls made from it as (context name, *arguments)."""

    def __init__(self, functions: Iterable[Function] = (), **options: Any) -> None:
        self.logged: list[tuple[int, str]] = []
        self.calls: list[tuple[object, ...]] = []
        self.dropped: list[str] = []
        own = [
            Function("info", self.record, ("str",)),
            Function("log", self.record, ("int", "str")),
            Function("raw", self.record, ("any",)),
            Function("is_INVITE", lambda context: self.record(context) or True),
            Function("m.optional", self.record, ("str", "int", "str"), optional=2),
            Function("m.all_optional", self.record, ("int",), optional=1),
            Function("m.many", self.record, ("str",), variadic=True),
            Function("m.any", self.record, variadic=True),
            Function("m.boom", self.boom, ("str",)),
            Function("m.start", lambda c, name: self.start(name.decode(), "inner"), ("str",)),
            Function("m.wait", self.wait, ("str",), waits=True),
        ]
        options.setdefault("block", lambda wait: b"blocked")
        self.runtime = Runtime(
            [*own, *functions],
            lambda level, text: self.logged.append((level, text)),
            on_drop=lambda context: self.dropped.append(context.name),
            **options,
        )

    def record(self, context: Any, *arguments: object) -> None:
        self.calls.append((context and context.name, *arguments))

    def boom(self, context: object, message: bytes) -> None:
        raise ValueError(message.decode())

    def wait(self, context: object, value: bytes) -> object:
        """A wait, or for "now" a plain value: some answers are there at once."""
        return value if value == b"now" else Wait(_awaited)

    def load(self, source: str) -> None:
        self.runtime.load_text(source.encode(), "/etc/script.lua")

    def start(self, function: str, context: str = "request", *arguments: object) -> Any:
        outcome = self.runtime.start(Context(context), function.encode(), *arguments)
        return None if context == "inner" and not isinstance(outcome, Suspended) else outcome

    def run(self, source: str) -> Any:
        """Run statements as the body of a function `test`."""
        self.load(f"function test() {source}\nend")
        return self.start("test")

    def said(self, source: str) -> list[object]:
        """What statements give to KSR.raw."""
        self.run(source)
        return [call[1] for call in self.calls]

    @property
    def errors(self) -> list[str]:
        return [text for level, text in self.logged if level == -1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    return Bench


@pytest.fixture
def context_type() -> type[Context]:
    return Context
