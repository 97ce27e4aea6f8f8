"""A function offered to scripts: its name, its Python callable and how arguments are coerced.

It must not know what the function does, nor how Lua calls it (`lua/wrapper.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

KINDS = frozenset(("str", "int", "any"))


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the root table, called as `call(context, *arguments)`.

    `name` is dotted below the root ("tm.t_relay", "info"). `parameters` are "str" (given as bytes),
    "int" or "any". The last `optional` of them may be missing and are then not passed. `variadic`
    passes what follows the declared parameters on as it is; with no parameters at all that makes a
    wrapper without any check. `waits` says that `call` may return a `Wait`,
    or a Lua function that is then called in its place.
    It returns None, bool, int, float, bytes, a Lua value, or a tuple of these (several results).
    """

    name: str
    call: Callable[..., object]
    parameters: tuple[str, ...] = ()
    optional: int = 0
    waits: bool = False
    variadic: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.parameters) - KINDS
        if unknown:
            raise ValueError(f"{self.name}: unknown parameter kinds {sorted(unknown)}")
        if not 0 <= self.optional <= len(self.parameters):
            raise ValueError(f"{self.name}: {self.optional} of its parameters cannot be optional")

    @property
    def required(self) -> int:
        """How many arguments a call must have at least."""
        return len(self.parameters) - self.optional
