"""$mf, $sf, $bf and their kin: message, script and branch flags; $rc, the last return code.

Owns their notations: decimal, hexadecimal, one bit.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import (
    Accessor,
    Factory,
    Registry,
    Specification,
    register_all,
)

Read = Callable[[Context], int]
Write = Callable[[Context, int], None]


def register(registry: Registry) -> None:
    """Register the flags and the return code."""
    for letter, read, write in (
        (b"m", _message_flags, _set_message_flags),
        (b"s", _script_flags, _set_script_flags),
        (b"b", _branch_flags, _set_branch_flags),
    ):
        registry.register(letter + b"f", _decimal(read, write))
        registry.register(letter + b"F", _hexadecimal(read, write))
        registry.register(letter.upper() + b"f", _bit(read, write))
    register_all(registry, {b"rc retcode ?": lambda context: context.return_code})


def _message_flags(context: Context) -> int:
    return context.shared.flags


def _set_message_flags(context: Context, value: int) -> None:
    context.shared.flags = value


def _script_flags(context: Context) -> int:
    return context.script_flags


def _set_script_flags(context: Context, value: int) -> None:
    context.script_flags = value


def _branch_flags(context: Context) -> int:
    return context.branch_flags


def _set_branch_flags(context: Context, value: int) -> None:
    context.branch_flags = value


def _setter(write: Write) -> Callable[[Context, Value], bool]:
    def set(context: Context, value: Value) -> bool:
        if isinstance(value, bytes):
            return False
        write(context, (value or 0) & 0xFFFFFFFF)
        return True

    return set


def _decimal(read: Read, write: Write) -> Factory:
    accessor = Accessor(read, _setter(write))
    return lambda specification: accessor if not specification.inner else None


def _hexadecimal(read: Read, write: Write) -> Factory:
    accessor = Accessor(lambda context: b"%08X" % read(context), _setter(write))
    return lambda specification: accessor if not specification.inner else None


def _bit(read: Read, write: Write) -> Factory:
    def factory(specification: Specification) -> Accessor | None:
        digits = specification.inner.strip()
        if not digits.isdigit() or int(digits) > 31:
            return None
        number = int(digits)

        def get(context: Context) -> Value:
            return read(context) >> number & 1

        def set(context: Context, value: Value) -> bool:
            if isinstance(value, bytes):
                return False
            flags = read(context)
            bit = 1 << number
            write(context, flags | bit if value else flags & ~bit)
            return True

        return Accessor(get, set)

    return factory
