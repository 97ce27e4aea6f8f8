"""Lua source cut into tokens with exact places, comments and blanks left out.

It must not know what any name means. Lua 5.1 manual, section 2.1, and LuaJIT's escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAME, STRING, NUMBER, SYMBOL, KEYWORD = "name", "string", "number", "symbol", "keyword"

_PATTERN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<comment>--\[(?P<cl>=*)\[.*?\](?P=cl)\]|--[^\n]*)
  | (?P<long>\[(?P<sl>=*)\[.*?\](?P=sl)\])
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<number>0[xX][0-9a-fA-F.]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<keyword>(?:and|break|do|else|elseif|end|false|for|function|goto|if|in|local|nil|not|or
      |repeat|return|then|true|until|while)(?![A-Za-z0-9_\x80-\xff]))
  | (?P<name>[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)
  | (?P<symbol>\.\.\.|\.\.|==|~=|<=|>=|::|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(z\s*|x[0-9a-fA-F]{2}|\d{1,3}|\r?\n|.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind, its text (a string's value without quotes), line and column from 1."""

    kind: str
    text: str
    line: int
    column: int


def tokens(source: str) -> Iterator[Token]:
    """The tokens of a script; on text that is no Lua it yields symbols rather than fail."""
    line, line_start = 1, 0
    for found in _PATTERN.finditer(source):
        group, text = found.lastgroup, found[0]
        token = _token(group or "", text, line, found.start() - line_start + 1)
        if token is not None:
            yield token
        breaks = text.count("\n")
        if breaks:
            line += breaks
            line_start = found.start() + text.rindex("\n") + 1


def _token(group: str, text: str, line: int, column: int) -> Token | None:
    if group in ("blank", "comment"):
        return None
    if group == "string":
        return Token(STRING, _ESCAPE.sub(_unescape, text[1:-1]), line, column)
    if group == "long":
        width = text.index("[", 1) + 1
        return Token(STRING, text[width:-width].removeprefix("\n"), line, column)
    return Token(group, text, line, column)


def _unescape(found: re.Match[str]) -> str:
    escape = found[1]
    if escape[0] == "z":
        return ""
    if escape[0] == "x":
        return chr(int(escape[1:], 16))
    if escape.isdigit():
        return chr(int(escape) % 256)
    return _ESCAPES.get(escape, escape)
