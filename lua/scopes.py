"""Which local names of a script stand for the root table or a part of it, block by block.

It follows `local tm = KSR.tm` and `local KSR = require("KSR")` and knows when a name is hidden by
a parameter, a loop variable or another local. It must not know what is in the root table.
"""

from __future__ import annotations

from collections.abc import Sequence

from lua.lexer import KEYWORD, NAME, STRING, Token

Path = tuple[str, ...]

_OPENERS = frozenset(("function", "do", "then", "repeat", "else"))
_CLOSERS = frozenset(("end", "until", "else", "elseif"))


class Scopes:
    """The blocks around the token that is being read; give every token to `read`, in order."""

    def __init__(self, tokens: Sequence[Token], root: str) -> None:
        self._tokens = tokens
        self._root = root
        self._blocks: list[dict[str, Path | None]] = [{root: ()}]
        self._functions: list[bool] = [False]
        self._loop_names: list[str] = []
        self._pending: dict[int, dict[str, Path | None]] = {}

    @property
    def in_function(self) -> bool:
        """Whether the place read last lies in the body of a function."""
        return any(self._functions)

    def path_of(self, name: str) -> Path | None:
        """What a name stands for below the root table, () for the root; None for anything else."""
        for block in reversed(self._blocks):
            if name in block:
                return block[name]
        return None

    def is_local(self, name: str) -> bool:
        """Whether a name is a local variable here (the root table counts as a global)."""
        return any(name in block for block in self._blocks[1:]) or (
            name in self._blocks[0] and name != self._root
        )

    def read(self, at: int) -> None:
        """Account for the token at this place: blocks opened and closed, locals declared."""
        self._blocks[-1].update(self._pending.pop(at, {}))
        token = self._tokens[at]
        if token.kind != KEYWORD:
            return
        if token.text in _CLOSERS and len(self._blocks) > 1:
            self._blocks.pop()
            self._functions.pop()
        if token.text in _OPENERS:
            self._blocks.append({})
            self._functions.append(token.text == "function")
        if token.text == "function":
            self._declare(self._parameters(at))
        elif token.text == "for":
            self._loop_names = self._names(at + 1)[0]
        elif token.text == "do":
            self._declare(self._loop_names)
            self._loop_names = []
        elif token.text == "local":
            self._read_local(at + 1)

    def _declare(self, names: Sequence[str]) -> None:
        self._blocks[-1].update(dict.fromkeys(names))

    def _text(self, at: int) -> str:
        """The text of a name, keyword or symbol; nothing for a string or beyond the end."""
        if at >= len(self._tokens) or self._tokens[at].kind == STRING:
            return ""
        return self._tokens[at].text

    def _names(self, at: int) -> tuple[list[str], int]:
        """A list of names separated by commas, and the place behind it."""
        names = []
        while at < len(self._tokens) and self._tokens[at].kind == NAME:
            names.append(self._tokens[at].text)
            at += 1
            if self._text(at) != ",":
                break
            at += 1
        return names, at

    def _parameters(self, at: int) -> list[str]:
        at += 1
        while self._text(at) not in ("(", ""):
            at += 1
        return self._names(at + 1)[0]

    def _read_local(self, at: int) -> None:
        if self._text(at) == "function":
            self._declare([self._text(at + 1)])
            return
        names, end = self._names(at)
        if self._text(end) != "=":
            self._declare(names)
            return
        path, after = self._value(end + 1)
        # A local is visible behind its own statement only: `local KSR = KSR` reads the old one.
        declared: dict[str, Path | None] = dict.fromkeys(names)
        if len(names) == 1:
            declared[names[0]] = path
        self._pending[after] = declared

    def _value(self, at: int) -> tuple[Path | None, int]:
        """What `require("KSR")` or `KSR.a.b` at this place stands for, and the place behind it."""
        name = self._text(at)
        if name == "require":
            opened = self._text(at + 1) == "("
            place = at + 2 if opened else at + 1
            if place < len(self._tokens) and self._tokens[place].text == self._root:
                return self._whole((), place + (2 if opened else 1))
            return None, at
        path = self.path_of(name) if name else None
        if path is None:
            return None, at
        at += 1
        while self._text(at) == "." and at + 1 < len(self._tokens):
            path = (*path, self._tokens[at + 1].text)
            at += 2
        return self._whole(path, at)

    def _whole(self, path: Path, at: int) -> tuple[Path | None, int]:
        """The path, unless what follows makes it a part of a larger expression."""
        text = self._text(at)
        if text in ("(", "[", ":", ".", "..", "+", "-", "*", "/", "==", "~=", "and", "or"):
            return None, at
        if at < len(self._tokens) and self._tokens[at].kind == STRING:
            return None, at
        return path, at
