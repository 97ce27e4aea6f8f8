"""Quoted strings of the config language: owns their escapes, both ways."""

import re

_ESCAPE = re.compile(r"\\(\r?\n|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_SINGLE = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "\\": "\\", '"': '"'}


def unquote(literal: str) -> str:
    """The text a quoted literal stands for.

    Double quotes know \\n \\r \\t \\a \\\\ \\" \\xHH and octal escapes, and keep any other
    backslash; single quotes know none.
    """
    if literal[0] == "'" or "\\" not in literal:
        return literal[1:-1]
    return _ESCAPE.sub(_unescape, literal[1:-1])


def quote(text: str) -> str:
    """A literal that stands for text, in the quotes that need no escapes where there are such."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unescape(found: re.Match[str]) -> str:
    escape = found[1]
    if escape in _SINGLE:
        return _SINGLE[escape]
    if escape[0] == "x" and len(escape) > 1:
        return _octet(int(escape[1:], 16))
    if escape[0] in "01234567":
        return _octet(int(escape, 8) & 0xFF)
    return "" if escape[-1] == "\n" else found[0]


def _octet(value: int) -> str:
    """The character that is encoded as this octet (with the error handler surrogateescape)."""
    return bytes((value,)).decode("utf-8", "surrogateescape")
