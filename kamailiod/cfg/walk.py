"""Visits a tree: owns the order in which statements and expressions are found in each other."""

from collections.abc import Iterable, Iterator

from .tree import (
    Assignment,
    Binary,
    Call,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Return,
    RouteCall,
    Statement,
    Switch,
    Unary,
    While,
)


def statements(body: Iterable[Statement]) -> Iterator[Statement]:
    """Each statement of body and of the statements in them, in the order of the text."""
    for statement in body:
        yield statement
        if isinstance(statement, If):
            yield from statements(statement.then)
            yield from statements(statement.otherwise)
        elif isinstance(statement, While):
            yield from statements(statement.body)
        elif isinstance(statement, Switch):
            for case in statement.cases:
                yield from statements(case.body)


def own_expressions(statement: Statement) -> tuple[Expression, ...]:
    """The outermost expressions of one statement, without those of statements within it."""
    if isinstance(statement, (If, While)):
        return (statement.condition,)
    if isinstance(statement, Switch):
        labels = [case.label for case in statement.cases]
        return (statement.subject, *(label for label in labels if label is not None))
    if isinstance(statement, (Return, Exit, Drop)):
        return () if statement.value is None else (statement.value,)
    if isinstance(statement, Assignment):
        return (statement.target, statement.value)
    if isinstance(statement, Evaluate):
        return (statement.call,)
    return ()


def operands(expression: Expression) -> tuple[Expression, ...]:
    """The expressions right below expression."""
    if isinstance(expression, Binary):
        return (expression.left, expression.right)
    if isinstance(expression, Unary):
        return (expression.operand,)
    if isinstance(expression, Call):
        return expression.arguments
    if isinstance(expression, RouteCall):
        return (expression.target,)
    return ()


def expressions(body: Iterable[Statement]) -> Iterator[Expression]:
    """Each expression anywhere in body."""
    for statement in statements(body):
        for expression in own_expressions(statement):
            yield from _nested(expression)


def _nested(expression: Expression) -> Iterator[Expression]:
    yield expression
    for operand in operands(expression):
        yield from _nested(operand)
