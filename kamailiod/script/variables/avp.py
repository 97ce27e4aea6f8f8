"""$var, $vn and $avp: the variables of a request and the value stacks of its transaction.

Owns their names and write rules; where they are kept is in the context.
"""

from __future__ import annotations

from collections.abc import Mapping

from kamailiod.script.context import Context, Value
from kamailiod.script.variables.accessor import (
    Accessor,
    Factory,
    Index,
    Registry,
    Specification,
)
from kamailiod.script.variables.value import text


def register(registry: Registry) -> None:
    """Register $var, $vz, $vn, $avp and $cnt."""
    variable = variable_factory({})
    registry.register(b"var", variable)
    registry.register(b"vz", variable)
    registry.register(b"vn", _nullable)
    registry.register(b"avp", stack)

    def count(specification: Specification) -> Accessor | None:
        return _count(registry, specification)

    registry.register(b"cnt", count, raw=True)


def key(name: bytes) -> bytes:
    """Return the key of an AVP name in Shared.avps: `s:x` is `x`, `i:5` stays as it is."""
    name = name.strip()
    return name[2:] if name[:2] == b"s:" else name


def variable_factory(initial: Mapping[bytes, bytes | int]) -> Factory:
    """Return the factory of $var; a variable is 0 in every request unless `initial` names it."""

    def factory(specification: Specification) -> Accessor | None:
        name = specification.inner
        if not name:
            return None
        first = initial.get(name, 0)

        def get(context: Context) -> Value:
            return context.variables.get(name, first)

        def set(context: Context, value: Value) -> bool:
            context.variables[name] = 0 if value is None else value
            return True

        return Accessor(get, set)

    return factory


def _nullable(specification: Specification) -> Accessor | None:
    name = b"vn:" + specification.inner
    if not specification.inner:
        return None

    def get(context: Context) -> Value:
        return context.variables.get(name)

    def set(context: Context, value: Value) -> bool:
        if value is None:
            context.variables.pop(name, None)
        else:
            context.variables[name] = value
        return True

    return Accessor(get, set)


def stack(specification: Specification) -> Accessor | None:
    """Make the accessor of an AVP: newest first; writing without index adds a value."""
    name, index = key(specification.inner), specification.index
    if not name:
        return None

    def newest(context: Context) -> Value:
        values = context.shared.avps.get(name)
        return values[0] if values else None

    def add(context: Context, value: Value) -> bool:
        avps = context.shared.avps
        values = avps.get(name)
        if value is None:
            if values:
                del values[0]
        elif values is None:
            avps[name] = [value]
        else:
            values.insert(0, value)
        return True

    if index is None:
        return Accessor(newest, add)
    return _indexed(name, index)


def _indexed(name: bytes, index: Index) -> Accessor:
    def get(context: Context) -> Value:
        values = context.shared.avps.get(name)
        if not values:
            return None
        if isinstance(index, str):
            return b", ".join([text(value) for value in values])
        assert index is not None
        return values[index] if -len(values) <= index < len(values) else None

    def set(context: Context, value: Value) -> bool:
        values = context.shared.avps.setdefault(name, [])
        if isinstance(index, str):
            values[:] = [] if value is None else [value]
            return True
        assert index is not None
        if not -len(values) <= index < len(values):
            if value is not None:
                values.insert(0, value)
        elif value is None:
            del values[index]
        else:
            values[index] = value
        return True

    return Accessor(get, set)


def _count(registry: Registry, specification: Specification) -> Accessor | None:
    inner = specification.inner.strip()
    if inner[:1] != b"$":
        inner = b"$" + inner
    kind, _, rest = inner[1:].lstrip(b"(").partition(b"(")
    name = rest.rstrip(b")")
    if kind == b"avp":
        return Accessor(lambda context: len(context.shared.avps.get(key(name), ())))
    if kind == b"xavp":
        return Accessor(lambda context: len(context.shared.xavps.get(name, ())))
    if kind == b"xavi":
        return Accessor(lambda context: len(context.shared.xavis.get(name.lower(), ())))
    counted = registry.compile(inner)
    if counted is None:
        return None
    get = counted.get
    return Accessor(lambda context: 0 if get(context) is None else 1)
