"""A text with pseudo-variables in it, compiled once and expanded for each message.

Owns cutting the text; reading a variable is given to it.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.specification import Parsed, parse
from kamailiod.script.variables.value import text


class Format:
    """A compiled text: literal pieces and getters in turn.

    A "$" that begins no pseudo-variable stays as it is; `$$` is one "$".
    """

    __slots__ = ("expand", "pieces")

    def __init__(
        self, template: bytes, read: Callable[[Parsed], Callable[[Context], Value]]
    ) -> None:
        self.pieces = _cut(template, read)
        self.expand: Callable[[Context], bytes] = _expander(self.pieces)


def _cut(
    template: bytes, read: Callable[[Parsed], Callable[[Context], Value]]
) -> list[bytes | Callable[[Context], Value]]:
    pieces: list[bytes | Callable[[Context], Value]] = []
    literal = b""
    position = 0
    while True:
        dollar = template.find(b"$", position)
        if dollar < 0:
            break
        literal += template[position:dollar]
        parsed = parse(template, dollar)
        if parsed is None or parsed.name == b"$":
            literal += b"$"
            position = parsed.end if parsed is not None else dollar + 1
            continue
        if literal:
            pieces.append(literal)
            literal = b""
        pieces.append(read(parsed))
        position = parsed.end
    literal += template[position:]
    if literal:
        pieces.append(literal)
    return pieces


def _expander(
    pieces: list[bytes | Callable[[Context], Value]],
) -> Callable[[Context], bytes]:
    if not pieces:
        return lambda context: b""
    first = pieces[0]
    if len(pieces) == 1:
        if isinstance(first, bytes):
            return lambda context: first
        return lambda context: text(first(context))

    def expand(context: Context) -> bytes:
        return b"".join(
            [piece if type(piece) is bytes else text(piece(context)) for piece in pieces]  # type: ignore[operator]  # what is no bytes is a getter
        )

    return expand
