"""From the parser's reductions to the tree: owns what each rule of grammar.lark becomes."""

from collections.abc import Callable
from typing import Any

from lark import Transformer, v_args

from .precedence import bind
from .preprocessor import module_name
from .source import Position
from .token import Token
from .tree import (
    AliasParameter,
    Assignment,
    Break,
    Call,
    Case,
    ConfigEngine,
    CustomParameter,
    Drop,
    Evaluate,
    Exit,
    Expression,
    Flag,
    If,
    Item,
    ListenParameter,
    Literal,
    LoadModule,
    ModuleParameter,
    Network,
    Number,
    Parameter,
    PseudoVariable,
    Return,
    Route,
    RouteCall,
    Select,
    Statement,
    String,
    Switch,
    Unary,
    While,
    Word,
)

Body = tuple[Statement, ...]
_CONSTANTS = {"yes": 1, "true": 1, "on": 1, "enable": 1, "no": 0, "false": 0, "off": 0,
              "disable": 0}  # fmt: skip


class StatementBuilder(Transformer[Any, Any]):
    """Builds statements and expressions."""

    def body(self, statements: list[Statement | None]) -> Body:
        return _present(statements)

    @v_args(inline=True)
    def if_(self, keyword: Token, condition: Expression, then: Body, other: Body = ()) -> If:
        return If(condition, then, other, keyword.position)

    @v_args(inline=True)
    def while_(self, keyword: Token, condition: Expression, body: Body) -> While:
        return While(condition, body, keyword.position)

    @v_args(inline=True)
    def switch(self, keyword: Token, subject: Expression, *cases: Case) -> Switch:
        return Switch(subject, cases, keyword.position)

    def case(self, parts: list[Any]) -> Case:
        keyword = parts[0]
        at = next(i for i, part in enumerate(parts) if _is(part, "COLON"))
        body = _present(parts[at + 1 :])
        is_regex = at == 3
        label = None
        if is_regex:
            label = String(parts[2].value, parts[2].position)
        elif at == 2:
            label = parts[1]
        return Case(label, is_regex, body, keyword.position)

    @v_args(inline=True)
    def break_(self, keyword: Token) -> Break:
        return Break(keyword.position)

    @v_args(inline=True)
    def leave(self, keyword: Token, value: Expression | None = None) -> Return | Exit | Drop:
        if keyword.value == "return":
            return Return(value, keyword.position)
        kind = Exit if keyword.value == "exit" else Drop
        return kind(value, keyword.position)

    @v_args(inline=True)
    def assignment(self, target: Token, value: Expression) -> Assignment:
        variable = PseudoVariable(target.value, target.position)
        return Assignment(variable, value, target.position)

    @v_args(inline=True)
    def evaluate(self, call: Call | RouteCall) -> Evaluate:
        return Evaluate(call, call.position)

    @v_args(inline=True)
    def bare_call(self, name: Token) -> Evaluate:
        return Evaluate(Call(name.value, (), name.position), name.position)

    def nothing(self, _: list[Any]) -> None:
        return None

    def operation(self, parts: list[Any]) -> Expression:
        return bind(parts[0], list(zip(parts[1::2], parts[2::2], strict=True)))

    @v_args(inline=True)
    def prefixed(self, operator: Token, operand: Expression) -> Expression:
        if operator.value == "-" and isinstance(operand, Number):
            return Number(-operand.value, operator.position)
        return Unary(operator.value, operand, operator.position)

    @v_args(inline=True)
    def operand(self, token: Token) -> Expression:
        return _OPERANDS[token.type](token)

    @v_args(inline=True)
    def call(self, name: Token, *arguments: Expression) -> Call:
        return Call(name.value, arguments, name.position)

    @v_args(inline=True)
    def route_call(self, keyword: Token, target: Expression) -> RouteCall:
        return RouteCall(target, keyword.position)

    @v_args(inline=True)
    def pair(self, left: Token, _: Token, right: Token) -> Word:
        return Word(f"{left.value}:{right.value}", left.position)


class Builder(StatementBuilder):
    """Builds the top-level items; each is a tuple of items, since one line may hold several."""

    def load_module(self, parts: list[Token]) -> tuple[Item, ...]:
        path = parts[1].value
        return (LoadModule(module_name(path), path, parts[0].position),)

    @v_args(inline=True)
    def module_parameter(
        self, keyword: Token, module: Token, name: Token, value: tuple[Literal, bool]
    ) -> tuple[Item, ...]:
        return (ModuleParameter(module.value, name.value, _constant(value), keyword.position),)

    @v_args(inline=True)
    def config_engine(self, keyword: Token, name: Token) -> tuple[Item, ...]:
        return (ConfigEngine(name.value, keyword.position),)

    def flags(self, parts: list[Any]) -> tuple[Item, ...]:
        return tuple(parts[1:])

    def flag(self, parts: list[Token]) -> Flag:
        number = integer(parts[2].value) if len(parts) > 2 else None
        return Flag(parts[0].value, number, parts[0].position)

    def listens(self, parts: list[Any]) -> tuple[Item, ...]:
        return tuple(
            part if isinstance(part, ListenParameter)
            else ListenParameter(part, "", "", False, parts[0].position)
            for part in parts[1:]
        )  # fmt: skip

    def listen(self, parts: list[Any]) -> ListenParameter:
        options: dict[str, str] = {}
        for keyword, value in parts[1:]:
            options[keyword.value] = value
        return ListenParameter(
            parts[0], options.get("advertise", ""), options.get("name", ""),
            "virtual" in options, parts[0].position,
        )  # fmt: skip

    def option(self, parts: list[Any]) -> tuple[Token, str]:
        value = parts[1] if len(parts) > 1 else ""
        return parts[0], value.value if isinstance(value, Token) else value

    def address(self, parts: list[Token]) -> "Address":
        return Address("".join(part.value for part in parts), parts[0].position)

    def aliases(self, parts: list[Any]) -> tuple[Item, ...]:
        return tuple(AliasParameter(str(part), part.position) for part in parts[1:])

    def field(self, parts: list[Any]) -> tuple[str, str]:
        return parts[0].value, str(parts[1])

    def socket(self, parts: list[Any]) -> tuple[Item, ...]:
        fields = dict(parts[1:])
        return (
            ListenParameter(
                fields.get("bind", ""), fields.get("advertise", ""), fields.get("name", ""),
                _CONSTANTS.get(fields.get("virtual", ""), 0) == 1, parts[0].position,
            ),
        )  # fmt: skip

    @v_args(inline=True)
    def load_path(self, keyword: Token, path: Token) -> tuple[Item, ...]:
        return (Parameter(keyword.value, path.value, True, keyword.position),)

    @v_args(inline=True)
    def parameter(self, name: Token, value: tuple[Literal, bool]) -> tuple[Item, ...]:
        return (Parameter(name.value, value[0], value[1], name.position),)

    @v_args(inline=True)
    def core_parameter(
        self, keyword: Token, name: Token, value: tuple[Literal, bool]
    ) -> tuple[Item, ...]:
        return (Parameter(name.value, value[0], value[1], keyword.position),)

    def custom_parameter(self, parts: list[Any]) -> tuple[Item, ...]:
        group, _, name, value = parts[:4]
        description = parts[5].value if len(parts) > 5 else ""
        return (
            CustomParameter(group.value, name.value, value[0], description, group.position),
        )

    def literal(self, parts: list[Token]) -> tuple[Literal, bool]:
        if len(parts) == 2 and parts[0].type == "MINUS" and parts[1].type == "NUMBER":
            return -integer(parts[1].value), False
        if len(parts) == 1 and parts[0].type == "NUMBER":
            return integer(parts[0].value), False
        return "".join(part.value for part in parts), len(parts) == 1 and _is(parts[0], "STRING")

    def route(self, parts: list[Any]) -> tuple[Item, ...]:
        keyword, rest, name = parts[0], parts[1:], ""
        kind = keyword.value
        if keyword.type == "EVENT_ROUTE":
            kind, name = "event", keyword.value.partition("[")[2].rstrip("]").strip()
        elif rest and isinstance(rest[0], Token):
            name, rest = rest[0].value, rest[1:]
        if kind == "route" and name in ("", "0"):
            kind, name = "request", ""
        if kind == "reply" and name not in ("", "0"):
            kind = "onreply"
        return (Route(kind, name, _present(rest), keyword.position),)


class Address(str):
    """An address as written, with its place."""

    __slots__ = ("position",)
    position: Position

    def __new__(cls, text: str, position: Position) -> "Address":
        address = super().__new__(cls, text)
        address.position = position
        return address


def integer(text: str) -> int:
    """The value of a NUMBER: 0x is hexadecimal, a leading 0 octal, as in C."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if text[0] == "0" and all(digit in "01234567" for digit in text):
        return int(text, 8)
    return int(text)


def constant_word(name: str) -> int | None:
    """1 or 0 for the spellings of a boolean, None for any other word."""
    return _CONSTANTS.get(name.lower())


def _word(token: Token) -> Expression:
    value = constant_word(token.value)
    if value is not None:
        return Number(value, token.position)
    return Word(token.value, token.position)


_OPERANDS: dict[str, Callable[[Token], Expression]] = {
    "NUMBER": lambda token: Number(integer(token.value), token.position),
    "STRING": lambda token: String(token.value, token.position),
    "PV": lambda token: PseudoVariable(token.value, token.position),
    "SELECT": lambda token: Select(token.value, token.position),
    "ID": _word,
    "IPV4": lambda token: Network(token.value, token.position),
    "IPV6": lambda token: Network(token.value.replace("[", "").replace("]", ""), token.position),
}


def _present(statements: list[Statement | None]) -> Body:
    return tuple(statement for statement in statements if statement is not None)


def _is(part: object, terminal: str) -> bool:
    return isinstance(part, Token) and part.type == terminal


def _constant(value: tuple[Literal, bool]) -> Literal:
    literal, is_text = value
    if is_text or isinstance(literal, int):
        return literal
    constant = constant_word(literal)
    return literal if constant is None else constant
