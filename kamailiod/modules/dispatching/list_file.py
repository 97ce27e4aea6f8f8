"""The list file: one destination a line.

Owns its format; what the fields mean is destination.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

from kamailiod.modules.dispatching.destination import Entry, is_destination


class ListError(Exception):
    """A list that cannot be used, with what is wrong and where."""


def read_list(path: str, strict: bool) -> tuple[list[Entry], list[str]]:
    """Read a list file; returns its entries and what is wrong with the lines left out.

    A line is "setid destination [flags [priority [attributes]]]"; `#` begins a comment.  Raises
    ListError when the file cannot be read, and for the first bad line when `strict`.
    """
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise ListError(f"cannot read the list file {path}: {error.strerror}") from error
    entries: list[Entry] = []
    faults: list[str] = []
    for number, fields in _lines(lines):
        entry = _entry(fields)
        if entry is not None:
            entries.append(entry)
            continue
        fault = f"{path}:{number}: not a destination: {b' '.join(fields).decode('latin-1')}"
        if strict:
            raise ListError(fault)
        faults.append(fault)
    return entries, faults


def _lines(lines: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    for number, line in enumerate(lines, 1):
        fields = line.split(None, 4)
        if not fields or fields[0][:1] == b"#":
            continue
        for at, field in enumerate(fields):
            # A comment behind the fields; within attributes `#` is a character like another.
            if at < 4 and field[:1] == b"#":
                fields = fields[:at]
                break
        yield number, fields


def _entry(fields: list[bytes]) -> Entry | None:
    try:
        set_id, flags, priority = (*(int(f) for f in (fields[0], *fields[2:4])), 0, 0)[:3]
    except ValueError:
        return None
    if len(fields) < 2 or not is_destination(fields[1]):
        return None
    attributes = fields[4].split(None, 1)[0] if len(fields) > 4 else b""
    if attributes[:1] == b"#":
        attributes = b""
    return Entry(set_id, fields[1], flags, priority, attributes)
