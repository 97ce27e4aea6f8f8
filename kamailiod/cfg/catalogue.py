"""What the config may use from modules: owns the shape in which the caller says so."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

ANY_ROUTE = frozenset("QFBTCSLXE")
# Kamailio's letters of the route blocks a function may stand in.
ROUTE_LETTERS = {
    "request": "Q", "route": "Q", "failure": "F", "branch": "B", "onreply": "T", "reply": "C",
    "onsend": "S", "event": "E",
}  # fmt: skip


class ParameterKind(Enum):
    """What a module parameter takes."""

    INTEGER = "int"
    STRING = "string"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class NativeFunction:
    """A function of the native language: the numbers of arguments and routes it allows.

    `unexpanded` are the positions of arguments that are handed on as they are written, because
    they name a variable or the function expands them itself.
    """

    counts: frozenset[int]
    routes: frozenset[str] = ANY_ROUTE
    unexpanded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ModuleEntry:
    """A module's parameters and native functions by name."""

    parameters: Mapping[str, ParameterKind] = field(default_factory=dict)
    functions: Mapping[str, NativeFunction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All modules this server has, by name; those of `always` are there without being loaded.

    Looking a module up may have it read in: what asks for all of them is for the rare cases.
    """

    modules: Mapping[str, ModuleEntry]
    always: frozenset[str] = frozenset()

    def functions(
        self, name: str, loaded: Collection[str] = ()
    ) -> list[tuple[str, NativeFunction]]:
        """Each (module, function) of this name: of loaded modules when one has it, else of all."""
        at_hand = [module for module in (*loaded, *self.always) if module in self.modules]
        return list(self._among(at_hand, name)) or list(self._among(self.modules, name))

    def _among(self, modules: Iterable[str], name: str) -> Iterator[tuple[str, NativeFunction]]:
        for module in modules:
            function = self.modules[module].functions.get(name)
            if function is not None:
                yield module, function

    def unexpanded(
        self, names: Iterable[str], loaded: Collection[str] = ()
    ) -> dict[str, frozenset[int]]:
        """Those of these functions with arguments that are not expanded, and their positions."""
        found: dict[str, frozenset[int]] = {}
        for name in names:
            for _, function in self.functions(name, loaded):
                if function.unexpanded:
                    found[name] = found.get(name, frozenset()) | function.unexpanded
        return found
