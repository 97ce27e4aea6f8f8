"""A text cut into cells that can be taken out, replaced and put between, by their first numbers.

Owns that only: the values of a header line, the parameters of credentials, the lines of a body.
"""

from __future__ import annotations

from collections.abc import Sequence


class Cells:
    """Cells by their number in the original text, whatever was changed since.

    A cell that is None is taken out; what was put before or behind it stays.
    """

    __slots__ = ("_after", "_before", "cells")

    def __init__(self, cells: Sequence[bytes]) -> None:
        self.cells: list[bytes | None] = list(cells)
        self._before: dict[int, list[bytes]] = {}
        self._after: dict[int, list[bytes]] = {}

    def insert(self, number: int, text: bytes) -> None:
        """Put a text before a cell."""
        self._before.setdefault(number, []).append(text)

    def append(self, number: int, text: bytes) -> None:
        """Put a text behind a cell."""
        self._after.setdefault(number, []).append(text)

    def all(self) -> list[bytes]:
        """Return what there is now, in order."""
        found: list[bytes] = []
        for number, cell in enumerate(self.cells):
            found += self._before.get(number, ())
            if cell is not None:
                found.append(cell)
            found += self._after.get(number, ())
        return found
