"""From a path to a Config: owns the order of the steps, and collects all faults of all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .catalogue import Catalogue
from .checks import check_modules, check_routes
from .config import Config
from .defines import Defines
from .depth import check_depth
from .faults import ConfigError, Findings
from .parser import Parser
from .preprocessor import Preprocessor, add_definitions, add_substitution, module_name
from .settings import build_settings
from .source import Position
from .static_variables import expand_static_variables
from .tree import ConfigEngine, Flag, Item, LoadModule, ModuleParameter, Route

_COMMAND_LINE = Position("<command line>", 1, 1)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to a config.

    defines are `NAME` or `NAME=value` (-A), substs, substdefs and substdefs_quoted expressions
    (--subst, --substdef, --substdefs), loadmodules paths, modparams `module:name:s|i:value`.
    """

    defines: Sequence[str] = ()
    substs: Sequence[str] = ()
    substdefs: Sequence[str] = ()
    substdefs_quoted: Sequence[str] = ()
    loadmodules: Sequence[str] = ()
    modparams: Sequence[str] = ()


def load(
    path: str, options: Options | None = None, catalogue: Catalogue | None = None
) -> Config:
    """The config at path. Raises ConfigError with every fault that was found.

    Without a catalogue nothing that needs knowledge of the modules is checked.
    """
    findings, options = Findings(), options or Options()
    defines = _defines(options, findings)
    preprocessor = Preprocessor(defines, findings)
    preprocessor.read(path)
    expand_static_variables(preprocessor.tokens, defines, findings)
    items = _option_items(options, findings)
    items += Parser().parse(preprocessor.tokens, findings)
    config = _config(path, items, defines, findings)
    if check_depth(config.routes, findings):
        check_routes(config, findings)
        if catalogue is not None:
            check_modules(config, catalogue, findings)
    if findings.faults:
        raise ConfigError(findings.faults)
    return replace(config, warnings=tuple(findings.warnings))


def resolved_text(path: str, options: Options | None = None) -> str:
    """The text of the config at path, its conditions and includes resolved.

    Raises ConfigError with the faults of its directives.
    """
    findings = Findings()
    preprocessor = Preprocessor(_defines(options or Options(), findings), findings)
    preprocessor.read(path)
    if findings.faults:
        raise ConfigError(findings.faults)
    return "".join(preprocessor.texts)


def _defines(options: Options, findings: Findings) -> Defines:
    defines = Defines()
    add_definitions(defines, options.defines)
    for path in options.loadmodules:
        defines.set(f"MOD_{module_name(path)}", "")
    for directive, expressions in (
        ("subst", options.substs), ("substdef", options.substdefs),
        ("substdefs", options.substdefs_quoted),
    ):  # fmt: skip
        for expression in expressions:
            try:
                add_substitution(defines, directive, expression)
            except ValueError as error:
                findings.fault(_COMMAND_LINE, f"--{directive}: {error}")
    return defines


def _option_items(options: Options, findings: Findings) -> list[Item]:
    items: list[Item] = [
        LoadModule(module_name(path), path, _COMMAND_LINE) for path in options.loadmodules
    ]
    for text in options.modparams:
        try:
            items.append(_module_parameter(text))
        except ValueError as error:
            findings.fault(_COMMAND_LINE, f"--modparam={text}: {error}")
    return items


def _module_parameter(text: str) -> ModuleParameter:
    parts = text.split(":", 3)
    if len(parts) != 4 or parts[2] not in ("s", "i"):
        raise ValueError("module:name:s|i:value is expected")
    module, name, kind, value = parts
    return ModuleParameter(module, name, int(value) if kind == "i" else value, _COMMAND_LINE)


def _config(path: str, items: list[Item], defines: Defines, findings: Findings) -> Config:
    engines = [item for item in items if isinstance(item, ConfigEngine)]
    return Config(
        path=path,
        settings=build_settings(items, findings),
        load_modules=_unique(item for item in items if isinstance(item, LoadModule)),
        module_parameters=tuple(item for item in items if isinstance(item, ModuleParameter)),
        routes=tuple(item for item in items if isinstance(item, Route)),
        engine=engines[-1] if engines else None,
        flags=_flags(items),
        defines=defines.values(),
    )


def _unique(modules: Iterable[LoadModule]) -> tuple[LoadModule, ...]:
    """The modules without repetitions: a module is loaded once, where it is named first."""
    by_name: dict[str, LoadModule] = {}
    for module in modules:
        by_name.setdefault(module.name, module)
    return tuple(by_name.values())


def _flags(items: list[Item]) -> dict[str, int]:
    """Named flags with their numbers; those without one get the highest that is free."""
    flags = [item for item in items if isinstance(item, Flag)]
    numbers = {flag.name: flag.number for flag in flags if flag.number is not None}
    free = (number for number in range(31, -1, -1) if number not in numbers.values())
    for flag in flags:
        if flag.number is None and flag.name not in numbers:
            numbers[flag.name] = next(free, 0)
    return numbers
