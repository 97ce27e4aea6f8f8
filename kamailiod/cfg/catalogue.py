"""What the config may use from modules: owns the shape in which the caller says so."""

from collections.abc import Iterator, Mapping
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
    """All modules this server has, by name."""

    modules: Mapping[str, ModuleEntry]

    def functions(self, name: str) -> Iterator[tuple[str, NativeFunction]]:
        """Each (module, function) of this name."""
        for module, entry in self.modules.items():
            function = entry.functions.get(name)
            if function is not None:
                yield module, function

    def unexpanded(self) -> dict[str, frozenset[int]]:
        """The functions with arguments that are not expanded, with the positions of these."""
        found: dict[str, frozenset[int]] = {}
        for entry in self.modules.values():
            for name, function in entry.functions.items():
                if function.unexpanded:
                    found[name] = found.get(name, frozenset()) | function.unexpanded
        return found
