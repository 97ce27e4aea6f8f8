"""Types known before a script runs: owns the mismatches Kamailio refuses in constants."""

from .faults import Findings
from .tree import Binary, Call, Expression, Number, RouteCall, String, Unary
from .walk import operands

_INTEGER_OPERATORS = frozenset(
    ("-", "*", "/", "%", "<<", ">>", "&", "|", "^", "<", ">", "<=", ">=", "&&", "||", "ieq", "ine")
)


def static_type(expression: Expression) -> type | None:
    """Give int or str if the type of the expression's value is certain, else None."""
    if isinstance(expression, String):
        return str
    if isinstance(expression, Unary):
        return str if expression.operator == "(str)" else int
    if isinstance(expression, Binary):
        return static_type(expression.left) if expression.operator == "+" else int
    if isinstance(expression, Call):
        return None if expression.name == "selval" else int
    return int if isinstance(expression, (Number, RouteCall)) else None


def check_types(expression: Expression, findings: Findings) -> None:
    """Note each operand, at any depth, whose certain type its operator does not take."""
    for operand in operands(expression):
        check_types(operand, findings)
    if isinstance(expression, Binary):
        _check_binary(expression, findings)
    elif isinstance(expression, Unary) and expression.operator in ("!", "-", "~"):
        _expect(int, expression.operand, findings)
    elif isinstance(expression, Call) and expression.name in ("strlen", "strempty"):
        for argument in expression.arguments:
            _expect(str, argument, findings)


def _check_binary(expression: Binary, findings: Findings) -> None:
    left, right, operator = expression.left, expression.right, expression.operator
    if operator in _INTEGER_OPERATORS:
        _expect(int, left, findings)
        _expect(int, right, findings)
    elif operator in ("eq", "ne"):
        _expect(str, left, findings)
    elif operator in ("+", "==", "!=") and static_type(left) is int:
        _expect(int, right, findings)


def _expect(wanted: type, operand: Expression, findings: Findings) -> None:
    found = static_type(operand)
    if found not in (None, wanted):
        name = "str" if found is str else "int"
        findings.fault(
            operand.position, f"type mismatch: {name} instead of {wanted.__name__}"
        )
