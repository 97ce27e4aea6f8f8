"""POSIX extended regular expressions and substitution expressions, as scripts write them.

Owns their translation to Python's; knows nothing of messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_CLASSES = {
    b"alpha": b"a-zA-Z",
    b"digit": b"0-9",
    b"alnum": b"a-zA-Z0-9",
    b"upper": b"A-Z",
    b"lower": b"a-z",
    b"space": rb"\s",
    b"blank": rb" \t",
    b"punct": rb"!-/:-@\[-`{-~",
    b"print": rb"\x20-\x7e",
    b"graph": rb"\x21-\x7e",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"xdigit": b"0-9A-Fa-f",
}
_CLASS = re.compile(rb"\[:([a-z]+):\]")
# A bracket expression: "]" first is literal, classes may stand in it, a backslash is literal.
_PIECE = re.compile(
    rb"(\[\^?\]?(?:\[:[a-z]+:\]|[^\]\[]|\[(?!:))*\])|(\\.)|(.)", re.DOTALL
)
_ESCAPES = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t"}


@lru_cache(maxsize=1024)
def pattern(
    text: bytes, ignore_case: bool = True, newlines: bool = True
) -> re.Pattern[bytes] | None:
    """Compile a POSIX extended expression; None when it is malformed.

    With `newlines` (REG_NEWLINE) "." stops at line ends and "^" and "$" match there.
    """
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    flags |= re.MULTILINE if newlines else re.DOTALL
    try:
        return re.compile(b"".join(_translated(text)), flags)
    except (re.error, OverflowError):
        return None


def _translated(text: bytes) -> list[bytes]:
    pieces = []
    for match in _PIECE.finditer(text):
        bracket, escape, plain = match.groups()
        if bracket is not None:
            pieces.append(_bracket(bracket))
        elif escape in (rb"\<", rb"\>"):
            pieces.append(rb"\b")
        elif escape is not None and escape[1:].isalpha() and escape[1:] not in b"wWsSbB":
            pieces.append(re.escape(escape[1:]))
        else:
            pieces.append(escape or plain)
    return pieces


def _bracket(text: bytes) -> bytes:
    start = 2 if text[1:2] == b"^" else 1
    inner = _CLASS.sub(lambda m: b"\0" + m.group(1) + b"\0", text[start:-1])
    pieces = inner.split(b"\0")
    escaped = [
        _CLASSES.get(piece, b"")
        if number % 2
        else re.sub(rb"([\\\[\]&|~])", rb"\\\1", piece)
        for number, piece in enumerate(pieces)
    ]
    return text[:start] + b"".join(escaped) + b"]"


@dataclass(frozen=True, slots=True)
class Substitution:
    """A compiled `/expression/replacement/flags`.

    `pieces` of the replacement are texts (pseudo-variables unexpanded) and group numbers.
    """

    expression: re.Pattern[bytes]
    pieces: tuple[bytes | int, ...]
    everywhere: bool

    def run(self, subject: bytes, pieces: list[bytes | int]) -> tuple[bytes, int]:
        """Substitute in a text, with the pieces' variables expanded; returns it and the count."""

        def replacement(match: re.Match[bytes]) -> bytes:
            highest = self.expression.groups
            return b"".join(
                piece
                if isinstance(piece, bytes)
                else (match.group(piece) or b"" if piece <= highest else b"")
                for piece in pieces
            )

        return self.expression.subn(replacement, subject, count=0 if self.everywhere else 1)


@lru_cache(maxsize=512)
def substitution(text: bytes) -> Substitution | None:
    """Compile a substitution; the first octet is the delimiter; None when it is malformed.

    Flags: i ignores case, g substitutes everywhere, s lets "." match line ends.
    """
    fields = _fields(text)
    if fields is None:
        return None
    expression, replacement, flags = fields
    if flags.strip(b"igs"):
        return None
    compiled = pattern(expression, b"i" in flags, b"s" not in flags)
    if compiled is None:
        return None
    return Substitution(compiled, tuple(_pieces(replacement)), b"g" in flags)


def _fields(text: bytes) -> tuple[bytes, bytes, bytes] | None:
    delimiter = text[:1]
    fields = [bytearray()]
    position = 1
    while position < len(text):
        octet = text[position : position + 1]
        if octet == b"\\" and text[position + 1 : position + 2] == delimiter:
            fields[-1] += delimiter
            position += 1
        elif octet == b"\\":
            fields[-1] += text[position : position + 2]
            position += 1
        elif octet == delimiter:
            fields.append(bytearray())
        else:
            fields[-1] += octet
        position += 1
    if len(fields) != 3 or not fields[0]:
        return None
    return bytes(fields[0]), bytes(fields[1]), bytes(fields[2])


def _pieces(replacement: bytes) -> list[bytes | int]:
    pieces: list[bytes | int] = []
    literal = bytearray()
    position = 0
    while position < len(replacement):
        octet = replacement[position]
        if octet == ord("\\") and position + 1 < len(replacement):
            position += 1
            octet = replacement[position]
            if 48 <= octet <= 57:
                pieces += [bytes(literal), octet - 48]
                literal.clear()
            else:
                literal += _ESCAPES.get(octet, bytes((octet,)))
        else:
            literal.append(octet)
        position += 1
    return [piece for piece in [*pieces, bytes(literal)] if piece != b""]
