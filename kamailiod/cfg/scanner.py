"""Cuts one text into lexemes: owns the lexical syntax, knows no defines, includes or grammar."""

import re
from dataclasses import dataclass

LEXEME = re.compile(
    r"""
    (?P<SPACE>[ \t\r\n\f]+)
  | (?P<DIRECTIVE>(?:\#!|!!)[ \t]*
        (?P<name>KAMAILIO|SER|OPENSER|MAXCOMPAT|ALL
          |(?:try|re)?def(?:ine)?|defexps?|(?:try)?defenvs?|(?:try)?undef(?:ine)?
          |ifn?def|ifexp|else|endif|subst(?:defs?)?|include_file|import_file)\b
        (?P<rest>(?:\\\r?\n|[^\n])*))
  | (?P<COMMENT>\#[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<STRING>"(?:[^"\\]|\\.)*"|'[^']*')
  | (?P<INCLUDE>(?:include|import)_file\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'))
  | (?P<EVENT_ROUTE>event_route\s*\[[^\]\n]*\])
  | (?P<IPV4>\d+\.\d+\.\d+\.\d+(?:/\d+(?:\.\d+\.\d+\.\d+)?)?)
  | (?P<IPV6>\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\](?:/\d+)?
      | (?:(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,7})
        | ::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?)(?:/\d+)?)
  | (?P<NUMBER>0[xX][0-9a-fA-F]+\b|\d+\b)
  | (?P<ID>msg:len\b|\w+)
  | (?P<SELECT>@[A-Za-z_]\w*(?:\[[^\]\n]*\])?(?:\.\w+(?:\[[^\]\n]*\])?)*)
  | (?P<CAST>\([ \t]*(?:int|str)[ \t]*\))
  | (?P<PV>\$(?:\(|[A-Za-z0-9_]+\(?|[$?]))
  | (?P<OPERATOR>==|=~|!=|<=|>=|<<|>>|&&|\|\||[-+*/%!~<>=&|^(){}\[\];:,.])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
CONDITIONAL = re.compile(
    r"(?:\#!|!!)[ \t]*(?P<name>ifn?def|ifexp|else|endif)\b(?P<rest>(?:\\\r?\n|[^\n])*)"
)
_PARENTHESIS = re.compile(r"[()]")


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A piece of text of one lexical kind; name and rest are a directive's."""

    kind: str
    text: str
    offset: int
    name: str = ""
    rest: str = ""


class Scanner:
    """A cursor over one text that gives its lexemes one by one."""

    __slots__ = ("_cursor", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._cursor = 0

    @property
    def offset(self) -> int:
        """Where the text goes on after the last lexeme."""
        return self._cursor

    def next(self) -> Lexeme | None:
        """The next lexeme that is neither blank nor comment, None at the end.

        A character no lexeme starts with comes as kind "ERROR", with what is wrong in `rest`.
        """
        text, match = self._text, LEXEME.match
        while self._cursor < len(text):
            found = match(text, self._cursor)
            if found is None:
                return self._error()
            kind = found.lastgroup or ""
            if kind not in ("SPACE", "COMMENT"):
                return self._lexeme(found, kind)
            self._cursor = found.end()
        return None

    def skip(self) -> Lexeme | None:
        """The next conditional directive, whatever lies before it; None if there is none."""
        found = CONDITIONAL.search(self._text, self._cursor)
        if found is None:
            self._cursor = len(self._text)
            return None
        self._cursor = found.end()
        return Lexeme("DIRECTIVE", found[0], found.start(), found["name"], found["rest"])

    def _lexeme(self, found: re.Match[str], kind: str) -> Lexeme:
        start = found.start()
        if kind == "DIRECTIVE":
            self._cursor = found.end()
            return Lexeme(kind, found[0], start, found["name"], found["rest"])
        if kind == "PV" and found[0][-1] == "(":
            return self._parenthesised(start, found.end())
        self._cursor = found.end()
        return Lexeme(kind, found[0], start)

    def _parenthesised(self, start: int, cursor: int) -> Lexeme:
        depth = 1
        while depth:
            found = _PARENTHESIS.search(self._text, cursor)
            if found is None:
                self._cursor = len(self._text)
                return Lexeme("ERROR", "$", start, rest="pseudo-variable without its ')'")
            depth += 1 if found[0] == "(" else -1
            cursor = found.end()
        self._cursor = cursor
        return Lexeme("PV", self._text[start:cursor], start)

    def _error(self) -> Lexeme:
        start = self._cursor
        character = self._text[start]
        self._cursor = start + 1
        message = f"unexpected character {character!r}"
        if character in "\"'" or self._text.startswith("/*", start):
            self._cursor = len(self._text)
            message = "unterminated string"
        return Lexeme("ERROR", character, start, rest=message)
