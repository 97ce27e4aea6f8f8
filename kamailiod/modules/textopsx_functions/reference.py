"""How textopsx names a header value: `name[index].parameter`.

Owns that syntax; knows no message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_REFERENCE = re.compile(
    rb"\s*([A-Za-z0-9\-.!%*_+`'~]*?[A-Za-z0-9\-!%*_+`'~])\s*"
    rb"(?:\[\s*(\*|[+-]?[0-9]{1,6})\s*\])?\s*(?:\.\s*([^\s.\[\]]+))?\s*\Z"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A header name as written; index from 1 or negative from the end, None without; parameter.

    `every` stands for the index `*`.
    """

    name: bytes
    index: int | None
    every: bool
    parameter: bytes

    @property
    def is_plain(self) -> bool:
        """Whether it is a name only."""
        return self.index is None and not self.every and not self.parameter


@lru_cache(maxsize=512)
def parse_reference(text: bytes) -> Reference | None:
    """Read a reference; None when it is none."""
    match = _REFERENCE.match(text)
    if match is None:
        return None
    name, index, parameter = match.groups()
    every = index == b"*"
    return Reference(name, None if every or index is None else int(index), every, parameter or b"")
