"""What a pseudo-variable compiles to, and what its maker is told.

Owns the types that variables and their registry share; knows no variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kamailiod.script.context import Context, Value

Index = int | str | None
"""What stands in `[...]`: a number (negative from the end), "*" for all, None without."""

Getter = Callable[[Context], Value]
Setter = Callable[[Context, Value], bool]


@dataclass(frozen=True, slots=True)
class Specification:
    """A pseudo-variable as named in a script: `inner` is the text in its parentheses."""

    name: bytes
    inner: bytes = b""
    index: Index = None


class Accessor:
    """How to read and write one pseudo-variable.

    `get` is the variable's own function, so that reading costs one call.  `set` returns whether
    the value was taken; a read-only variable takes everything and does nothing, as in Kamailio.
    `unset` sets nothing unless it was given.
    """

    __slots__ = ("get", "set", "unset", "writable")

    def __init__(
        self,
        get: Getter,
        set: Setter | None = None,
        unset: Callable[[Context], bool] | None = None,
    ) -> None:
        self.get = get
        self.writable = set is not None
        self.set: Setter = set or _ignore
        if unset is None:
            setter = self.set

            def unset(context: Context) -> bool:
                return setter(context, None)

        self.unset: Callable[[Context], bool] = unset


Factory = Callable[[Specification], Accessor | None]
"""Makes the accessor of a specification; None when its inner text or index makes no sense."""


class Registry(Protocol):
    """Where variables are made known and others, named inside theirs, are compiled."""

    def register(self, name: bytes, factory: Factory, raw: bool = False) -> None:
        """Make `$name` known; a raw factory gets its inner text with the variables in it unread."""

    def compile(self, spec: bytes) -> Accessor | None:
        """Return the accessor of one whole specification, None when it is none."""

    def formatter(self, template: bytes) -> Callable[[Context], bytes]:
        """Return what expands the variables in a text."""


def simple(get: Getter, set: Setter | None = None) -> Factory:
    """Return the factory of a variable without inner text and index."""
    accessor = Accessor(get, set)
    return lambda specification: accessor


def chosen(
    getters: Mapping[bytes, Getter], setters: Mapping[bytes, Setter] | None = None
) -> Factory:
    """Return the factory of a variable whose inner text is one of a table's keys."""

    def factory(specification: Specification) -> Accessor | None:
        get = getters.get(specification.inner)
        if get is None:
            return None
        return Accessor(get, setters.get(specification.inner) if setters else None)

    return factory


def constant(value: Value) -> Getter:
    """Return a getter of what never changes."""
    return lambda context: value


def register_all(
    registry: Registry,
    getters: Mapping[bytes, Getter],
    setters: Mapping[bytes, Setter] | None = None,
) -> None:
    """Register simple variables from a table; keys with spaces are several names of one."""
    for names, get in getters.items():
        for name in names.split():
            registry.register(name, simple(get, setters.get(name) if setters else None))


def _ignore(context: Context, value: Value) -> bool:
    del context, value
    return True
