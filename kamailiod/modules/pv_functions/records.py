"""KSR.pvx.xavp_* and xavi_*: the same functions over two kinds of record stacks.

Owns their names and return values; the trees are in script/variables/records.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kamailiod.script.context import Context, Value
from kamailiod.script.module import kemi
from kamailiod.script.variables.records import (
    Stacks,
    at,
    field_at,
    plain,
    push,
    record_at,
    remove,
    set_in_newest,
)

StacksOf = Callable[[Context], Stacks]
C = TypeVar("C", bound=type)

NATIVE = ("child_seti", "child_sets", "child_rm", "rm", "rm_all")
"""Those that the native language has too, under the same name."""


def with_record_functions(kind: str, stacks_of: StacksOf, fold: bool = False) -> Callable[[C], C]:
    """Return a class decorator that adds the functions of `kind`; `fold` ignores case of names."""

    def decorate(owner: C) -> C:
        functions = (
            *_root_functions(stacks_of, bytes.lower if fold else bytes),
            *_child_functions(stacks_of, bytes.lower if fold else bytes),
            *_table_functions(stacks_of, bytes.lower if fold else bytes),
        )
        for function in functions:
            name = f"{kind}_{function.__name__}"
            native = name if function.__name__ in NATIVE else ()
            setattr(owner, name, kemi(f"pvx.{name}", native=native)(function))
        return owner

    return decorate


def _root_functions(
    stacks_of: StacksOf, key: Callable[[bytes], bytes]
) -> tuple[Callable[..., object], ...]:
    def seti(self: Any, context: Context, name: bytes, value: int) -> int:
        """Put an integer on top of a stack."""
        push(stacks_of(context), key(name), value)
        return 1

    def sets(self: Any, context: Context, name: bytes, value: bytes) -> int:
        """Put a string on top of a stack."""
        push(stacks_of(context), key(name), value)
        return 1

    def get(self: Any, context: Context, name: bytes) -> Value:
        """Return the newest value of a stack, or nil."""
        return plain(at(stacks_of(context).get(key(name)), 0))

    def gete(self: Any, context: Context, name: bytes) -> Value:
        """Return the newest value of a stack, or the empty string."""
        value = plain(at(stacks_of(context).get(key(name)), 0))
        return b"" if value is None else value

    def getw(self: Any, context: Context, name: bytes) -> Value:
        """Return the newest value of a stack, or "<null>"."""
        value = plain(at(stacks_of(context).get(key(name)), 0))
        return b"<null>" if value is None else value

    def rm(self: Any, context: Context, name: bytes) -> int:
        """Remove the newest value of a stack."""
        remove(stacks_of(context), key(name))
        return 1

    def rm_all(self: Any, context: Context, name: bytes) -> int:
        """Remove a stack."""
        stacks_of(context).pop(key(name), None)
        return 1

    def is_null(self: Any, context: Context, name: bytes) -> int:
        """Whether a stack is empty: 1 or -1."""
        return 1 if at(stacks_of(context).get(key(name)), 0) is None else -1

    return seti, sets, get, gete, getw, rm, rm_all, is_null


def _child_functions(
    stacks_of: StacksOf, key: Callable[[bytes], bytes]
) -> tuple[Callable[..., object], ...]:
    def child_seti(self: Any, context: Context, root: bytes, field: bytes, value: int) -> int:
        """Set a field of the newest record to an integer; it is made when there is none."""
        return 1 if set_in_newest(stacks_of(context), key(root), key(field), value) else -1

    def child_sets(self: Any, context: Context, root: bytes, field: bytes, value: bytes) -> int:
        """Set a field of the newest record to a string; it is made when there is none."""
        return 1 if set_in_newest(stacks_of(context), key(root), key(field), value) else -1

    def child_get(self: Any, context: Context, root: bytes, field: bytes) -> Value:
        """Return a field of the newest record, or nil."""
        return field_at(stacks_of(context), key(root), key(field))

    def child_gete(self: Any, context: Context, root: bytes, field: bytes) -> Value:
        """Return a field of the newest record, or the empty string."""
        value = field_at(stacks_of(context), key(root), key(field))
        return b"" if value is None else value

    def child_getw(self: Any, context: Context, root: bytes, field: bytes) -> Value:
        """Return a field of the newest record, or "<null>"."""
        value = field_at(stacks_of(context), key(root), key(field))
        return b"<null>" if value is None else value

    def child_rm(self: Any, context: Context, root: bytes, field: bytes) -> int:
        """Remove a field of the newest record."""
        record = record_at(stacks_of(context), key(root))
        if record is not None:
            remove(record, key(field))
        return 1

    def child_is_null(self: Any, context: Context, root: bytes, field: bytes) -> int:
        """Whether the newest record lacks a field: 1 or -1."""
        return 1 if field_at(stacks_of(context), key(root), key(field)) is None else -1

    return child_seti, child_sets, child_get, child_gete, child_getw, child_rm, child_is_null


def _table_functions(
    stacks_of: StacksOf, key: Callable[[bytes], bytes]
) -> tuple[Callable[..., object], ...]:
    def fields(context: Context, name: bytes, index: int) -> dict[bytes, Value] | None:
        record = record_at(stacks_of(context), key(name), index)
        if record is None:
            return None
        return {field: plain(at(stack, 0)) for field, stack in record.items()}

    def getd(self: Any, context: Context, name: bytes) -> object:
        """Return the newest record as a table, or nil."""
        return fields(context, name, 0)

    def getd_p1(self: Any, context: Context, name: bytes, index: int) -> object:
        """Return a record as a table, or nil."""
        return fields(context, name, index)

    def get_keys(self: Any, context: Context, name: bytes, index: int) -> object:
        """Return the names of a record's fields as a table, or nil."""
        found = fields(context, name, index)
        return None if found is None else list(found)

    return getd, getd_p1, get_keys
