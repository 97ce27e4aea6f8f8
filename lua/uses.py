"""Every use a script makes of the root table: `KSR.a.b`, with its place and its arguments.

It must not know which of the names exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lua.lexer import NAME, NUMBER, STRING, Token, tokens
from lua.scopes import Path, Scopes

_OPEN = frozenset("([{")
_CLOSE = frozenset(")]}")
_BLOCK_OPEN = frozenset(("function", "if", "do", "repeat"))
_BLOCK_CLOSE = frozenset(("end", "until"))


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a name below the root table.

    `how` is "call", "assign" or "read". A call has at least `least` arguments, exactly that many
    if `exact`; `text` is the first argument if that is one string.
    """

    path: Path
    token: Token
    how: str
    least: int = 0
    exact: bool = True
    text: str | None = None

    @property
    def name(self) -> str:
        """The dotted name below the root table."""
        return ".".join(self.path)


def uses_of(source: str, root: str) -> Iterator[Use]:
    """All uses of the root table in a script, in order; what is indexed dynamically is left out."""
    script = list(tokens(source))
    scopes = Scopes(script, root)
    for at, token in enumerate(script):
        scopes.read(at)
        if token.kind != NAME or (at and script[at - 1].text in (".", ":")):
            continue
        path = scopes.path_of(token.text)
        if path is not None and not _is_key(script, at):
            yield from _use(script, at, path)


def _is_key(script: Sequence[Token], at: int) -> bool:
    """Whether the name is a key of a table constructor or is being declared, not read."""
    before = script[at - 1].text if at else ""
    after = script[at + 1].text if at + 1 < len(script) else ""
    return before in ("local", "function") or (after == "=" and before in ("{", ",", ";"))


def _use(script: Sequence[Token], at: int, path: Path) -> Iterator[Use]:
    place = script[at]
    at += 1
    while at + 1 < len(script) and script[at].text == "." and script[at].kind != STRING:
        path = (*path, script[at + 1].text)
        place = script[at + 1]
        at += 2
    if not path:
        return
    following = script[at] if at < len(script) else None
    if following is None:
        yield Use(path, place, "read")
    elif following.kind == STRING:
        yield Use(path, place, "call", 1, True, following.text)
    elif following.text == "{":
        yield Use(path, place, "call", 1)
    elif following.text == "(":
        yield _call(script, at, path, place)
    elif following.text == "=":
        yield Use(path, place, "assign")
    elif following.text not in ("[", ":"):
        yield Use(path, place, "read")


def _call(script: Sequence[Token], at: int, path: Path, place: Token) -> Use:
    """A call with parentheses: its arguments counted, as far as the text shows their number."""
    arguments = _arguments(script, at)
    text = None
    if arguments and len(arguments[0]) == 1 and arguments[0][0].kind == STRING:
        text = arguments[0][0].text
    exact = not arguments or not _may_expand(arguments[-1])
    return Use(path, place, "call", len(arguments) - (not exact), exact, text)


def _arguments(script: Sequence[Token], at: int) -> list[list[Token]]:
    depth = 0
    arguments: list[list[Token]] = [[]]
    for token in script[at:]:
        if token.kind not in (STRING, NAME, NUMBER):
            if token.text in _CLOSE or token.text in _BLOCK_CLOSE:
                depth -= 1
                if not depth:
                    break
            if token.text == "," and depth == 1:
                arguments.append([])
                continue
            if token.text in _OPEN or token.text in _BLOCK_OPEN:
                depth += 1
                if depth == 1:
                    continue
        arguments[-1].append(token)
    return arguments if arguments != [[]] else []


def _may_expand(argument: Sequence[Token]) -> bool:
    """Whether an argument in last place may be any number of values: a call or `...`."""
    if not argument:
        return True
    last = argument[-1]
    if last.kind == STRING:
        return len(argument) > 1 and _ends_operand(argument[-2])
    if last.text == "}":
        return argument[0].text != "{"
    return last.text in (")", "...")


def _ends_operand(token: Token) -> bool:
    return token.kind in (NAME, STRING) or token.text in (")", "]")
