"""How a Kamailio module is declared: one class says all there is to know of it.

From these declarations come the KSR table, the native language's functions, the checks of -c,
the RPC list, the metrics and the reference pages.  It knows no particular module.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NewType, TypeVar

from kamailiod.script.context import Route

if TYPE_CHECKING:
    from kamailiod.script.services import Services

F = TypeVar("F", bound=Callable[..., object])

Variable = NewType("Variable", bytes)
"""A parameter that names a pseudo-variable: native routes hand it on unexpanded."""

Template = NewType("Template", bytes)
"""A text whose variables the function expands itself: native routes hand it on unexpanded."""


@dataclass(frozen=True, slots=True)
class FunctionDeclaration:
    """One script function: KEMI names below KSR, native names, route kinds, whether it may wait."""

    names: tuple[str, ...]
    native: tuple[str, ...]
    routes: Route
    waits: bool


@dataclass(frozen=True, slots=True)
class VariableDeclaration:
    """One pseudo-variable class of a module; `setter` names the method that writes it.

    With `factory` the method makes the accessor, as PseudoVariables.register has it (raw).
    """

    names: tuple[str, ...]
    setter: str
    factory: bool = False


@dataclass(frozen=True, slots=True)
class RpcDeclaration:
    """One RPC command under its Kamailio name."""

    name: str


@dataclass(frozen=True, slots=True)
class Params:
    """A module's modparams: fields with types (int, str, list[str]) and Kamailio's defaults.

    A list[str] parameter may be given several times.  Subclasses are frozen slotted dataclasses.
    """


class Module:
    """Base of every module; made once in the supervisor, inherited over the fork.

    `statistics` names the counters it owns ("group:name", `$stat`), `gauges` those of them that go
    down as well as up, `event_routes` the events it may run.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Params]] = Params
    statistics: ClassVar[tuple[str, ...]] = ()
    gauges: ClassVar[tuple[str, ...]] = ()
    event_routes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Any, services: Services) -> None:
        self.params = params
        self.services = services

    def mod_init(self) -> None:
        """Run once in the supervisor, before the fork: create segments, check parameters."""

    def script_init(self) -> None:
        """Run once in the supervisor, before the fork, when the scripts have been loaded."""

    def child_init(self, rank: int) -> None:
        """Run in every process after the fork, the supervisor (rank 0) included."""

    def child_exit(self, rank: int) -> None:
        """Run when a process ends cleanly."""


def kemi(
    *names: str,
    native: str | tuple[str, ...] | None = None,
    routes: Route = Route.ANY,
    waits: bool = False,
) -> Callable[[F], F]:
    """Declare a method as script function under these names below KSR ("tm.t_relay", "info").

    The method is called as method(context, *arguments); `bytes` parameters are strings, `int`
    ones integers, those with a default may be missing.  `native` names it in the native language:
    by default the last part of the first name, () for none.  `waits` functions may return a
    lua.Wait, which suspends the script until its result is there, or a function of the script,
    which is called in their place.
    """

    def declare(function: F) -> F:
        if native is None:
            native_names: tuple[str, ...] = (names[0].rpartition(".")[2],)
        else:
            native_names = (native,) if isinstance(native, str) else native
        setattr(function, "kemi", FunctionDeclaration(names, native_names, routes, waits))  # noqa: B010  # the attribute is not part of Callable
        return function

    return declare


def pseudo_variable(*names: str, setter: str = "") -> Callable[[F], F]:
    """Declare a method as getter of `$name`, called as method(context, inner, index).

    `inner` is the text between the parentheses, pseudo-variables in it expanded (b"" without);
    `index` is None without, "*" for all, else an int.  `setter` names a method
    (context, inner, index, value) -> bool.
    """

    def declare(function: F) -> F:
        setattr(function, "variable", VariableDeclaration(names, setter))  # noqa: B010  # the attribute is not part of Callable
        return function

    return declare


def variable_factory(*names: str) -> Callable[[F], F]:
    """Declare a method as maker of `$name`: called as method(specification) when it is compiled.

    It returns the accessor; variables in the inner text are its own business.
    """

    def declare(function: F) -> F:
        setattr(function, "variable", VariableDeclaration(names, "", factory=True))  # noqa: B010  # the attribute is not part of Callable
        return function

    return declare


def rpc(name: str) -> Callable[[F], F]:
    """Declare a method as RPC command; its parameters are the command's, str, int or float.

    It returns what JSON can hold; a fault is raised as RpcFault.  It runs in the RPC process.
    """

    def declare(function: F) -> F:
        setattr(function, "rpc", RpcDeclaration(name))  # noqa: B010  # the attribute is not part of Callable
        return function

    return declare


class RpcFault(Exception):
    """What an RPC command answers when it cannot do what was asked: code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def declared(module: type[Module] | Module, kind: str) -> list[tuple[str, Any]]:
    """Return (method name, declaration) of every method declared as "kemi", "variable" or "rpc"."""
    found = []
    owner = module if isinstance(module, type) else type(module)
    for name, function in inspect.getmembers(owner, inspect.isfunction):
        declaration = getattr(function, kind, None)
        if declaration is not None:
            found.append((name, declaration))
    return found


@dataclass(frozen=True, slots=True)
class Signature:
    """What a script may pass to a function: kinds "str" or "int", how many may be missing.

    `unexpanded` are the positions of those that are a Variable or a Template.
    """

    parameters: tuple[str, ...]
    optional: int
    returns: str
    unexpanded: frozenset[int] = frozenset()


_UNEXPANDED = (Variable, Template)
_KINDS: dict[object, str] = {
    bytes: "str", Variable: "str", Template: "str", int: "int", object: "any",
}  # fmt: skip


def signature(function: Callable[..., object]) -> Signature:
    """Read a declared function's script signature off its type annotations."""
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())
    arguments = [p for p in parameters if p.name not in ("self", "context")]
    kinds = tuple(_KINDS[hints[p.name]] for p in arguments)
    optional = sum(p.default is not p.empty for p in arguments)
    returned = hints.get("return")
    names: dict[object, str] = {int: "int", bool: "bool", type(None): "none", bytes: "str"}
    unexpanded = frozenset(n for n, p in enumerate(arguments) if hints[p.name] in _UNEXPANDED)
    return Signature(kinds, optional, names.get(returned, "xval"), unexpanded)


def param_kinds(params: type[Params]) -> dict[str, str]:
    """Return the modparams of a Params class with their kinds: int, str or list."""
    hints = typing.get_type_hints(params)
    return {
        field.name: "list" if hints[field.name] not in (int, str) else hints[field.name].__name__
        for field in fields(params)
    }
