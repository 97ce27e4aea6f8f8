"""KSR.pvx.var_*, avp_*, shv_* and sbranch_*: variables by their bare names.

Owns nothing that is kept; $shv lives in the module.
"""

from __future__ import annotations

from kamailiod.script.context import Branch, Context, Value
from kamailiod.script.module import kemi
from kamailiod.script.variables.avp import key
from kamailiod.script.variables.branches import STATIC, static_branch


class Simple:
    """The functions over $var, $avp, $shv and $sbranch."""

    initial: dict[bytes, bytes | int]
    shared_values: dict[bytes, bytes | int]

    @kemi("pvx.var_seti", native=())
    def var_seti(self, context: Context, name: bytes, value: int) -> int:
        """Give $var(name) an integer."""
        context.variables[name] = value
        return 1

    @kemi("pvx.var_sets", native=())
    def var_sets(self, context: Context, name: bytes, value: bytes) -> int:
        """Give $var(name) a string."""
        context.variables[name] = value
        return 1

    @kemi("pvx.var_get", native=())
    def var_get(self, context: Context, name: bytes) -> Value:
        """Return $var(name)."""
        return context.variables.get(name, self.initial.get(name, 0))

    @kemi("pvx.shv_seti", native=())
    def shv_seti(self, context: Context, name: bytes, value: int) -> int:
        """Give $shv(name) an integer."""
        self.shared_values[name] = value
        return 1

    @kemi("pvx.shv_sets", native=())
    def shv_sets(self, context: Context, name: bytes, value: bytes) -> int:
        """Give $shv(name) a string."""
        self.shared_values[name] = value
        return 1

    @kemi("pvx.shv_get", native=())
    def shv_get(self, context: Context, name: bytes) -> Value:
        """Return $shv(name)."""
        return self.shared_values.get(name, 0)

    @kemi("pvx.shvinc_get", native=())
    def shvinc_get(self, context: Context, name: bytes) -> Value:
        """Increment $shv(name) and return it; nil when it is a string."""
        value = self.shared_values.get(name, 0)
        if not isinstance(value, int):
            return None
        self.shared_values[name] = value + 1
        return value + 1

    @kemi("pvx.avp_seti", native=())
    def avp_seti(self, context: Context, name: bytes, value: int) -> int:
        """Put an integer on top of $avp(name)."""
        context.shared.avps.setdefault(key(name), []).insert(0, value)
        return 1

    @kemi("pvx.avp_sets", native=())
    def avp_sets(self, context: Context, name: bytes, value: bytes) -> int:
        """Put a string on top of $avp(name)."""
        context.shared.avps.setdefault(key(name), []).insert(0, value)
        return 1

    @kemi("pvx.avp_get", native=())
    def avp_get(self, context: Context, name: bytes) -> Value:
        """Return the newest value of $avp(name), or nil."""
        return _newest(context, name)

    @kemi("pvx.avp_gete", native=())
    def avp_gete(self, context: Context, name: bytes) -> Value:
        """Return the newest value of $avp(name), or the empty string."""
        value = _newest(context, name)
        return b"" if value is None else value

    @kemi("pvx.avp_getw", native=())
    def avp_getw(self, context: Context, name: bytes) -> Value:
        """Return the newest value of $avp(name), or "<null>"."""
        value = _newest(context, name)
        return b"<null>" if value is None else value

    @kemi("pvx.avp_rm", native=())
    def avp_rm(self, context: Context, name: bytes) -> int:
        """Remove the newest value of $avp(name)."""
        values = context.shared.avps.get(key(name))
        if values:
            del values[0]
        return 1

    @kemi("pvx.avp_is_null", native=())
    def avp_is_null(self, context: Context, name: bytes) -> int:
        """Whether $avp(name) has no value: 1 or -1."""
        return 1 if _newest(context, name) is None else -1

    @kemi("pvx.sbranch_set_ruri")
    def sbranch_set_ruri(self, context: Context) -> int:
        """Take request URI, destination, path and flags from $sbranch: 1, -1 without its URI."""
        branch = context.shared.notes.get(STATIC)
        if not isinstance(branch, Branch) or not branch.uri:
            return -1
        context.uri = branch.uri
        context.destination = branch.destination
        context.path = branch.path
        context.socket = branch.socket
        context.branch_flags = branch.flags
        context.ruid, context.location_ua = branch.ruid, branch.location_ua
        context.instance = branch.instance
        return 1

    @kemi("pvx.sbranch_append")
    def sbranch_append(self, context: Context) -> int:
        """Append $sbranch to the destination set: 1, -1 without its URI."""
        found = static_branch(context)
        if not found.uri:
            return -1
        context.branches.append(
            Branch(
                found.uri,
                found.destination,
                found.path,
                found.q,
                found.flags,
                found.socket,
                found.ruid,
                found.location_ua,
                found.instance,
            )
        )
        return 1

    @kemi("pvx.sbranch_reset")
    def sbranch_reset(self, context: Context) -> int:
        """Clear $sbranch."""
        context.shared.notes.pop(STATIC, None)
        return 1


def _newest(context: Context, name: bytes) -> Value:
    values = context.shared.avps.get(key(name))
    return values[0] if values else None
