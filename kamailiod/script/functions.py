"""From module declarations to what the engines need: Lua functions, the native catalogue.

Owns that translation only; it knows no particular module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from kamailiod.cfg import Catalogue, ModuleEntry, NativeFunction, ParameterKind
from kamailiod.script.context import Context, Route
from kamailiod.script.module import (
    FunctionDeclaration,
    Module,
    Signature,
    declared,
    param_kinds,
    signature,
)
from lua import Function

_LETTERS = {
    Route.REQUEST: "Q", Route.FAILURE: "F", Route.BRANCH: "B", Route.ONREPLY: "T",
    Route.REPLY: "C", Route.ONSEND: "S", Route.LOCAL: "L", Route.BRANCH_FAILURE: "X",
    Route.EVENT: "E",
}  # fmt: skip

_KINDS = {
    "int": ParameterKind.INTEGER, "str": ParameterKind.STRING, "list": ParameterKind.EITHER,
    "either": ParameterKind.EITHER,
}  # fmt: skip


ScriptFunction = tuple[str, FunctionDeclaration, Signature]


def script_functions(kind: type[Module]) -> tuple[ScriptFunction, ...]:
    """Return (method name, declaration, signature) of every script function of a module."""
    key: Any = kind  # the checker takes a class of modules for something without a hash
    return _script_functions(key)


@cache
def _script_functions(kind: Any) -> tuple[ScriptFunction, ...]:
    return tuple(
        (name, declaration, signature(getattr(kind, name)))
        for name, declaration in declared(kind, "kemi")
    )


def kemi_functions(modules: Iterable[Module]) -> list[Function]:
    """Return every function below KSR of loaded modules, bound to them."""
    return [
        Function(
            name, getattr(module, method), found.parameters, found.optional, declaration.waits
        )
        for module in modules
        for method, declaration, found in script_functions(type(module))
        for name in declaration.names
    ]


def known_functions(kinds: Iterable[type[Module]]) -> dict[str, Function]:
    """Return every function below KSR by name, bound to nothing: for checking scripts."""
    known = {
        name: Function(name, _unbound, found.parameters, found.optional)
        for kind in kinds
        for _, declaration, found in script_functions(kind)
        for name in declaration.names
    }
    for name in ("x.exit", "x.drop"):
        known[name] = Function(name, _unbound)
    return known


def native_functions(modules: Iterable[Module]) -> dict[str, Function]:
    """Return the native language's functions of loaded modules as `name/count`."""
    functions: dict[str, Function] = {}
    for module in modules:
        for method, declaration, found in script_functions(type(module)):
            call = getattr(module, method)
            total = len(found.parameters)
            for name in declaration.native:
                for count in range(total - found.optional, total + 1):
                    functions.setdefault(
                        f"{name}/{count}",
                        Function(name, call, found.parameters[:count], 0, declaration.waits),
                    )
    return functions


def catalogue(kinds: Mapping[str, type[Module]], always: Iterable[str] = ()) -> Catalogue:
    """Return what a config may use of all modules there are; `always` need no loadmodule."""
    return Catalogue(_Entries(kinds), frozenset(always))


class _Entries(Mapping[str, ModuleEntry]):
    """The catalogue's entries, each made from its module when it is asked for."""

    def __init__(self, kinds: Mapping[str, type[Module]]) -> None:
        self._kinds = kinds
        self._made: dict[str, ModuleEntry] = {}

    def __getitem__(self, name: str) -> ModuleEntry:
        if name not in self._made:
            self._made[name] = _entry(self._kinds[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _entry(kind: type[Module]) -> ModuleEntry:
    functions: dict[str, NativeFunction] = {}
    for _, declaration, found in script_functions(kind):
        total = len(found.parameters)
        counts = frozenset(range(total - found.optional, total + 1))
        routes = declaration.routes
        letters = "".join(letter for route, letter in _LETTERS.items() if route in routes)
        for name in declaration.native:
            known = functions.get(name)
            functions[name] = NativeFunction(
                counts | known.counts if known else counts, frozenset(letters), found.unexpanded
            )
    kinds = {name: _KINDS[which] for name, which in param_kinds(kind.Params).items()}
    return ModuleEntry(kinds, functions)


def _unbound(context: Context, *arguments: object) -> None:
    raise NotImplementedError("a function that is known by name only")
