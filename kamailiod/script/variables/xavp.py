"""$xavp, $xavi and $xavu as they are written in scripts.

Owns their syntax `root[i]=>field[j]`; what is kept how is in records.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import Accessor, Factory, Registry, Specification
from kamailiod.script.variables.records import (
    Record,
    Stacks,
    at,
    field_at,
    plain,
    push,
    push_record,
    record_at,
    remove,
    replace,
    set_field,
)
from kamailiod.script.variables.value import text

_STEP = rb"\s*([^\[\]=>\s]+)\s*(?:\[\s*(-?[0-9]+|\*)\s*\])?\s*"
_PATH = re.compile(_STEP + rb"(?:=>" + _STEP + rb")?\Z")

StacksOf = Callable[[Context], Stacks]


@dataclass(frozen=True, slots=True)
class Path:
    """One name: root and field (empty without), their indices ("*" for all, None without)."""

    root: bytes
    index: int | str | None
    field: bytes
    nth: int | str | None


def register(registry: Registry) -> None:
    """Register the three kinds of record variables."""
    registry.register(b"xavp", stacks_factory(lambda context: context.shared.xavps))
    registry.register(
        b"xavi", stacks_factory(lambda context: context.shared.xavis, ignore_case=True)
    )
    registry.register(b"xavu", _unique)


def parse_path(name: bytes) -> Path | None:
    """Read `root[i]=>field[j]`; None when it is none."""
    match = _PATH.match(name)
    if match is None:
        return None
    root, index, field, nth = match.groups()
    return Path(root, _index(index), field or b"", _index(nth))


def _index(source: bytes | None) -> int | str | None:
    if source is None:
        return None
    return "*" if source == b"*" else int(source)


def stacks_factory(stacks_of: StacksOf, ignore_case: bool = False) -> Factory:
    """Return the factory of variables over one kind of stacks."""

    def factory(specification: Specification) -> Accessor | None:
        name = specification.inner.lower() if ignore_case else specification.inner
        path = parse_path(name)
        if path is None:
            return None
        if path.index is None and specification.index is not None and not path.field:
            path = Path(path.root, specification.index, b"", None)
        if path.field:
            return _field_accessor(stacks_of, path)
        return _root_accessor(stacks_of, path)

    return factory


def _root_accessor(stacks_of: StacksOf, path: Path) -> Accessor:
    root, index = path.root, path.index

    def get(context: Context) -> Value:
        stack = stacks_of(context).get(root)
        if isinstance(index, str):
            return b", ".join([text(plain(value)) for value in stack]) if stack else None
        return plain(at(stack, index or 0))

    def set(context: Context, value: Value) -> bool:
        stacks = stacks_of(context)
        if index == "*":
            stacks.pop(root, None)
            if value is None:
                return True
        if value is None:
            remove(stacks, root, int(index or 0))
        elif isinstance(index, int):
            replace(stacks, root, index, value)
        else:
            push(stacks, root, value)
        return True

    return Accessor(get, set)


def _field_accessor(stacks_of: StacksOf, path: Path) -> Accessor:
    root, field = path.root, path.field
    place = path.index if isinstance(path.index, int) else 0
    nth = path.nth if isinstance(path.nth, int) else 0
    if path.nth == "*":
        return _all_fields_accessor(stacks_of, path)

    def get(context: Context) -> Value:
        return field_at(stacks_of(context), root, field, place, nth)

    def set(context: Context, value: Value) -> bool:
        stacks = stacks_of(context)
        if value is None:
            _remove_field(stacks, root, place, field, nth)
        elif path.index is None:
            push_record(stacks, root, ((field, value),))
        else:
            record = record_at(stacks, root, place)
            if record is not None:
                _put(record, field, path.nth, value)
        return True

    return Accessor(get, set)


def _put(record: Record, field: bytes, nth: int | str | None, value: Value) -> None:
    set_field(record, field, value, nth if isinstance(nth, int) else 0)


def _all_fields_accessor(stacks_of: StacksOf, path: Path) -> Accessor:
    place = path.index if isinstance(path.index, int) else 0

    def get(context: Context) -> Value:
        record = record_at(stacks_of(context), path.root, place)
        stack = None if record is None else record.get(path.field)
        return b", ".join([text(plain(value)) for value in stack]) if stack else None

    def set(context: Context, value: Value) -> bool:
        record = record_at(stacks_of(context), path.root, place)
        if record is not None:
            record.pop(path.field, None)
            if value is not None:
                record[path.field] = [value]
        return True

    return Accessor(get, set)


def _remove_field(stacks: Stacks, root: bytes, place: int, field: bytes, nth: int) -> None:
    record = record_at(stacks, root, place)
    if record is not None:
        remove(record, field, nth)


def _unique(specification: Specification) -> Accessor | None:
    path = parse_path(specification.inner)
    if path is None:
        return None
    root, field = path.root, path.field

    def holder(context: Context, create: bool) -> dict[bytes, object]:
        if not field:
            return context.shared.xavus
        record = context.shared.xavus.get(root)
        if not isinstance(record, dict):
            record = {}
            if create:
                context.shared.xavus[root] = record
        return cast("dict[bytes, object]", record)

    last = field or root

    def get(context: Context) -> Value:
        return plain(holder(context, False).get(last))

    def set(context: Context, value: Value) -> bool:
        if value is None:
            holder(context, False).pop(last, None)
        else:
            holder(context, True)[last] = value
        return True

    return Accessor(get, set)
