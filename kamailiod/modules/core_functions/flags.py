"""Message, branch and script flags (KSR.setflag and its kin).

Owns the bit arithmetic; the bits live in the context, its branches and what its routes share.
"""

from __future__ import annotations

from kamailiod.script.context import Context
from kamailiod.script.module import kemi

HIGHEST = 31
"""Flags are numbered 0 to 31, as Kamailio's."""


class Flags:
    """The flag functions; a flag number out of range gives false and changes nothing."""

    @kemi("setflag")
    def setflag(self, context: Context, flag: int) -> bool:
        """Set a message flag, which lives as long as the transaction."""
        if not 0 <= flag <= HIGHEST:
            return False
        context.shared.flags |= 1 << flag
        return True

    @kemi("resetflag")
    def resetflag(self, context: Context, flag: int) -> bool:
        """Clear a message flag."""
        if not 0 <= flag <= HIGHEST:
            return False
        context.shared.flags &= ~(1 << flag)
        return True

    @kemi("isflagset")
    def isflagset(self, context: Context, flag: int) -> bool:
        """Whether a message flag is set."""
        return 0 <= flag <= HIGHEST and context.shared.flags >> flag & 1 == 1

    @kemi("setsflag", native=())
    def setsflag(self, context: Context, flag: int) -> bool:
        """Set a script flag, which lives as long as this run of the script."""
        if not 0 <= flag <= HIGHEST:
            return False
        context.script_flags |= 1 << flag
        return True

    @kemi("resetsflag", native=())
    def resetsflag(self, context: Context, flag: int) -> bool:
        """Clear a script flag."""
        if not 0 <= flag <= HIGHEST:
            return False
        context.script_flags &= ~(1 << flag)
        return True

    @kemi("issflagset", native=())
    def issflagset(self, context: Context, flag: int) -> bool:
        """Whether a script flag is set."""
        return 0 <= flag <= HIGHEST and context.script_flags >> flag & 1 == 1

    @kemi("setbflag", native=())
    def setbflag(self, context: Context, flag: int) -> bool:
        """Set a branch flag of the main branch."""
        return change_branch_flags(context, flag, 0, True)

    @kemi("resetbflag", native=())
    def resetbflag(self, context: Context, flag: int) -> bool:
        """Clear a branch flag of the main branch."""
        return change_branch_flags(context, flag, 0, False)

    @kemi("isbflagset", native=())
    def isbflagset(self, context: Context, flag: int) -> bool:
        """Whether a branch flag of the main branch is set."""
        return is_branch_flag_set(context, flag, 0)

    @kemi("setbiflag", native=())
    def setbiflag(self, context: Context, flag: int, branch: int) -> bool:
        """Set a flag of the branch with this index (0: the main one)."""
        return change_branch_flags(context, flag, branch, True)

    @kemi("resetbiflag", native=())
    def resetbiflag(self, context: Context, flag: int, branch: int) -> bool:
        """Clear a flag of the branch with this index."""
        return change_branch_flags(context, flag, branch, False)

    @kemi("isbiflagset", native=())
    def isbiflagset(self, context: Context, flag: int, branch: int) -> bool:
        """Whether a flag of the branch with this index is set."""
        return is_branch_flag_set(context, flag, branch)


def change_branch_flags(context: Context, flag: int, branch: int, on: bool) -> bool:
    """Set or clear one branch flag; a branch that does not exist is no error, as in Kamailio."""
    if not 0 <= flag <= HIGHEST:
        return False
    bit = 1 << flag
    if branch == 0:
        flags = context.branch_flags
        context.branch_flags = flags | bit if on else flags & ~bit
    elif 0 < branch <= len(context.branches):
        target = context.branches[branch - 1]
        target.flags = target.flags | bit if on else target.flags & ~bit
    return True


def is_branch_flag_set(context: Context, flag: int, branch: int) -> bool:
    """Whether a branch flag is set; False for a branch that does not exist."""
    if not 0 <= flag <= HIGHEST or branch < 0 or branch > len(context.branches):
        return False
    flags = context.branches[branch - 1].flags if branch else context.branch_flags
    return flags >> flag & 1 == 1
