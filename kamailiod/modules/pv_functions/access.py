"""KSR.pv.*: reading and writing any pseudo-variable by its name.

Owns Kamailio's return values; what a variable means is in script/variables.
"""

from __future__ import annotations

from kamailiod.script.context import Context, Value
from kamailiod.script.module import Template, Variable, kemi
from kamailiod.script.pseudovariables import Accessors
from kamailiod.script.services import Services
from kamailiod.script.variables.value import integer, strict_integer


class Access:
    """The functions of KSR.pv and the native ones about a variable's value."""

    accessors: Accessors
    services: Services

    @kemi("pv.get", native=())
    def get(self, context: Context, variable: Variable) -> Value:
        """Return a variable's value: a string, an integer, or nil."""
        return self.accessors[variable].get(context)

    @kemi("pv.getw", native=())
    def getw(self, context: Context, variable: Variable) -> Value:
        """Return a variable's value, "<null>" for nil."""
        value = self.accessors[variable].get(context)
        return b"<null>" if value is None else value

    @kemi("pv.gete", native=())
    def gete(self, context: Context, variable: Variable) -> Value:
        """Return a variable's value, the empty string for nil."""
        value = self.accessors[variable].get(context)
        return b"" if value is None else value

    @kemi("pv.geti", native=())
    def geti(self, context: Context, variable: Variable) -> int:
        """Return a variable's value as integer, 0 for nil."""
        return integer(self.accessors[variable].get(context))

    @kemi("pv.getl", native=())
    def getl(self, context: Context, variable: Variable) -> int:
        """Return a variable's value as long integer, 0 for nil."""
        return integer(self.accessors[variable].get(context))

    @kemi("pv.getvn", native=())
    def getvn(self, context: Context, variable: Variable, default: int) -> Value:
        """Return a variable's value, an integer of the caller's for nil."""
        value = self.accessors[variable].get(context)
        return default if value is None else value

    @kemi("pv.getvs", native=())
    def getvs(self, context: Context, variable: Variable, default: bytes) -> Value:
        """Return a variable's value, a string of the caller's for nil."""
        value = self.accessors[variable].get(context)
        return default if value is None else value

    @kemi("pv.sets", native=())
    def sets(self, context: Context, variable: Variable, value: bytes) -> bool:
        """Give a variable a string; one that is read-only stays as it is."""
        return self.accessors[variable].set(context, value)

    @kemi("pv.seti", native=())
    def seti(self, context: Context, variable: Variable, value: int) -> bool:
        """Give a variable an integer; false when it takes strings only."""
        return self.accessors[variable].set(context, value)

    @kemi("pv.setl", native=())
    def setl(self, context: Context, variable: Variable, value: int) -> bool:
        """Give a variable a long integer; false when it takes strings only."""
        return self.accessors[variable].set(context, value)

    @kemi("pv.unset", native="pv_unset")
    def unset(self, context: Context, variable: Variable) -> bool:
        """Remove a variable's value."""
        return self.accessors[variable].unset(context)

    @kemi("pv.is_null", native=())
    def is_null(self, context: Context, variable: Variable) -> bool:
        """Whether a variable has no value, or does not exist."""
        return self.accessors[variable].get(context) is None

    @kemi(native="pv_isset")
    def pv_isset(self, context: Context, variable: Variable) -> int:
        """Whether a variable has a value: 1 or -1."""
        return -1 if self.accessors[variable].get(context) is None else 1

    @kemi(native="not_empty")
    def not_empty(self, context: Context, variable: Variable) -> int:
        """Whether a variable holds a string that is not empty: 1 or -1."""
        value = self.accessors[variable].get(context)
        return 1 if isinstance(value, bytes) and value else -1

    @kemi(native="is_int")
    def is_int(self, context: Context, variable: Variable) -> int:
        """Whether a variable holds an integer, or a string of one: 1 or -1."""
        return -1 if strict_integer(self.accessors[variable].get(context)) is None else 1

    @kemi(native="typeof")
    def typeof(self, context: Context, variable: Variable, kind: bytes) -> int:
        """Whether a variable is of a kind, "int", "str" or "null": 1 or -1."""
        value = self.accessors[variable].get(context)
        found = b"null" if value is None else b"int" if isinstance(value, int) else b"str"
        return 1 if kind == found else -1

    @kemi("pvx.evalx", native="pv_evalx")
    def evalx(self, context: Context, variable: Variable, template: Template) -> int:
        """Store what a text's variables expand to, expanded once more, in a variable."""
        variables = self.services.variables
        value = variables.format(variables.format(template).expand(context)).expand(context)
        return 1 if self.accessors[variable].set(context, value) else -1
