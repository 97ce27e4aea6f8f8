"""The trees behind $xavp, $xavi and $xavu: named stacks of values or of records of fields.

Owns their shape and rules of change; knows no syntax.  A stack is a list, newest first; a record
is a dict of field names to such lists (to single values in $xavu).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from kamailiod.script.context import Value

Stacks = dict[bytes, list[object]]
Record = dict[bytes, list[object]]


def at(stack: list[object] | None, index: int) -> object:
    """Return a stack's value at an index, None when there is none."""
    if not stack or not -len(stack) <= index < len(stack):
        return None
    return stack[index]


def record_at(stacks: Stacks, name: bytes, index: int = 0) -> Record | None:
    """Return the record at an index of a stack; None when there is none or it is a plain value."""
    found = at(stacks.get(name), index)
    return cast(Record, found) if isinstance(found, dict) else None


def field_at(stacks: Stacks, name: bytes, field: bytes, index: int = 0, nth: int = 0) -> Value:
    """Return a field's value of a record, None when missing."""
    record = record_at(stacks, name, index)
    return None if record is None else plain(at(record.get(field), nth))


def plain(found: object) -> Value:
    """Return a stack's value as a script sees it; a record is shown as such."""
    if isinstance(found, dict):
        return b"<<xavp>>"
    return cast(Value, found)


def push(stacks: Stacks, name: bytes, value: object) -> None:
    """Put a value or record on top of a stack."""
    stacks.setdefault(name, []).insert(0, value)


def push_record(stacks: Stacks, name: bytes, fields: Iterable[tuple[bytes, Value]]) -> None:
    """Put a record of these fields on top of a stack."""
    record: Record = {}
    for field, value in fields:
        record.setdefault(field, []).append(value)
    push(stacks, name, record)


def replace(stacks: Stacks, name: bytes, index: int, value: object) -> bool:
    """Replace the value at an index of a stack; False when there is none."""
    stack = stacks.get(name)
    if not stack or not -len(stack) <= index < len(stack):
        return False
    stack[index] = value
    return True


def set_field(record: Record, field: bytes, value: Value, nth: int = 0) -> bool:
    """Replace a field's nth value, or give the record that field."""
    stack = record.get(field)
    if not stack:
        record[field] = [value]
        return True
    if not -len(stack) <= nth < len(stack):
        return False
    stack[nth] = value
    return True


def set_in_newest(stacks: Stacks, name: bytes, field: bytes, value: Value) -> bool:
    """Set a field of the newest record, which is made when there is none."""
    record = record_at(stacks, name)
    if record is None:
        if stacks.get(name):
            return False
        push_record(stacks, name, ((field, value),))
        return True
    return set_field(record, field, value)


def remove(stacks: Stacks, name: bytes, index: int = 0) -> bool:
    """Remove one value of a stack; False when there is none."""
    stack = stacks.get(name)
    if not stack or not -len(stack) <= index < len(stack):
        return False
    del stack[index]
    if not stack:
        del stacks[name]
    return True
