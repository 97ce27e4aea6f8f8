"""How deep a config nests: owns the limits that keep every later step within its stack."""

from collections.abc import Iterable

from .faults import Findings
from .tree import Expression, If, Route, Statement, Switch, While
from .walk import operands, own_expressions

# Lua nests 200 scopes; a block takes two of them, an `else if` one.
_SCOPE_LIMIT = 120
_EXPRESSION_LIMIT = 80


def check_depth(routes: Iterable[Route], findings: Findings) -> bool:
    """Whether all routes stay within the limits; what does not is noted as a fault."""
    before = len(findings.faults)
    for route in routes:
        for statement in _too_deep_or_all(route.body, findings):
            for expression in own_expressions(statement):
                _check_expression(expression, findings)
    return len(findings.faults) == before


def _too_deep_or_all(body: tuple[Statement, ...], findings: Findings) -> list[Statement]:
    """Every statement in body; the walk stops, with a fault, below the limit."""
    found: list[Statement] = []
    pending = [(statement, 1) for statement in body]
    while pending:
        statement, depth = pending.pop()
        if depth > _SCOPE_LIMIT:
            findings.fault(statement.position, "statements nest too deeply")
            break
        found.append(statement)
        pending.extend(_inner(statement, depth))
    return found


def _inner(statement: Statement, depth: int) -> list[tuple[Statement, int]]:
    if isinstance(statement, If):
        chained = len(statement.otherwise) == 1 and isinstance(statement.otherwise[0], If)
        below = depth + (1 if chained else 2)
        return [(s, depth + 2) for s in statement.then] + [(s, below) for s in statement.otherwise]
    if isinstance(statement, While):
        return [(inner, depth + 2) for inner in statement.body]
    if isinstance(statement, Switch):
        return [(inner, depth + 3) for case in statement.cases for inner in case.body]
    return []


def _check_expression(expression: Expression, findings: Findings) -> None:
    pending = [(expression, 1)]
    while pending:
        inner, depth = pending.pop()
        if depth > _EXPRESSION_LIMIT:
            findings.fault(expression.position, "expression nests too deeply")
            return
        pending.extend((operand, depth + 1) for operand in operands(inner))
