"""The registry of pseudo-variables: from `$name(inner)` in a script to one callable.

Owns names, compilation and its cache; what a variable means is in variables/ and in the modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kamailiod.script import transformations
from kamailiod.script.context import Context, Value
from kamailiod.script.format import Format
from kamailiod.script.log import Log
from kamailiod.script.module import Module, VariableDeclaration, declared
from kamailiod.script.variables import (
    addresses,
    avp,
    branches,
    constants,
    credentials,
    flags,
    headers,
    message,
    network,
    request_uri,
    selects,
    time,
    via,
    xavp,
)
from kamailiod.script.variables.accessor import Accessor, Factory, Index, Specification
from kamailiod.script.variables.specification import Parsed, parse
from kamailiod.script.variables.value import text

THEMES = (
    addresses,
    avp,
    branches,
    constants,
    credentials,
    flags,
    headers,
    message,
    network,
    request_uri,
    selects,
    time,
    via,
    xavp,
)

CACHED = 8192
"""How many specifications and texts stay compiled; scripts may build them from what peers send."""


class PseudoVariables:
    """All pseudo-variables of one process.

    `accessors[spec].get(context)` is the way to read one: a dictionary look-up and a call.  A name
    that is unknown or malformed gives an accessor that holds nothing and takes nothing; it is
    logged when it is compiled.
    """

    def __init__(self, log: Log) -> None:
        self.accessors = Accessors(self._compile)
        self._log = log
        self._factories: dict[bytes, tuple[Factory, bool]] = {}
        self._formats: dict[bytes, Format] = {}
        self.register(b"_s", self._expanded, raw=True)
        for theme in THEMES:
            theme.register(self)

    def register(self, name: bytes, factory: Factory, raw: bool = False) -> None:
        """Make `$name` known, or known anew.

        The factory makes an accessor of a Specification; variables in its inner text are expanded
        before, at each reading, unless `raw`.
        """
        self._factories[name] = (factory, raw)
        self.accessors.clear()
        self._formats.clear()

    def register_module(self, module: Module) -> None:
        """Make the variables known that a module declares by @pseudo_variable."""
        for method, declaration in declared(module, "variable"):
            factory = _module_factory(module, method, declaration)
            for name in declaration.names:
                self.register(name.lstrip("$").encode(), factory, declaration.factory)

    def names(self) -> list[bytes]:
        """Return all known names, sorted."""
        return sorted(self._factories)

    def compile(self, spec: bytes) -> Accessor | None:
        """Return the accessor of a whole specification; None (and an error line) if it is none."""
        accessor = self.accessors[spec]
        return None if accessor is UNKNOWN else accessor

    def format(self, template: bytes) -> Format:
        """Return a text compiled with the variables in it; nothing expands to `<null>`."""
        found = self._formats.get(template)
        if found is None:
            if len(self._formats) >= CACHED:
                self._formats.clear()
            found = self._formats[template] = Format(template, self._read)
        return found

    def formatter(self, template: bytes) -> Callable[[Context], bytes]:
        """Return what expands the variables in a text."""
        return self.format(template).expand

    def _compile(self, spec: bytes) -> Accessor:
        stripped = spec.strip(b" \t\r\n")
        parsed = parse(stripped)
        if parsed is None or parsed.end != len(stripped):
            self._log.error("pv", f"not a pseudo-variable: {spec[:128]!r}")
            return UNKNOWN
        return self._compile_parsed(parsed)

    def _compile_parsed(self, parsed: Parsed) -> Accessor:
        name = parsed.name.decode("ascii", "replace")
        registered = self._factories.get(parsed.name)
        if registered is None:
            self._log.error("pv", f"unknown pseudo-variable ${name}")
            return UNKNOWN
        factory, raw = registered
        if b"$" in parsed.index or (b"$" in parsed.inner and not raw):
            accessor: Accessor | None = self._dynamic(parsed, factory, raw)
        else:
            accessor = factory(Specification(parsed.name, parsed.inner, _index(parsed.index)))
        if accessor is not None and parsed.transformations:
            accessor = self._transformed(accessor, parsed.transformations)
        if accessor is None:
            self._log.error("pv", f"bad use of pseudo-variable ${name}: {parsed.inner[:128]!r}")
            return UNKNOWN
        return accessor

    def _read(self, parsed: Parsed) -> Callable[[Context], Value]:
        return self._compile_parsed(parsed).get

    def _dynamic(self, parsed: Parsed, factory: Factory, raw: bool) -> Accessor:
        expand_inner = self._inner_expander(parsed.inner, raw)
        expand_index = self.format(parsed.index).expand

        def resolve(context: Context) -> Accessor:
            index = _index(expand_index(context))
            return factory(Specification(parsed.name, expand_inner(context), index)) or UNKNOWN

        return Accessor(
            lambda context: resolve(context).get(context),
            lambda context, value: resolve(context).set(context, value),
            lambda context: resolve(context).unset(context),
        )

    def _inner_expander(self, inner: bytes, raw: bool) -> Callable[[Context], bytes]:
        return (lambda context: inner) if raw else self.format(inner).expand

    def _transformed(self, accessor: Accessor, source: bytes) -> Accessor | None:
        transform = transformations.compile(source, self._parameter)
        if transform is None:
            return None
        get = accessor.get
        return Accessor(lambda context: transform(get(context), context))

    def _parameter(self, spec: bytes) -> Callable[[Context], Value] | None:
        accessor = self.compile(spec)
        return accessor.get if accessor is not None else None

    def _expanded(self, specification: Specification) -> Accessor:
        return Accessor(self.format(specification.inner).expand)


class Accessors(dict[bytes, Accessor]):
    """Compiled specifications by their text; what is missing is compiled, and the rest bounded."""

    def __init__(self, compile: Callable[[bytes], Accessor]) -> None:
        super().__init__()
        self._compile = compile

    def __missing__(self, spec: bytes) -> Accessor:
        accessor = self._compile(spec)
        if len(self) >= CACHED:
            self.clear()
        self[spec] = accessor
        return accessor


def _refuse(context: Context, value: Value) -> bool:
    del context, value
    return False


UNKNOWN = Accessor(lambda context: None, _refuse)
"""What stands for a variable that does not exist."""


def _index(source: bytes) -> Index:
    if not source:
        return None
    if source == b"*":
        return "*"
    try:
        return int(source)
    except ValueError:
        return 0


def _module_factory(module: Module, method: str, declaration: VariableDeclaration) -> Factory:
    read: Callable[..., Any] = getattr(module, method)
    if declaration.factory:
        return read
    write: Callable[..., Any] | None = (
        getattr(module, declaration.setter) if declaration.setter else None
    )

    def factory(specification: Specification) -> Accessor:
        inner, index = specification.inner, specification.index

        def get(context: Context) -> Value:
            return read(context, inner, index)  # type: ignore[no-any-return]  # by declaration

        if write is None:
            return Accessor(get)
        return Accessor(get, lambda context, value: bool(write(context, inner, index, value)))

    return factory


__all__ = ["CACHED", "Accessor", "Accessors", "PseudoVariables", "text"]
