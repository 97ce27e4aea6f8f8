"""Module kex: the native names of the script and branch flags, and the log level.

Owns the native spellings; the flags themselves are the core's.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.core import Core
from kamailiod.modules.core_functions.flags import change_branch_flags, is_branch_flag_set
from kamailiod.script.context import Context
from kamailiod.script.module import Module, Params, Template, Variable, kemi
from kamailiod.script.services import Services


class Kex(Module):
    """Extensions of the native language."""

    name: ClassVar[str] = "kex"

    def __init__(self, params: Params, services: Services) -> None:
        super().__init__(params, services)
        self._core = services.module(Core)
        self._configured_level = services.log.level

    @kemi(native="setsflag")
    def setsflag(self, context: Context, flag: int) -> bool:
        """Set a script flag."""
        return self._core.setsflag(context, flag)

    @kemi(native="resetsflag")
    def resetsflag(self, context: Context, flag: int) -> bool:
        """Clear a script flag."""
        return self._core.resetsflag(context, flag)

    @kemi(native="issflagset")
    def issflagset(self, context: Context, flag: int) -> bool:
        """Whether a script flag is set."""
        return self._core.issflagset(context, flag)

    @kemi(native="setbflag")
    def setbflag(self, context: Context, flag: int, branch: int = 0) -> bool:
        """Set a branch flag of the main branch or of the one with this index."""
        return change_branch_flags(context, flag, branch, True)

    @kemi(native="resetbflag")
    def resetbflag(self, context: Context, flag: int, branch: int = 0) -> bool:
        """Clear a branch flag of the main branch or of the one with this index."""
        return change_branch_flags(context, flag, branch, False)

    @kemi(native="isbflagset")
    def isbflagset(self, context: Context, flag: int, branch: int = 0) -> bool:
        """Whether a branch flag of the main branch or of the one with this index is set."""
        return is_branch_flag_set(context, flag, branch)

    @kemi(native="setdsturi")
    def setdsturi(self, context: Context, uri: bytes) -> bool:
        """Set the destination URI ($du)."""
        return self._core.setdsturi(context, uri)

    @kemi(native="resetdsturi")
    def resetdsturi(self, context: Context) -> bool:
        """Unset the destination URI."""
        return self._core.resetdsturi(context)

    @kemi(native="isdsturiset")
    def isdsturiset(self, context: Context) -> bool:
        """Whether the destination URI is set."""
        return self._core.isdsturiset(context)

    @kemi(native="is_myself")
    def is_myself(self, context: Context, address: bytes) -> bool:
        """Whether a host or a URI is one of this server's addresses."""
        return self._core.is_myself(context, address)

    @kemi(native="is_myhost")
    def is_myhost(self, context: Context, address: bytes) -> bool:
        """Whether the host of a URI is this server's, whatever the port."""
        host = address.partition(b":")[2] if address[:3].lower() == b"sip" else address
        return self.services.network.is_myself(host.rpartition(b"@")[2].partition(b":")[0])

    @kemi(native=("pv_printf", "avp_printf"))
    def pv_printf(self, context: Context, variable: Variable, text: Template) -> int:
        """Store a text with its variables expanded in a variable."""
        accessor = self.services.variables.compile(variable)
        value = self.services.variables.format(text).expand(context)
        return 1 if accessor is not None and accessor.set(context, value) else -1

    @kemi("kex.setdebug")
    def setdebug(self, context: Context, level: int) -> int:
        """Change the log level of this process."""
        self.services.log.level = level
        return 1

    @kemi("kex.resetdebug")
    def resetdebug(self, context: Context) -> int:
        """Return to the configured log level in this process."""
        self.services.log.level = self._configured_level
        return 1
