"""From a config's routes to one chunk of Lua 5.1: owns statements and the protocol of the chunk.

The chunk is called with one argument, the table P, and returns
`{request=f, reply=f, onsend=f, route={NAME=f}, branch={NAME=f}, failure={NAME=f},
onreply={NAME=f}, event={["module:event"]=f}}`; the first three are nil without such a block, an
unnamed branch, failure or onreply block has the name "0". Each f takes the `$rc` to begin with
(1 if nil) and returns the code of the route: 0 means that the script has ended, by `exit`,
`drop`, `return 0` or a function that returned 0. That code is handed from route to route by plain
returns, so nothing is thrown and every f may be run in a coroutine and may yield.

Values are nil ($null, not set), numbers (integers) and strings. P holds, once for the chunk:

* `P.call["name/count"]` -> f(argument, ...): a core or module function for this many arguments,
  which are evaluated. It returns a number, true (1), false (-1) or nil (1). Each that the config
  uses must be there when the chunk is loaded, else loading fails with "no native function".
* `P.getter(spec)` -> f() -> value; spec is written as in the config: `$ru`, `$(ru{s.len})`, also
  a select `@ruri.user`. `P.setter(spec)` -> f(value). Never asked for: `$rc`, `$?`, `$retcode`
  and `$null` by themselves.
* `P.format(text)` -> f() -> string: a quoted argument of a function that holds a `$`, unless the
  catalogue has it among those that are handed on as they are written.
* `P.keyword(name)` -> f() -> value, for the names in words.py. `proto` is "udp", "tcp", ...,
  `af` is "inet" or "inet6", `status`, ports and lengths are numbers.
* `P.match(value, regex)` -> boolean: POSIX extended, no case. `P.matcher(regex)` -> f(value) ->
  boolean is used for constant expressions if it is there.
* `P.is_myself(value)` -> boolean, `P.in_subnet(address, network)` -> boolean; network is an
  address, or has `/bits` or `/mask`.
* `P.lua_run(name, argument, ...)` -> code, a Lua function, so that what it runs may yield.
* `P.log(level, text)`: also for warnings of conversions. `P.drop()`: marks the message, before 0
  is returned. `P.set_rc(code)`: the `$rc` for the getter or format that is called next; it is
  only called where their text mentions `$rc`, `$retcode` or `$?`.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from .catalogue import Catalogue
from .config import Config
from .expression_compiler import ExpressionCompiler, HandleSet
from .lua_text import Lines, literal
from .source import Position
from .tree import (
    Assignment,
    Break,
    Call,
    Case,
    Drop,
    Evaluate,
    Exit,
    If,
    Return,
    Route,
    RouteCall,
    Statement,
    Switch,
    While,
)

_SINGLE = ("request", "reply", "onsend")
_NAMED = ("route", "branch", "failure", "onreply", "event")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lua source, and for each of its lines the place of the config it comes from."""

    text: str
    positions: tuple[Position | None, ...]

    def locate(self, lua_line: int) -> Position | None:
        """The place in the config of a line of the text, which count from 1; None if none."""
        if 1 <= lua_line <= len(self.positions):
            return self.positions[lua_line - 1]
        return None


def compile_routes(config: Config, catalogue: Catalogue | None = None) -> Chunk:
    """The Lua chunk of all routes of a config that load() has accepted.

    The catalogue says which arguments of functions are not expanded; without it all are.
    """
    unexpanded: dict[str, frozenset[int]] = {}
    if catalogue is not None:
        unexpanded = catalogue.unexpanded(config.functions_used(), config.loaded())
    handles = HandleSet(unexpanded)
    names = frozenset(route.name for route in config.routes if route.kind == "route")
    bodies = Lines()
    for kind in _SINGLE:
        blocks = config.find_routes(kind)
        if blocks:
            _function(bodies, f"T.{kind}", blocks, config, handles, names)
    for kind in _NAMED:
        for route in config.routes:
            if route.kind == kind:
                target = f"T.{kind}[{literal(route.name or '0')}]"
                _function(bodies, target, (route,), config, handles, names)
    lines = _head(handles)
    lines.extend(bodies)
    lines.add("return T")
    return Chunk("\n".join(lines.text) + "\n", tuple(lines.positions))


def _head(handles: HandleSet) -> Lines:
    lines = Lines()
    lines.add("local P = ...")
    with open(os.path.join(os.path.dirname(__file__), "runtime.lua"), encoding="ascii") as file:
        for line in file.read().splitlines():
            lines.add(line)
    handles.declare(lines)
    lines.add("local T = {route = R, branch = {}, failure = {}, onreply = {}, event = {}}")
    return lines


def _function(
    lines: Lines, target: str, blocks: Iterable[Route], config: Config, handles: HandleSet,
    names: frozenset[str],
) -> None:  # fmt: skip
    compiler = _StatementCompiler(config, handles, names)
    lines.add(f"{target} = function(rc)")
    lines.add("rc = rc or 1")
    for block in blocks:
        compiler.block(block.body)
    lines.extend(compiler.lines)
    lines.add("return 1")
    lines.add("end")


class _StatementCompiler:
    """Appends the Lua of statements, in scopes that keep their temporaries to themselves."""

    def __init__(self, config: Config, handles: HandleSet, names: frozenset[str]) -> None:
        self._expressions = ExpressionCompiler(handles, names, config.flags)
        self._loop_limit = config.settings.max_while_loops
        self._breakable = 0

    @property
    def lines(self) -> Lines:
        return self._expressions.lines

    def block(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            self.lines.position = statement.position
            self.lines.add("do")
            self._statement(statement)
            self.lines.add("end")

    def _statement(self, statement: Statement) -> None:
        if isinstance(statement, Evaluate):
            self._expressions.code(statement.call)
        elif isinstance(statement, If):
            self._if(statement)
        elif isinstance(statement, Assignment):
            self._assignment(statement)
        elif isinstance(statement, While):
            self._while(statement)
        elif isinstance(statement, Switch):
            self._switch(statement)
        else:
            self._leave(statement)

    def _leave(self, statement: Return | Exit | Drop | Break) -> None:
        if isinstance(statement, Break):
            self.lines.add("break" if self._breakable else "return 1")
        elif isinstance(statement, Return):
            value = statement.value
            code = "1" if value is None else self._expressions.integer(value)
            self.lines.add(f"return {code}")
        else:
            if isinstance(statement, Drop):
                self.lines.add("P.drop()")
            self.lines.add("return 0")

    def _if(self, statement: If) -> None:
        self.lines.add(f"if {self._expressions.condition(statement.condition)} then")
        self.block(statement.then)
        if statement.otherwise:
            self.lines.add("else")
            self._otherwise(statement.otherwise)
        self.lines.add("end")

    def _otherwise(self, statements: tuple[Statement, ...]) -> None:
        """An `else if` gets no scope of its own: Lua nests no deeper than 200 of them."""
        if len(statements) == 1 and isinstance(statements[0], If):
            self.lines.position = statements[0].position
            self._if(statements[0])
        else:
            self.block(statements)

    def _assignment(self, statement: Assignment) -> None:
        value = statement.value
        if isinstance(value, RouteCall) or (
            isinstance(value, Call) and value.name not in ("strlen", "strempty", "selval")
        ):
            lua = self._expressions.code(value)
        else:
            lua = self._expressions.value(value)
        setter = self._expressions.setter(statement.target)
        if lua.startswith(("div(", "mod(")):
            result = self._expressions.temporary(lua)
            self.lines.add(f"if {result} ~= nil then {setter}({result}) end")
        else:
            self.lines.add(f"{setter}({lua})")

    def _while(self, statement: While) -> None:
        rounds = self._expressions.temporary("0")
        self.lines.add("while true do")
        self.lines.add(f"if not {self._expressions.condition(statement.condition)} then break end")
        self.lines.add(f"{rounds} = {rounds} + 1")
        message = literal(f"runaway while: more than {self._loop_limit} loops")
        self.lines.add(f"if {rounds} > {self._loop_limit} then P.log(-1, {message}) break end")
        self._breakable += 1
        self.block(statement.body)
        self._breakable -= 1
        self.lines.add("end")

    def _switch(self, statement: Switch) -> None:
        """The number of the case that matches, then each body from that one on."""
        subject = self._expressions.temporary(self._expressions.value(statement.subject))
        chosen = self._expressions.temporary(str(_default_case(statement.cases)))
        self.lines.add("repeat")
        for number, case in reversed(list(enumerate(statement.cases, 1))):
            if case.label is not None:
                self.lines.position = case.position
                self.lines.add(f"if {self._label(subject, case)} then {chosen} = {number} end")
        self._breakable += 1
        for number, case in enumerate(statement.cases, 1):
            self.lines.position = case.position
            self.lines.add(f"if {chosen} <= {number} then")
            self.block(case.body)
            self.lines.add("end")
        self._breakable -= 1
        self.lines.add("until true")

    def _label(self, subject: str, case: Case) -> str:
        assert case.label is not None
        if case.is_regex:
            return self._expressions.matches(f"str({subject})", case.label)
        return f"eq({subject}, {self._expressions.value(case.label)})"


def _default_case(cases: tuple[Case, ...]) -> int:
    """The number of the default case, or one past the last."""
    return next((n for n, case in enumerate(cases, 1) if case.label is None), len(cases) + 1)
