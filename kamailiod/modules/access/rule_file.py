"""Rule files, as tcpd has them: `list [EXCEPT list] : list [EXCEPT list]` a line.

Owns their grammar and matching: the left side is for who asks, the right one for what is asked for.
A list is expressions and commas; an expression is a POSIX regular expression, in quotes or bare,
or ALL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kamailiod.modules.textops_functions.patterns import pattern

# A quoted expression may hold what separates the others.
_TOKEN = re.compile(rb'\s*(?:"([^"]*)"|(,)|([^\s,"]+))')
_EXCEPT = b"EXCEPT"
_ALL = b"ALL"

Matcher = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Expressions:
    """One side of a rule: what it takes, and of that what it does not."""

    taken: tuple[Matcher, ...]
    excepted: tuple[Matcher, ...]

    def fit(self, text: bytes) -> bool:
        """Whether a text is taken."""
        return any(take(text) for take in self.taken) and not any(
            take(text) for take in self.excepted
        )


Rule = tuple[Expressions, Expressions]


class RuleFile:
    """The rules of one file; `faults` are the lines that are none, by number: they do not count."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.rules: list[Rule] = []
        self.faults: list[int] = []
        for number, line in enumerate(lines, 1):
            text = _without_comment(line).strip()
            if not text:
                continue
            rule = _rule(text)
            if rule is None:
                self.faults.append(number)
            else:
                self.rules.append(rule)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def fit(self, asker: bytes, asked: bytes) -> bool:
        """Whether one of the rules takes this pair."""
        return any(left.fit(asker) and right.fit(asked) for left, right in self.rules)


def _unquoted(text: bytes, octet: bytes) -> list[int]:
    # Where an octet stands outside of quotes.
    found, quoted = [], False
    for index in range(len(text)):
        here = text[index : index + 1]
        if here == b'"':
            quoted = not quoted
        elif here == octet and not quoted:
            found.append(index)
    return found


def _without_comment(line: bytes) -> bytes:
    signs = _unquoted(line, b"#")
    return line[: signs[0]] if signs else line


def _rule(text: bytes) -> Rule | None:
    colons = _unquoted(text, b":")
    # A bare expression may hold a colon too, with no blank beside it.
    apart = [at for at in colons if b" " in text[max(at - 1, 0) : at + 2].replace(b"\t", b" ")]
    for at in (apart or colons)[:1]:
        left, right = _expressions(text[:at]), _expressions(text[at + 1 :])
        return (left, right) if left is not None and right is not None else None
    return None


def _expressions(text: bytes) -> Expressions | None:
    lists: list[list[Matcher]] = [[]]
    expected = True
    position = 0
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        quoted, comma, bare = token.groups()
        position = token.end()
        if bare == _EXCEPT and not expected and len(lists) == 1:
            lists.append([])
            expected = True
            continue
        if bool(comma) is expected:
            return None
        expected = not expected
        if not comma:
            matcher = _matcher(quoted, bare)
            if matcher is None:
                return None
            lists[-1].append(matcher)
    if expected:
        return None
    return Expressions(tuple(lists[0]), tuple(lists[1]) if len(lists) > 1 else ())


def _matcher(quoted: bytes | None, bare: bytes | None) -> Matcher | None:
    if bare == _ALL:
        return lambda text: True
    compiled = pattern((bare if quoted is None else quoted) or b"", newlines=False)
    return None if compiled is None else compiled.search
