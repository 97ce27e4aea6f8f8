"""Text tables with aligned columns; it knows nothing of what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a heading and a line a row; columns of numbers are aligned to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        for index in range(len(headings))
    ]
    for line in ([heading.upper() for heading in headings], *cells):
        aligned = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        yield "  ".join(aligned).rstrip()


def records(values: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> Iterator[str]:
    """Yield a table of mappings; `columns` maps heading to key."""
    rows = [[value.get(key, "") for key in columns.values()] for value in values]
    return table(list(columns), rows)


def plain(value: object) -> Iterator[str]:
    """Yield any answer: a mapping as `name  value` lines, a list an entry a line, else JSON."""
    if isinstance(value, dict) and value and not any(map(_nested, value.values())):
        width = max(map(len, value))
        for name, inner in value.items():
            yield f"{name:{width}}  {_cell(inner)}"
    elif isinstance(value, list) and value and not any(map(_nested, value)):
        yield from map(_cell, value)
    elif _nested(value):
        if value:
            yield from json.dumps(value, indent=2, ensure_ascii=False).splitlines()
    else:
        yield _cell(value)


def _nested(value: object) -> bool:
    return isinstance(value, dict | list)


def _cell(value: object) -> str:
    """Return a value without control characters: names come from peers, terminals obey them."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
