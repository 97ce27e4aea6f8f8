"""Lua source as text: owns literals, and lines that know which place of the config they are."""

from .source import Position

_SAFE = frozenset(b" !#$%&'()*+,-./:;<=>?@[]^_`{|}~") | frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def literal(text: str) -> str:
    """A Lua literal, all ASCII, of the bytes text has in its file."""
    octets = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(o) if o in _SAFE else f"\\{o:03}" for o in octets) + '"'


class Lines:
    """Lines of Lua, each with its place in the config."""

    __slots__ = ("position", "positions", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.positions: list[Position | None] = []
        self.position: Position | None = None

    def __len__(self) -> int:
        return len(self.text)

    def add(self, line: str) -> None:
        """Append a line that stands for the current position."""
        self.text.append(line)
        self.positions.append(self.position)

    def insert(self, at: int, line: str) -> None:
        """Put a line before the one numbered at (from 0)."""
        self.text.insert(at, line)
        self.positions.insert(at, self.position)

    def extend(self, other: "Lines") -> None:
        self.text.extend(other.text)
        self.positions.extend(other.positions)


class Handles:
    """What a chunk asks the engine for when it is loaded: one array element for each key."""

    __slots__ = ("_indexes", "array", "maker")

    def __init__(self, array: str, maker: str) -> None:
        self.array = array
        self.maker = maker
        self._indexes: dict[str, int] = {}

    def use(self, key: str) -> str:
        """The Lua expression of the handle for key."""
        index = self._indexes.setdefault(key, len(self._indexes) + 1)
        return f"{self.array}[{index}]"

    def declare(self, lines: Lines) -> None:
        """Append what fills the array."""
        lines.add(f"local {self.array} = {{}}")
        for key, index in self._indexes.items():
            lines.add(f"{self.array}[{index}] = {self.maker}({literal(key)})")
