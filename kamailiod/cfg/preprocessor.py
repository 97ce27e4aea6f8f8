"""From files to one list of tokens: owns directives, defines, conditionals and includes.

Every token keeps the file, line and column it came from; what a define stands for has the place
where the define was used. Knows no grammar.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .conditionals import Conditionals
from .define_expression import evaluate
from .defines import Defines, parse_definition, parse_substitution
from .faults import Findings
from .scanner import Lexeme, Scanner
from .source import Position, Source, read_source
from .strings import quote, unquote
from .token import Token, operator_token, word_token

_INCLUDE_LIMIT = 10
_EXPANSION_LIMIT = 32
_FILE_LIMIT = 200
_TOKEN_LIMIT = 500_000
_CONDITIONALS = frozenset(("ifdef", "ifndef", "ifexp", "else", "endif"))
_NAME = re.compile(r"\s*(\w+)(?:[ \t]+(.*))?", re.DOTALL | re.ASCII)
_ENVIRONMENT = re.compile(r"\s*(\w+)(?:=(\w+))?\s*", re.ASCII)
_QUOTED = re.compile(r"\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*')", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the lexemes of a text are: in a source, or all at the use of a define."""

    source: Source | None
    fixed: Position | None = None

    def position(self, offset: int) -> Position:
        if self.fixed is not None:
            return self.fixed
        assert self.source is not None
        return self.source.position(offset)


class Preprocessor:
    """Reads a config with all its includes into `tokens`; what is wrong goes to the findings.

    `texts` holds the parts of all files that count, in order and as they are written: conditions
    and includes are resolved in it, other directives stay.
    """

    def __init__(
        self,
        defines: Defines,
        findings: Findings,
        environment: Callable[[str], str | None] = os.environ.get,
        read: Callable[[str], Source] = read_source,
    ) -> None:
        self.tokens: list[Token] = []
        self.texts: list[str] = []
        self._defines = defines
        self._findings = findings
        self._environment = environment
        self._read = read
        self._files: list[str] = []
        self._files_read = 0
        self._expanding: list[str] = []

    def read(self, path: str, position: Position | None = None, optional: bool = False) -> None:
        """Append the tokens of the file at path; optional files may be missing."""
        where = position or Position(path, 1, 1)
        self._files_read += 1
        if self._files_read > _FILE_LIMIT:
            if self._files_read == _FILE_LIMIT + 1:
                self._findings.fault(where, f"more than {_FILE_LIMIT} files are included")
            return
        try:
            source = self._read(path)
        except (OSError, ValueError) as error:
            if not (optional and isinstance(error, FileNotFoundError)):
                reason = error.strerror if isinstance(error, OSError) else str(error)
                self._findings.fault(where, f"cannot read {path}: {reason}")
            return
        self._files.append(path)
        self._scan(Scanner(source.text), source, Conditionals(self._findings))
        self._files.pop()

    def _scan(self, scanner: Scanner, source: Source, conditionals: Conditionals) -> None:
        place, text, kept = _Place(source), source.text, 0
        while True:
            active = conditionals.active
            lexeme = scanner.next() if active else scanner.skip()
            if lexeme is None:
                break
            if len(self.tokens) > _TOKEN_LIMIT:
                self._findings.fault(place.position(lexeme.offset), "the config is too long")
                break
            resolved = _is_resolved(lexeme)
            if resolved and active:
                self.texts.append(text[kept : lexeme.offset])
            if lexeme.kind == "DIRECTIVE":
                self._directive(lexeme, place.position(lexeme.offset), conditionals)
            else:
                self._lexeme(lexeme, place)
            if resolved:
                kept = scanner.offset + (lexeme.name in _CONDITIONALS)
        if conditionals.active:
            self.texts.append(text[kept:])
        conditionals.close()

    def _lexeme(self, lexeme: Lexeme, place: _Place) -> None:
        kind, text = lexeme.kind, lexeme.text
        position = place.position(lexeme.offset)
        if kind == "ID" and text in self._defines:
            self._expand(text, position)
        elif kind == "OPERATOR":
            self.tokens.append(operator_token(text, position))
        elif kind == "ID":
            self.tokens.append(word_token(text, position))
        elif kind == "STRING":
            self._string(text, position)
        elif kind == "INCLUDE":
            self._include(text.startswith("import"), text.partition("_file")[2], position)
        elif kind == "ERROR":
            self._findings.fault(position, lexeme.rest)
        elif kind == "CAST":
            self.tokens.append(Token("PREFIX", f"({text[1:-1].strip()})", position))
        else:
            self.tokens.append(Token(kind, text, position))

    def _string(self, literal: str, position: Position) -> None:
        text = self._defines.substitute(unquote(literal))
        tokens = self.tokens
        if tokens and tokens[-1].type == "STRING":
            before = tokens[-1]
            tokens[-1] = Token("STRING", before.value + text, before.position)
            return
        if len(tokens) > 1 and tokens[-1].type == "_LPAR":
            self._module_loaded(tokens[-2], text)
        elif tokens:
            self._module_loaded(tokens[-1], text)
        tokens.append(Token("STRING", text, position))

    def _module_loaded(self, keyword: Token, path: str) -> None:
        if keyword.value in ("loadmodule", "loadmodulex"):
            self._defines.set(f"MOD_{module_name(path)}", "")

    def _expand(self, name: str, position: Position) -> None:
        if name in self._expanding or len(self._expanding) >= _EXPANSION_LIMIT:
            self._findings.fault(position, f"define {name} stands for itself")
            return
        self._expanding.append(name)
        scanner, place = Scanner(self._defines.get(name) or ""), _Place(None, position)
        while (lexeme := scanner.next()) is not None and len(self.tokens) <= _TOKEN_LIMIT:
            if lexeme.kind == "DIRECTIVE":
                self._findings.fault(position, f"define {name} holds a directive")
            else:
                self._lexeme(lexeme, place)
        self._expanding.pop()

    def _include(self, optional: bool, argument: str, position: Position) -> None:
        found = _QUOTED.match(argument)
        if found is None:
            self._findings.fault(position, "a quoted file name is expected")
            return
        name = self._defines.substitute(unquote(found[1]))
        path = os.path.join(os.path.dirname(self._files[-1]), name)
        if len(self._files) >= _INCLUDE_LIMIT:
            self._findings.fault(position, f"includes nest deeper than {_INCLUDE_LIMIT}: {name}")
            return
        self.read(path, position, optional)

    def _directive(self, lexeme: Lexeme, position: Position, conditionals: Conditionals) -> None:
        name, rest = lexeme.name, _join_lines(lexeme.rest)
        try:
            if name in ("ifdef", "ifndef", "ifexp"):
                conditionals.open(position, conditionals.active and self._holds(name, rest))
            elif name in ("else", "endif"):
                conditionals.turn(name, position)
            elif name in ("include_file", "import_file"):
                self._include(name == "import_file", rest, position)
            elif name.startswith("subst"):
                self._substitution(name, rest)
            elif "def" in name:
                self._define(name, rest, position)
        except ValueError as error:
            self._findings.fault(position, f"#!{name}: {error}")

    def _holds(self, directive: str, rest: str) -> bool:
        if directive == "ifexp":
            return bool(evaluate(rest, self._defines))
        name, _ = _name_and_value(rest)
        return (name in self._defines) == (directive == "ifdef")

    def _define(self, directive: str, rest: str, position: Position) -> None:
        if "env" in directive:
            self._define_environment(directive, rest)
            return
        name, value = _name_and_value(rest)
        if "undef" in directive:
            self._defines.remove(name)
        elif directive.startswith("defexp"):
            result = evaluate(value, self._defines)
            self._defines.set(name, quote(str(result)) if directive == "defexps" else str(result))
        elif name not in self._defines or directive.startswith("redef"):
            self._defines.set(name, value)
        elif not directive.startswith("try"):
            self._findings.fault(position, f"already defined: {name}")

    def _define_environment(self, directive: str, rest: str) -> None:
        found = _ENVIRONMENT.fullmatch(rest)
        if found is None:
            raise ValueError("NAME or NAME=VARIABLE is expected")
        name, variable = found[1], found[2] or found[1]
        value = self._environment(variable)
        if value is None:
            if directive.startswith("try"):
                return
            raise ValueError(f"environment variable {variable} is not set")
        self._defines.set(name, quote(value) if directive.endswith("s") else value)

    def _substitution(self, directive: str, rest: str) -> None:
        found = _QUOTED.match(rest)
        if found is None:
            raise ValueError("a quoted expression is expected")
        add_substitution(self._defines, directive, found[1][1:-1])


def _is_resolved(lexeme: Lexeme) -> bool:
    return lexeme.kind == "INCLUDE" or (
        lexeme.kind == "DIRECTIVE"
        and (lexeme.name in _CONDITIONALS or lexeme.name.endswith("_file"))
    )


def add_substitution(defines: Defines, directive: str, expression: str) -> None:
    """Do what `subst`, `substdef` or `substdefs` with this expression does. Raises ValueError."""
    defines.substitutions.append(parse_substitution(expression))
    if directive != "subst":
        name, value, _ = parse_definition(expression)
        defines.set(name, quote(value) if directive == "substdefs" else value)


def add_definitions(defines: Defines, definitions: Iterable[str]) -> None:
    """Define each `NAME` or `NAME=value`, as the command line's -A does."""
    for definition in definitions:
        name, _, value = definition.partition("=")
        defines.set(name, value)


def module_name(path: str) -> str:
    """The module a loadmodule path means: no directory, no `.so`."""
    return path.rpartition("/")[2].removesuffix(".so")


def _name_and_value(rest: str) -> tuple[str, str]:
    found = _NAME.fullmatch(rest)
    if found is None:
        raise ValueError("a name is expected")
    return found[1], (found[2] or "").strip()


def _join_lines(rest: str) -> str:
    return rest.replace("\\\r\n", "").replace("\\\n", "").rstrip()
