"""KSR.pvx.xavu_*: values and records of unique names."""

from __future__ import annotations

from kamailiod.script.context import Context, Value
from kamailiod.script.module import kemi
from kamailiod.script.variables.records import plain


class Unique:
    """The functions over $xavu."""

    @kemi("pvx.xavu_seti", native=())
    def xavu_seti(self, context: Context, name: bytes, value: int) -> int:
        """Give $xavu(name) an integer."""
        context.shared.xavus[name] = value
        return 1

    @kemi("pvx.xavu_sets", native=())
    def xavu_sets(self, context: Context, name: bytes, value: bytes) -> int:
        """Give $xavu(name) a string."""
        context.shared.xavus[name] = value
        return 1

    @kemi("pvx.xavu_get", native=())
    def xavu_get(self, context: Context, name: bytes) -> Value:
        """Return $xavu(name), or nil."""
        return plain(context.shared.xavus.get(name))

    @kemi("pvx.xavu_gete", native=())
    def xavu_gete(self, context: Context, name: bytes) -> Value:
        """Return $xavu(name), or the empty string."""
        value = plain(context.shared.xavus.get(name))
        return b"" if value is None else value

    @kemi("pvx.xavu_getw", native=())
    def xavu_getw(self, context: Context, name: bytes) -> Value:
        """Return $xavu(name), or "<null>"."""
        value = plain(context.shared.xavus.get(name))
        return b"<null>" if value is None else value

    @kemi("pvx.xavu_rm", native=())
    def xavu_rm(self, context: Context, name: bytes) -> int:
        """Remove $xavu(name)."""
        context.shared.xavus.pop(name, None)
        return 1

    @kemi("pvx.xavu_is_null", native=())
    def xavu_is_null(self, context: Context, name: bytes) -> int:
        """Whether $xavu(name) has no value: 1 or -1."""
        return 1 if context.shared.xavus.get(name) is None else -1

    @kemi("pvx.xavu_child_seti", native=())
    def xavu_child_seti(self, context: Context, root: bytes, field: bytes, value: int) -> int:
        """Give $xavu(root=>field) an integer."""
        _record(context, root)[field] = value
        return 1

    @kemi("pvx.xavu_child_sets", native=())
    def xavu_child_sets(self, context: Context, root: bytes, field: bytes, value: bytes) -> int:
        """Give $xavu(root=>field) a string."""
        _record(context, root)[field] = value
        return 1

    @kemi("pvx.xavu_child_get", native=())
    def xavu_child_get(self, context: Context, root: bytes, field: bytes) -> Value:
        """Return $xavu(root=>field), or nil."""
        return _field(context, root, field)

    @kemi("pvx.xavu_child_gete", native=())
    def xavu_child_gete(self, context: Context, root: bytes, field: bytes) -> Value:
        """Return $xavu(root=>field), or the empty string."""
        value = _field(context, root, field)
        return b"" if value is None else value

    @kemi("pvx.xavu_child_getw", native=())
    def xavu_child_getw(self, context: Context, root: bytes, field: bytes) -> Value:
        """Return $xavu(root=>field), or "<null>"."""
        value = _field(context, root, field)
        return b"<null>" if value is None else value

    @kemi("pvx.xavu_child_rm", native=())
    def xavu_child_rm(self, context: Context, root: bytes, field: bytes) -> int:
        """Remove $xavu(root=>field)."""
        record = context.shared.xavus.get(root)
        if isinstance(record, dict):
            record.pop(field, None)
        return 1

    @kemi("pvx.xavu_child_is_null", native=())
    def xavu_child_is_null(self, context: Context, root: bytes, field: bytes) -> int:
        """Whether $xavu(root=>field) has no value: 1 or -1."""
        return 1 if _field(context, root, field) is None else -1


def _record(context: Context, root: bytes) -> dict[bytes, object]:
    record = context.shared.xavus.get(root)
    if not isinstance(record, dict):
        record = context.shared.xavus[root] = {}
    return record


def _field(context: Context, root: bytes, field: bytes) -> Value:
    record = context.shared.xavus.get(root)
    return plain(record.get(field)) if isinstance(record, dict) else None
