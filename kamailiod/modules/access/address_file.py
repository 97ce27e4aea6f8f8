"""The address file: `group address [mask [port [tag]]]` a line, `#` begins a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kamailiod.modules.access.address_table import AddressRecord
from kamailiod.modules.access.errors import TableError


def read_addresses(lines: Iterable[str], name: str) -> Iterator[AddressRecord]:
    """Read the records of a file; raises TableError with `name` and line for what is none.

    As in Kamailio lines without a group above 0 are left out.
    """
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            record = _record(words)
        except (ValueError, IndexError):
            raise TableError(f"{name}:{number}: not an address record") from None
        if record is not None:
            yield record


def _record(words: list[str]) -> AddressRecord | None:
    group = int(words[0]) if words[0].isdigit() else 0
    mask = int(words[2]) if len(words) > 2 else 0
    port = int(words[3]) if len(words) > 3 else 0
    if not group:
        return None
    return AddressRecord(group, words[1], mask, port, words[4] if len(words) > 4 else None)
