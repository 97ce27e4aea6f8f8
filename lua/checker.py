"""What can be said about a script without running it: faults, and the names it defines and gives.

It compiles with LuaJIT and reads the uses of the root table. It must not know which functions
there are: they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lupa import luajit21

from lua.errors import LuaSyntaxError
from lua.function import Function
from lua.lexer import KEYWORD, NAME, Token, tokens
from lua.scopes import Path, Scopes
from lua.source import read_source, syntax_error
from lua.uses import Use, uses_of

_BUILT_IN = {"x.exit": 0, "x.drop": 0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a script, at a line and column counted from 1."""

    file: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class StringArgument:
    """A string given as the first argument of a function, and the place of the call."""

    text: str
    line: int
    column: int


def check(path: str, known: Mapping[str, Function], root: str = "KSR") -> list[Fault]:
    """The faults of a script file: syntax, unknown names below the root table, wrong arity.

    `known` has the dotted names as keys. Raises LuaFileError if the file cannot be read.
    """
    data = read_source(path)
    source = data.decode("latin-1")
    error = _syntax_error(data, path)
    if error is not None:
        return [Fault(path, error.line, _column(source, error), error.message)]
    uses = list(uses_of(source, root))
    own = _own_paths(uses, known)
    faults = []
    for use in uses:
        message = _fault(use, known, root)
        if message and not any(use.path[: len(path)] == path for path in own):
            faults.append(Fault(path, use.token.line, use.token.column, message))
    return faults


def defined_functions(path: str) -> set[str]:
    """The names of the global functions a script file defines at its top level, dotted ones too."""
    script = list(tokens(read_source(path).decode("latin-1")))
    scopes = Scopes(script, "")
    names = set()
    for at, token in enumerate(script):
        inside = scopes.in_function
        scopes.read(at)
        if token.kind == KEYWORD and token.text == "function" and not inside:
            name = _defined_at(script, at)
            if name and not scopes.is_local(name.partition(".")[0]):
                names.add(name)
    return names


def string_arguments(path: str, function: str, root: str = "KSR") -> list[StringArgument]:
    """Where a script file calls a function below the root table with a string as first argument."""
    source = read_source(path).decode("latin-1")
    return [
        StringArgument(use.text, use.token.line, use.token.column)
        for use in uses_of(source, root)
        if use.how == "call" and use.name == function and use.text is not None
    ]


def _syntax_error(source: bytes, path: str) -> LuaSyntaxError | None:
    # What LuaJIT says is the truth about syntax; the state is only needed for this.
    state = luajit21.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    load = state.execute(b"return function(s, n) local f, m = load(s, n, 't') return m end")
    message = load(source, b"@" + path.encode())
    return None if message is None else syntax_error(path, message)


def _column(source: str, error: LuaSyntaxError) -> int:
    """The column of the text LuaJIT says the error is near, 1 if that is not in the line.

    Of several such texts it is the first with which the script, cut behind it, has this error.
    """
    near = error.message.rpartition("near '")[2].removesuffix("'")
    places = [
        token
        for token in tokens(source)
        if token.line == error.line and token.text == near and near != error.message
    ]
    lines = source.split("\n")
    for token in places[:-1]:
        cut = "\n".join(
            [*lines[: token.line - 1], lines[token.line - 1][: token.column - 1] + near]
        )
        found = _syntax_error(cut.encode("latin-1"), error.file)
        if found is not None and found.message == error.message:
            return token.column
    return places[-1].column if places else 1


def _own_paths(uses: list[Use], known: Mapping[str, Function]) -> set[Path]:
    """What the script itself adds to the root table, and unknown modules it asks about.

    `if KSR.nathelper then` is how a script asks whether a module is there.
    """
    modules = {name.partition(".")[0] for name in known} | {"x"}
    return {
        use.path
        for use in uses
        if use.how == "assign"
        or (use.how == "read" and len(use.path) == 1 and use.path[0] not in modules)
    }


def _fault(use: Use, known: Mapping[str, Function], root: str) -> str | None:
    """What is wrong with a use, or None."""
    name = use.name
    function = known.get(name)
    if function is None and name not in _BUILT_IN:
        if any(other.startswith(name + ".") for other in (*known, *_BUILT_IN)):
            return f"{root}.{name} is not a function" if use.how == "call" else None
        return f"unknown function {root}.{name}"
    if use.how != "call":
        return None
    if function is None or not (function.parameters or function.variadic):
        return f"{root}.{name} takes no arguments" if use.least else None
    if use.exact and use.least < function.required:
        return f"{root}.{name} takes {function.required} argument(s), not {use.least}"
    return None


def _defined_at(script: list[Token], at: int) -> str:
    """The name a `function` keyword defines: `function a.b` or `a = function`; "" if none."""
    if at + 1 < len(script) and script[at + 1].kind == NAME:
        if at and script[at - 1].text == "local":
            return ""
        return _dotted(script, at + 1)
    if at > 1 and script[at - 1].text == "=" and script[at - 2].kind == NAME:
        before = script[at - 3].text if at > 2 else ""
        return "" if before in ("local", ",", ".", "{", ";", ":") else script[at - 2].text
    return ""


def _dotted(script: list[Token], at: int) -> str:
    name = script[at].text
    while at + 2 < len(script) and script[at + 1].text in (".", ":"):
        name += "." + script[at + 2].text
        at += 2
    return name
