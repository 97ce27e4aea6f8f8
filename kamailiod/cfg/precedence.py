"""How binary operators bind: owns the table and the tree of a flat expression.

The order is the one Kamailio 5.6.3 shows when it is run: equality binds tighter than shifts and
the bit operators, which its documentation has the other way round.
"""

from collections.abc import Sequence

from .token import Token
from .tree import Binary, Expression

BINDING = {
    "||": 1, "&&": 2, "|": 3, "&": 4, "^": 5, "<<": 6, ">>": 6,
    "==": 7, "!=": 7, "=~": 7, "eq": 7, "ne": 7, "ieq": 7, "ine": 7,
    "<": 8, ">": 8, "<=": 8, ">=": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip


def bind(first: Expression, rest: Sequence[tuple[Token, Expression]]) -> Expression:
    """The tree of `first op operand op operand ...`; all operators bind to the left."""
    operands = [first]
    pending: list[Token] = []
    for operator, operand in rest:
        while pending and BINDING[pending[-1].value] >= BINDING[operator.value]:
            _reduce(operands, pending.pop())
        pending.append(operator)
        operands.append(operand)
    while pending:
        _reduce(operands, pending.pop())
    return operands[0]


def _reduce(operands: list[Expression], operator: Token) -> None:
    right = operands.pop()
    operands[-1] = Binary(operator.value, operands[-1], right, operator.position)
