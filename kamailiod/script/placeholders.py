"""Question marks in a statement that stand for values, as each driver wants them written.

Owns only where a `?` is one: not in quotes, not in comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_STANDARD = r"""'(?:[^']|'')*'?|"(?:[^"]|"")*"?|--[^\n]*|/\*.*?(?:\*/|\Z)"""
# Strings with backslashes (MySQL all, PostgreSQL those after an E), dollar quotes.
_MYSQL = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.|"")*"?|`[^`]*`?|--[^\n]*|\#[^\n]*"""
    r"""|/\*.*?(?:\*/|\Z)|\?|%""",
    re.DOTALL,
)
_POSTGRES = re.compile(
    rf"""\b[eE]'(?:[^'\\]|\\.|'')*'?|\$(\w*)\$.*?(?:\$\1\$|\Z)|{_STANDARD}|\?""", re.DOTALL
)
_SQLITE = re.compile(rf"{_STANDARD}|`[^`]*`?|\[[^\]]*\]?|\?", re.DOTALL)


def for_postgres(statement: str) -> tuple[str, int]:
    """Return a statement with $1, $2, ... for its question marks, and how many there are."""
    return _replace(_POSTGRES, statement, lambda number: f"${number}")


def for_mysql(statement: str) -> tuple[str, int]:
    """Return a statement with %s for its question marks, other % doubled, and how many."""
    found = 0

    def written(match: re.Match[str]) -> str:
        nonlocal found
        if match.group() != "?":
            return match.group().replace("%", "%%")
        found += 1
        return "%s"

    return _MYSQL.sub(written, statement), found


def for_sqlite(statement: str) -> tuple[str, int]:
    """Return a statement as it is, and how many question marks it has."""
    return _replace(_SQLITE, statement, lambda number: "?")


def fitting(values: Sequence[object], count: int) -> list[object]:
    """Return so many values, without NULLs behind them; raises ValueError when they do not fit."""
    given = list(values)
    while len(given) > count and given[-1] is None:
        given.pop()
    if len(given) != count:
        raise ValueError(f"{len(given)} values for {count} places")
    return given


def _replace(
    pattern: re.Pattern[str], statement: str, write: Callable[[int], str]
) -> tuple[str, int]:
    found = 0

    def written(match: re.Match[str]) -> str:
        nonlocal found
        if match.group() != "?":
            return match.group()
        found += 1
        return write(found)

    return pattern.sub(written, statement), found
