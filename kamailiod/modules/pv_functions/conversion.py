"""Between records and other notations: parameter lists, separated lists, $var, the log.

Owns those notations; the trees are in script/variables/records.py.
"""

from __future__ import annotations

import copy

from kamailiod.script.context import Context, Value
from kamailiod.script.module import Variable, kemi
from kamailiod.script.pseudovariables import Accessors
from kamailiod.script.services import Services
from kamailiod.script.transformations.parameters import pairs
from kamailiod.script.variables.records import (
    Stacks,
    at,
    plain,
    push,
    push_record,
    record_at,
    replace,
)
from kamailiod.script.variables.value import text


class Conversion:
    """The functions that make records of something else, and the reverse."""

    accessors: Accessors
    services: Services

    @kemi("pvx.xavp_params_explode")
    def xavp_params_explode(self, context: Context, parameters: bytes, name: bytes) -> int:
        """Make a record of a list `a=b;c=d`: 1, -1 when it is empty."""
        return _explode(context, parameters, b";", name)

    @kemi("pvx.xavp_xparams_explode")
    def xavp_xparams_explode(
        self, context: Context, parameters: bytes, separator: bytes, name: bytes
    ) -> int:
        """Make a record of a list with another separator: 1, -1 when it is empty."""
        return _explode(context, parameters, separator, name)

    @kemi("pvx.xavp_params_implode")
    def xavp_params_implode(self, context: Context, name: bytes, variable: Variable) -> int:
        """Store the newest record as `a=b;c=d;` in a variable: 1, -1 when there is none."""
        return self._implode(context, name, variable, b"%s=%s;")

    @kemi("pvx.xavp_params_implode_qval")
    def xavp_params_implode_qval(self, context: Context, name: bytes, variable: Variable) -> int:
        """Store the newest record with quoted values in a variable: 1, -1 when there is none."""
        return self._implode(context, name, variable, b'%s="%s";')

    @kemi("pvx.xavu_params_explode")
    def xavu_params_explode(self, context: Context, parameters: bytes, name: bytes) -> int:
        """Make the record $xavu(name) of a list `a=b;c=d`: 1, -1 when it is empty."""
        found = pairs(parameters)
        if not found:
            return -1
        context.shared.xavus[name] = dict(found)
        return 1

    @kemi("pvx.xavu_params_implode")
    def xavu_params_implode(self, context: Context, name: bytes, variable: Variable) -> int:
        """Store the record $xavu(name) as `a=b;c=d;` in a variable: 1, -1 when there is none."""
        record = context.shared.xavus.get(name)
        if not isinstance(record, dict):
            return -1
        joined = b"".join([b"%s=%s;" % (field, text(value)) for field, value in record.items()])
        return 1 if self.accessors[variable].set(context, joined) else -1

    @kemi("pvx.xavp_slist_explode")
    def xavp_slist_explode(
        self, context: Context, items: bytes, separator: bytes, mode: bytes, name: bytes
    ) -> int:
        """Make a record of a separated list, items in field v; mode "t" trims blanks."""
        if not items or not separator or not name:
            return -1
        trim = b"t" in mode.lower()
        values = [item.strip() if trim else item for item in items.split(separator[:1])]
        push_record(context.shared.xavps, name, [(b"v", value) for value in values])
        return 1

    @kemi("pvx.pv_var_to_xavp")
    def pv_var_to_xavp(self, context: Context, variable: bytes, name: bytes) -> int:
        """Make a record of one $var, or of all for "*": 1, -1 when there is none."""
        variables = context.variables
        if variable == b"*":
            push_record(context.shared.xavps, name, list(variables.items()))
            return 1
        if variable not in variables:
            return -1
        push_record(context.shared.xavps, name, ((variable, variables[variable]),))
        return 1

    @kemi("pvx.pv_xavp_to_var")
    def pv_xavp_to_var(self, context: Context, name: bytes) -> int:
        """Give each field of the newest record to the $var of its name: 1, -1 without record."""
        record = record_at(context.shared.xavps, name)
        if record is None:
            return -1
        for field, stack in record.items():
            value = plain(at(stack, 0))
            if value is not None:
                context.variables[field] = value
        return 1

    @kemi("pvx.xavp_copy", native="xavp_copy")
    def xavp_copy(self, context: Context, source: bytes, index: int, target: bytes) -> int:
        """Put a copy of a value on top of another stack: 1, -1 when there is none."""
        found = at(context.shared.xavps.get(source), index)
        if found is None:
            return -1
        push(context.shared.xavps, target, copy.deepcopy(found))
        return 1

    @kemi("pvx.xavp_copy_dst", native="xavp_copy")
    def xavp_copy_dst(
        self, context: Context, source: bytes, index: int, target: bytes, place: int
    ) -> int:
        """Replace a value by a copy of another: 1, -1 when either is missing."""
        found = at(context.shared.xavps.get(source), index)
        if found is None:
            return -1
        return 1 if replace(context.shared.xavps, target, place, copy.deepcopy(found)) else -1

    @kemi("pvx.xavp_lshift")
    def xavp_lshift(self, context: Context, name: bytes, count: int) -> int:
        """Drop the newest values of a stack: 1, -1 when there are not so many."""
        stack = context.shared.xavps.get(name)
        if not stack or not 0 < count <= len(stack):
            return -1
        del stack[:count]
        if not stack:
            del context.shared.xavps[name]
        return 1

    @kemi("pvx.pv_xavp_print")
    def pv_xavp_print(self, context: Context) -> int:
        """Log all of $xavp at INFO."""
        self._print("xavp", context.shared.xavps)
        return 1

    @kemi("pvx.pv_xavi_print")
    def pv_xavi_print(self, context: Context) -> int:
        """Log all of $xavi at INFO."""
        self._print("xavi", context.shared.xavis)
        return 1

    @kemi("pvx.pv_xavu_print")
    def pv_xavu_print(self, context: Context) -> int:
        """Log all of $xavu at INFO."""
        self._print("xavu", {name: [value] for name, value in context.shared.xavus.items()})
        return 1

    def _implode(self, context: Context, name: bytes, variable: Variable, layout: bytes) -> int:
        record = record_at(context.shared.xavps, name)
        if record is None:
            return -1
        joined = b"".join(
            [layout % (field, text(plain(at(stack, 0)))) for field, stack in record.items()]
        )
        return 1 if self.accessors[variable].set(context, joined) else -1

    def _print(self, kind: str, stacks: Stacks) -> None:
        for name, stack in stacks.items():
            root = _shown(name)
            for index, value in enumerate(stack):
                self.services.log.info("pv", f"${kind}({root}[{index}]) = {_shown(value)}")


def _explode(context: Context, parameters: bytes, separator: bytes, name: bytes) -> int:
    found: list[tuple[bytes, Value]] = list(pairs(parameters, separator))
    if not found or not name:
        return -1
    push_record(context.shared.xavps, name, found)
    return 1


def _shown(value: object) -> str:
    if isinstance(value, dict):
        fields = (f"{_shown(field)}={_shown(one)}" for field, one in value.items())
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return " | ".join(_shown(one) for one in value)
    return text(plain(value)).decode("utf-8", "replace")
