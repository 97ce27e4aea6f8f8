"""A config that was read: owns its parts and what of the modules it uses."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .catalogue import Catalogue
from .core_functions import CORE_FUNCTIONS
from .faults import Fault
from .settings import Settings
from .source import Position
from .tree import Call, ConfigEngine, LoadModule, ModuleParameter, Route
from .walk import expressions


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a config file and its includes say, in the order they say it."""

    path: str
    settings: Settings
    load_modules: tuple[LoadModule, ...]
    module_parameters: tuple[ModuleParameter, ...]
    routes: tuple[Route, ...]
    engine: ConfigEngine | None
    flags: Mapping[str, int]
    defines: Mapping[str, str]
    warnings: tuple[Fault, ...] = ()

    def loaded(self) -> frozenset[str]:
        """The names of the modules the config loads itself."""
        return frozenset(module.name for module in self.load_modules)

    def find_routes(self, kind: str, name: str = "") -> tuple[Route, ...]:
        """The blocks of this kind and name; unnamed ones may be several and run as one."""
        return tuple(r for r in self.routes if r.kind == kind and r.name == name)

    def calls(self) -> Iterator[tuple[Route, Call]]:
        """Each function call with the route block it stands in."""
        for route in self.routes:
            for expression in expressions(route.body):
                if isinstance(expression, Call):
                    yield route, expression

    def functions_used(self) -> dict[str, Position]:
        """Each function that is called and not the core's, with the first place of a call."""
        used: dict[str, Position] = {}
        for _, call in self.calls():
            if call.name not in CORE_FUNCTIONS:
                used.setdefault(call.name, call.position)
        return used

    def modules_used(self, catalogue: Catalogue) -> dict[str, Position]:
        """Each module used and not loaded, by a call or a modparam, with the first such place."""
        loaded, used = self.loaded(), dict[str, Position]()
        for parameter in self.module_parameters:
            for module in parameter_modules(parameter, catalogue, loaded):
                used.setdefault(module, parameter.position)
        for name, position in self.functions_used().items():
            modules = [module for module, _ in catalogue.functions(name, loaded)]
            if modules and not loaded & set(modules) and not set(used) & set(modules):
                used[modules[0]] = position
        return {module: place for module, place in used.items() if module not in loaded}


def parameter_modules(
    parameter: ModuleParameter, catalogue: Catalogue, loaded: frozenset[str]
) -> list[str]:
    """The modules a modparam is for: those it names, and with a true pattern the loaded ones.

    Raises re.error if the pattern is none.
    """
    pattern = re.compile(f"(?:{parameter.module})", re.IGNORECASE)
    named = {name.lower() for name in parameter.module.split("|")}
    return [
        module
        for module in catalogue.modules
        if module in named or (module in loaded and pattern.fullmatch(module))
    ]
