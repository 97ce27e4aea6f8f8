"""From expressions to Lua: owns their types, their order of evaluation and what calls leave."""

import re
from collections.abc import Callable, Mapping

from .checks import route_name
from .lua_text import Handles, Lines, literal
from .tree import (
    Binary,
    Call,
    Expression,
    Network,
    Number,
    PseudoVariable,
    RouteCall,
    Select,
    String,
    Unary,
    Word,
)
from .typing_rules import static_type
from .words import CONSTANTS, KEYWORD_VALUES

_CODES = {"$rc", "$retcode", "$?", "$(rc)", "$(retcode)"}
_MENTIONS_CODE = re.compile(r"\$\(?(?:rc\b|retcode\b|\?)")
_HOLDS_VARIABLE = re.compile(r"\$[A-Za-z_(?$]")
_RELATIONS = {"<", ">", "<=", ">="}
_ARITHMETIC = {
    "-": "({} - {})", "*": "({} * {})", "/": "div({}, {})", "%": "mod({}, {})",
    "&": "band({}, {})", "|": "bor({}, {})", "^": "bxor({}, {})", "<<": "lshift({}, {})",
    ">>": "rshift({}, {})",
}  # fmt: skip
_CONDITIONS = _RELATIONS | {"==", "!=", "=~", "eq", "ne", "ieq", "ine", "&&", "||"}


class HandleSet:
    """The handles of one chunk: getters, setters, formats, functions, keywords, regexes.

    `unexpanded` are the positions of arguments that are not expanded, by function.
    """

    __slots__ = ("formats", "functions", "getters", "keywords", "regexes", "setters", "unexpanded")

    def __init__(self, unexpanded: Mapping[str, frozenset[int]]) -> None:
        self.unexpanded = unexpanded
        self.getters = Handles("G", "P.getter")
        self.setters = Handles("S", "P.setter")
        self.formats = Handles("F", "P.format")
        self.functions = Handles("C", "need")
        self.keywords = Handles("K", "P.keyword")
        self.regexes = Handles("M", "matcher")

    def declare(self, lines: Lines) -> None:
        for name in self.__slots__:
            if name != "unexpanded":
                getattr(self, name).declare(lines)


class ExpressionCompiler:
    """Gives a Lua expression for each expression; what must run before it goes to `lines`.

    A call is such a thing: it stores its code in `rc` and ends the script if that is 0.
    """

    def __init__(
        self, handles: HandleSet, routes: frozenset[str], flags: Mapping[str, int]
    ) -> None:
        self.lines = Lines()
        self._handles = handles
        self._routes = routes
        self._flags = flags
        self._temporaries = 0

    def value(self, expression: Expression) -> str:
        """A Lua expression of the value: nil, a number or a string."""
        if isinstance(expression, (Unary, Binary)):
            return self._operation(expression)
        if isinstance(expression, (Call, RouteCall)):
            if isinstance(expression, Call) and expression.name == "selval":
                return self._selection(expression)
            if isinstance(expression, Call) and expression.name == "strlen":
                return f"#{self.text(expression.arguments[0])}"
            return _as_number(self.condition(expression))
        return self._operand(expression)

    def condition(self, expression: Expression) -> str:
        """A Lua expression of the truth of the value."""
        if isinstance(expression, Binary) and expression.operator in _CONDITIONS:
            return self._comparison(expression)
        if isinstance(expression, Unary) and expression.operator == "!":
            return f"not {self.condition(expression.operand)}"
        if isinstance(expression, Unary) and expression.operator == "defined":
            return f"({self.value(expression.operand)} ~= nil)"
        if isinstance(expression, Call) and expression.name == "strempty":
            return f'({self.text(expression.arguments[0])} == "")'
        if isinstance(expression, RouteCall) or (
            isinstance(expression, Call) and expression.name not in ("selval", "strlen")
        ):
            return f"({self.temporary(self.code(expression))} > 0)"
        return f"({self.integer(expression)} ~= 0)"

    def integer(self, expression: Expression) -> str:
        """A Lua expression of the value as a number."""
        value = self.value(expression)
        return value if _never_nil(expression) is int else f"int({value})"

    def text(self, expression: Expression) -> str:
        """A Lua expression of the value as a string."""
        value = self.value(expression)
        return value if _never_nil(expression) is str else f"str({value})"

    def code(self, call: Call | RouteCall) -> str:
        """Run the call; what is returned holds its code until the next call."""
        self.lines.add(f"rc = {self._call(call)}")
        self.lines.add("if rc == 0 then return 0 end")
        return "rc"

    def temporary(self, value: str) -> str:
        """A new local that holds value."""
        self._temporaries += 1
        self.lines.add(f"local t{self._temporaries} = {value}")
        return f"t{self._temporaries}"

    def setter(self, target: PseudoVariable) -> str:
        return self._handles.setters.use(target.spec)

    def matches(self, subject: str, regex: Expression) -> str:
        """The condition that the string subject matches regex."""
        if isinstance(regex, String):
            return f"{self._handles.regexes.use(regex.text)}({subject})"
        return f"P.match({subject}, {self.text(regex)})"

    def _call(self, call: Call | RouteCall) -> str:
        if isinstance(call, RouteCall):
            return self._route_call(call)
        if call.name in ("strlen", "strempty", "selval"):
            return f"int({self.value(call)}) > 0 and 1 or -1"
        as_written = self._handles.unexpanded.get(call.name, frozenset())
        arguments = self._ordered(
            [self._argument_of(a, n in as_written) for n, a in enumerate(call.arguments)]
        )
        if call.name == "log":
            level = arguments if len(call.arguments) == 2 else f"4, {arguments}"
            return f"code(P.log({level}))"
        if call.name == "lua_run":
            return f"code(P.lua_run({arguments}))"
        if call.name == "route_if_exists":
            return f"route_if_exists({arguments}, rc)"
        function = self._handles.functions.use(f"{call.name}/{len(call.arguments)}")
        return f"code({function}({arguments}))"

    def _route_call(self, call: RouteCall) -> str:
        name = route_name(call)
        if name is None:
            argument = self._argument(call.target)
            return f"call_route({argument}, rc)"
        return f"R[{literal(name)}](rc)" if name in self._routes else "1"

    def _argument_of(self, argument: Expression, as_written: bool) -> Callable[[], str]:
        if as_written and isinstance(argument, String | PseudoVariable):
            written = argument.text if isinstance(argument, String) else argument.spec
            return lambda: self._written(written)
        return lambda: self._argument(argument)

    def _written(self, text: str) -> str:
        self._announce_code(text)
        return literal(text)

    def _argument(self, argument: Expression) -> str:
        if isinstance(argument, String) and _HOLDS_VARIABLE.search(argument.text):
            self._announce_code(argument.text)
            return f"{self._handles.formats.use(argument.text)}()"
        return self.value(argument)

    def _ordered(self, parts: list[Callable[[], str]]) -> str:
        """The values of parts with commas; none is computed before one left of it."""
        values: list[str] = []
        for part in parts:
            mark = len(self.lines)
            value = part()
            if len(self.lines) > mark:
                values = self._kept(values, mark)
            values.append(value)
        return ", ".join(values)

    def _kept(self, values: list[str], mark: int) -> list[str]:
        """The values in locals set before the line numbered mark."""
        kept = []
        for offset, value in enumerate(values):
            self._temporaries += 1
            self.lines.insert(mark + offset, f"local t{self._temporaries} = {value}")
            kept.append(f"t{self._temporaries}")
        return kept

    def _operand(self, expression: Expression) -> str:
        if isinstance(expression, Number):
            return f"({expression.value})" if expression.value < 0 else str(expression.value)
        if isinstance(expression, (String, Network)):
            return literal(expression.text)
        if isinstance(expression, PseudoVariable):
            return self._variable(expression.spec)
        if isinstance(expression, Select):
            return f"{self._handles.getters.use(expression.path)}()"
        assert isinstance(expression, Word)
        return self._word(expression.name)

    def _variable(self, spec: str) -> str:
        if spec in _CODES:
            return "rc"
        if spec == "$null":
            return "nil"
        self._announce_code(spec)
        return f"{self._handles.getters.use(spec)}()"

    def _announce_code(self, text: str) -> None:
        """Let the engine know `$rc` where only the engine can evaluate it."""
        if _MENTIONS_CODE.search(text):
            self.lines.add("P.set_rc(rc)")

    def _word(self, name: str) -> str:
        if name in KEYWORD_VALUES:
            return f"{self._handles.keywords.use(name)}()"
        if name in self._flags:
            return str(self._flags[name])
        return literal(CONSTANTS.get(name, name))

    def _operation(self, expression: Unary | Binary) -> str:
        operator = expression.operator
        if operator in _CONDITIONS or operator in ("!", "defined"):
            return _as_number(self.condition(expression))
        if isinstance(expression, Unary):
            return self._cast(expression)
        if operator == "+":
            return self._sum(expression)
        left, right = self._both(self.integer, expression)
        return _ARITHMETIC[operator].format(left, right)

    def _cast(self, expression: Unary) -> str:
        if expression.operator == "(str)":
            return self.text(expression.operand)
        number = self.integer(expression.operand)
        if expression.operator == "(int)":
            return number
        return f"bnot({number})" if expression.operator == "~" else f"(-{number})"

    def _sum(self, expression: Binary) -> str:
        kind = _never_nil(expression.left)
        if kind is int:
            left, right = self._both(self.integer, expression)
            return f"({left} + {right})"
        if kind is str:
            left, right = self._both(self.text, expression)
            return f"({left} .. {right})"
        left, right = self._both(self.value, expression)
        return f"add({left}, {right})"

    def _both(self, part: Callable[[Expression], str], expression: Binary) -> tuple[str, str]:
        left = part(expression.left)
        mark = len(self.lines)
        right = part(expression.right)
        if len(self.lines) > mark:
            left = self._kept([left], mark)[0]
        return left, right

    def _comparison(self, expression: Binary) -> str:
        operator = expression.operator
        if operator in ("&&", "||"):
            return self._logical(expression)
        if operator == "=~":
            left = self.text(expression.left)
            if not isinstance(expression.right, String):
                left = self.temporary(left)
            return self.matches(left, expression.right)
        if operator in ("==", "!="):
            equal = self._equality(expression)
            return equal if operator == "==" else f"not {equal}"
        part = self.text if operator in ("eq", "ne") else self.integer
        left, right = self._both(part, expression)
        sign = {"eq": "==", "ieq": "==", "ne": "~=", "ine": "~="}.get(operator, operator)
        return f"({left} {sign} {right})"

    def _equality(self, expression: Binary) -> str:
        left, right = expression.left, expression.right
        if isinstance(left, (Network, Word)) and _is_pattern(left):
            left, right = right, left
        if isinstance(right, Network):
            return f"P.in_subnet({self.text(left)}, {literal(right.text)})"
        if isinstance(right, Word) and right.name == "myself":
            return f"P.is_myself({self.value(left)})"
        if isinstance(right, PseudoVariable) and right.spec == "$null":
            return f"({self.value(left)} == nil)"
        kind = _never_nil(left)
        part = {int: self.integer, str: self.text}.get(kind or object, self.value)
        first, second = self._both(part, Binary("==", left, right, expression.position))
        return f"({first} == {second})" if kind else f"eq({first}, {second})"

    def _logical(self, expression: Binary) -> str:
        left = self.condition(expression.left)
        outer, self.lines = self.lines, Lines()
        self.lines.position = outer.position
        right = self.condition(expression.right)
        inner, self.lines = self.lines, outer
        word = "and" if expression.operator == "&&" else "or"
        if not len(inner):
            return f"({left} {word} {right})"
        result = self.temporary(left)
        self.lines.add(f"if {'' if word == 'and' else 'not '}{result} then")
        self.lines.extend(inner)
        self.lines.add(f"{result} = {right}")
        self.lines.add("end")
        return result

    def _selection(self, call: Call) -> str:
        condition = self.condition(call.arguments[0])
        result = self.temporary("nil")
        self.lines.add(f"if {condition} then")
        self.lines.add(f"{result} = {self.value(call.arguments[1])}")
        self.lines.add("else")
        self.lines.add(f"{result} = {self.value(call.arguments[2])}")
        self.lines.add("end")
        return result


def _is_pattern(expression: Network | Word) -> bool:
    return isinstance(expression, Network) or expression.name == "myself"


def _as_number(condition: str) -> str:
    return f"({condition} and 1 or 0)"


def _never_nil(expression: Expression) -> type | None:
    """The certain type of the Lua value: a quotient is nil where the divisor is 0."""
    if isinstance(expression, Binary) and expression.operator in ("/", "%"):
        return None
    if isinstance(expression, Binary) and expression.operator == "+":
        return _never_nil(expression.left)
    return static_type(expression)
