"""What must hold beyond the syntax: owns the checks of routes, words, calls and modparams."""

import re
from collections.abc import Iterable

from .catalogue import ROUTE_LETTERS, Catalogue, NativeFunction, ParameterKind
from .config import Config, parameter_modules
from .core_functions import CORE_FUNCTIONS
from .faults import Findings
from .tree import (
    Binary,
    Call,
    Expression,
    LoadModule,
    ModuleParameter,
    Route,
    RouteCall,
    String,
    Word,
)
from .typing_rules import check_types
from .walk import expressions, operands, own_expressions, statements
from .words import KEYWORD_VALUES, PAIRS

_SHARED_NAMES = {"request", "reply", "onsend"}


def check_routes(config: Config, findings: Findings) -> None:
    """Duplicate blocks, unknown targets of route(), words and types of every expression."""
    seen: set[tuple[str, str]] = set()
    for route in config.routes:
        key = (route.kind, route.name)
        if key in seen and route.kind not in _SHARED_NAMES:
            findings.fault(route.position, f"duplicate {route.kind} block {route.name!r}")
        seen.add(key)
    for route in config.routes:
        _check_expressions(config, route, findings)


def check_modules(config: Config, catalogue: Catalogue, findings: Findings) -> None:
    """Modules, their parameters and their functions against what the catalogue has."""
    for module in config.load_modules:
        _check_load(module, catalogue, findings)
    for parameter in config.module_parameters:
        _check_parameter(parameter, catalogue, config.loaded(), findings)
    for route, call in config.calls():
        _check_call(route, call, catalogue, config.loaded(), findings)


def _check_expressions(config: Config, route: Route, findings: Findings) -> None:
    for statement in statements(route.body):
        for expression in own_expressions(statement):
            check_types(expression, findings)
            _check_words(expression, config, findings)
    for expression in expressions(route.body):
        if isinstance(expression, RouteCall):
            _check_target(expression, config, findings)
        elif isinstance(expression, Call) and expression.name in CORE_FUNCTIONS:
            _check_use(expression, route, [CORE_FUNCTIONS[expression.name]], findings)


def _check_target(call: RouteCall, config: Config, findings: Findings) -> None:
    name = route_name(call)
    if name is not None and not config.find_routes("route", name):
        findings.warn(call.position, f"route({name}) has no route[{name}] and does nothing")


def route_name(call: RouteCall) -> str | None:
    """The name a route() call has before the script runs, None if it is computed."""
    target = call.target
    if isinstance(target, Word):
        return target.name
    if isinstance(target, String):
        return None if "$" in target.text else target.text
    return str(target.value) if hasattr(target, "value") else None


def _check_words(expression: Expression, config: Config, findings: Findings) -> None:
    if isinstance(expression, RouteCall):
        return
    below = operands(expression)
    if isinstance(expression, Binary) and _compares_word(expression):
        below = tuple(operand for operand in below if not isinstance(operand, Word))
    if isinstance(expression, Word) and not _known_word(expression.name, config):
        findings.fault(expression.position, f"unknown word {expression.name}, quotes missing?")
    for operand in below:
        _check_words(operand, config, findings)


def _compares_word(expression: Binary) -> bool:
    """Whether this is `method == INVITE` or the like, in either order."""
    sides = (expression.left, expression.right)
    return expression.operator in ("==", "!=") and any(
        isinstance(side, Word) and (side.name in KEYWORD_VALUES or side.name == "myself")
        for side in sides
    )


def _known_word(name: str, config: Config) -> bool:
    return name in KEYWORD_VALUES or name in PAIRS or name in config.flags or name == "myself"


def _check_load(module: LoadModule, catalogue: Catalogue, findings: Findings) -> None:
    if module.name not in catalogue.modules:
        findings.fault(module.position, f"unknown module {module.name}")


def _check_parameter(
    parameter: ModuleParameter, catalogue: Catalogue, loaded: frozenset[str], findings: Findings
) -> None:
    try:
        modules = parameter_modules(parameter, catalogue, loaded)
    except re.error as error:
        findings.fault(parameter.position, f"bad module pattern {parameter.module!r}: {error.msg}")
        return
    if not modules:
        findings.fault(parameter.position, f"modparam for unknown module {parameter.module}")
    for module in modules:
        kind = catalogue.modules[module].parameters.get(parameter.name)
        if kind is None:
            message = f"module {module} has no parameter {parameter.name}"
            findings.fault(parameter.position, message)
        elif not _fits(parameter.value, kind):
            message = f"{module} parameter {parameter.name} takes {_article(kind)}"
            findings.fault(parameter.position, message)


def _fits(value: int | str, kind: ParameterKind) -> bool:
    if kind is ParameterKind.EITHER:
        return True
    return isinstance(value, int) == (kind is ParameterKind.INTEGER)


def _article(kind: ParameterKind) -> str:
    return "a number, not a string" if kind is ParameterKind.INTEGER else "a string, not a number"


def _check_call(
    route: Route, call: Call, catalogue: Catalogue, loaded: frozenset[str], findings: Findings
) -> None:
    if call.name in CORE_FUNCTIONS:
        return
    functions = [function for _, function in catalogue.functions(call.name, loaded)]
    if not functions:
        findings.fault(call.position, f"unknown command {call.name}, missing loadmodule?")
    else:
        _check_use(call, route, functions, findings)


def _check_use(
    call: Call, route: Route, functions: Iterable[NativeFunction], findings: Findings
) -> None:
    count = len(call.arguments)
    fitting = [function for function in functions if count in function.counts]
    if not fitting:
        allowed = sorted(set().union(*(function.counts for function in functions)))
        wanted = " or ".join(str(number) for number in allowed)
        findings.fault(call.position, f"{call.name} takes {wanted} arguments, not {count}")
    elif not any(_route_letter(route) in function.routes for function in fitting):
        block = "event_route" if route.kind == "event" else f"{route.kind} route"
        findings.fault(call.position, f"{call.name} cannot be used in this {block}")


def _route_letter(route: Route) -> str:
    if route.kind == "event" and route.name.startswith("tm:branch-failure"):
        return "X"
    return ROUTE_LETTERS[route.kind]
