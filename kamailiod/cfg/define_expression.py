"""Expressions of #!ifexp and #!defexp: owns their evaluation over numbers, strings and defines."""

import operator
import re
from collections.abc import Callable, Iterator

from .defines import Defines
from .strings import unquote

Value = int | float | str

_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)|(?P<string>\"(?:[^\"\\]|\\.)*\"|'[^']*')"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<operator>==|!=|<=|>=|&&|\|\||<<|>>|[-+*/%<>!()&|^]))"
)
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="),
    ("<<", ">>"), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
_DEPTH_LIMIT = 64
_STEP_LIMIT = 10_000


def evaluate(text: str, defines: Defines) -> Value:
    """The value of the expression text; an undefined name is 0. Raises ValueError."""
    expression = _Expression(text, defines, iter(range(_STEP_LIMIT)))
    try:
        value = expression.binary(0)
    except (ZeroDivisionError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    if expression.token is not None:
        raise ValueError(f"unexpected {expression.token[1]!r}")
    return value


class _Expression:
    """A cursor over the tokens of one expression, with one method a level of precedence."""

    def __init__(
        self, text: str, defines: Defines, steps: Iterator[int], depth: int = 0
    ) -> None:
        self._steps = steps
        self._tokens = _tokens(text)
        self._defines = defines
        self._depth = depth
        self.token = next(self._tokens, None)

    def binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._unary()
        left = self.binary(level + 1)
        while self.token is not None and self.token[1] in _LEVELS[level]:
            symbol = self._advance()
            left = _OPERATIONS[symbol](left, self.binary(level + 1))
        return left

    def _unary(self) -> Value:
        if self.token is None:
            raise ValueError("expression ends too early")
        kind, text = self.token
        self._advance()
        if kind == "number":
            return float(text) if "." in text else int(text, 16 if "x" in text.lower() else 10)
        if kind == "string":
            return unquote(text)
        if kind == "name":
            return self._name(text)
        return self._prefix(text)

    def _prefix(self, symbol: str) -> Value:
        self._deeper()
        if symbol == "(":
            value = self.binary(0)
            if self.token is None or self._advance() != ")":
                raise ValueError("missing )")
        elif symbol == "!":
            value = int(not self._unary())
        elif symbol == "-":
            value = -_number(self._unary())
        else:
            raise ValueError(f"unexpected {symbol!r}")
        self._depth -= 1
        return value

    def _name(self, name: str) -> Value:
        text = self._defines.get(name)
        if text is None:
            return 0
        if not text.strip():
            return 1
        self._deeper()
        inner = _Expression(text, self._defines, self._steps, self._depth)
        value = inner.binary(0)
        self._depth -= 1
        return value

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT or next(self._steps, None) is None:
            raise ValueError("expression nests too deeply or is too long")

    def _advance(self) -> str:
        text = self.token[1] if self.token else ""
        self.token = next(self._tokens, None)
        return text


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    text, at = text.strip(), 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"unexpected {text[at:].strip()[:1]!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        raise ValueError(f"{value!r} is not a number")
    return value


def _numeric(
    operation: Callable[[int | float, int | float], Value],
) -> Callable[[Value, Value], Value]:
    return lambda left, right: operation(_number(left), _number(right))


def _integral(operation: Callable[[int, int], int]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        first, second = int(_number(left)), int(_number(right))
        if operation in (operator.lshift, operator.rshift) and not 0 <= second < 64:
            raise ValueError(f"shift by {second}")
        return operation(first, second)

    return apply


def _plus(left: Value, right: Value) -> Value:
    if isinstance(left, str) or isinstance(right, str):
        return f"{left}{right}"
    return left + right


def _divide(left: int | float, right: int | float) -> int | float:
    if isinstance(left, int) and isinstance(right, int):
        return int(left / right)
    return left / right


_OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "||": lambda left, right: int(bool(left) or bool(right)),
    "&&": lambda left, right: int(bool(left) and bool(right)),
    "|": _integral(operator.or_), "^": _integral(operator.xor), "&": _integral(operator.and_),
    "==": lambda left, right: int(left == right), "!=": lambda left, right: int(left != right),
    "<": _numeric(operator.lt), ">": _numeric(operator.gt),
    "<=": _numeric(operator.le), ">=": _numeric(operator.ge),
    "<<": _integral(operator.lshift), ">>": _integral(operator.rshift),
    "+": _plus, "-": _numeric(operator.sub), "*": _numeric(operator.mul),
    "/": _numeric(_divide), "%": _numeric(operator.mod),
}  # fmt: skip
