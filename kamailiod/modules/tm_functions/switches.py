"""tm: what is different for one transaction: its switches, lifetime and dropped replies.

Owns the script functions; script/relay.py reads the notes.
"""

from __future__ import annotations

from kamailiod.script.context import Context, Route
from kamailiod.script.module import kemi
from kamailiod.script.relay import (
    AUTO_TRYING,
    DROPPED,
    NO_6XX,
    NO_CANCEL_REASON,
    NO_INTERNAL_REPLY,
)
from kamailiod.sip.transaction import Transaction
from kamailiod.sip.transaction_tables import TIMEOUT

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.FAILURE | Route.BRANCH
_LIFETIME = "tm_lifetime"
_EXPIRED = "tm_expired"


class TransactionSwitches:
    """Switches of one transaction; they may be set before there is one."""

    @kemi("tm.t_set_auto_inv_100", routes=Route.REQUEST)
    def t_set_auto_inv_100(self, context: Context, on: int) -> int:
        """Have a relayed INVITE answered 100 at once (1) or not (0)."""
        return _note(context, AUTO_TRYING, bool(on))

    @kemi("tm.t_set_disable_6xx", routes=_ROUTES)
    def t_set_disable_6xx(self, context: Context, on: int) -> int:
        """Have a 6xx of one branch leave the others alone, and be no better than other failures."""
        return _note(context, NO_6XX, bool(on))

    @kemi("tm.t_set_disable_failover", routes=_ROUTES)
    def t_set_disable_failover(self, context: Context, on: int) -> int:
        """Accept the wish for no DNS failover: a branch has one destination here."""
        return 1

    @kemi(
        "tm.t_set_no_e2e_cancel_reason",
        native=("t_set_no_e2e_cancel_reason", "t_disable_e2e_cancel_reason"),
        routes=_ROUTES,
    )
    def t_set_no_e2e_cancel_reason(self, context: Context, on: int) -> int:
        """Have the Reason of the caller's CANCEL copied (0) or not (1)."""
        return _note(context, NO_CANCEL_REASON, bool(on))

    @kemi("tm.t_set_disable_internal_reply", routes=_ROUTES)
    def t_set_disable_internal_reply(self, context: Context, on: int) -> int:
        """Have a failed t_relay answered when the script ends (0) or not (1)."""
        return _note(context, NO_INTERNAL_REPLY, bool(on))

    @kemi("tm.t_set_max_lifetime", routes=_ROUTES)
    def t_set_max_lifetime(self, context: Context, invite: int, other: int) -> int:
        """Let the transaction's branches time out after this many milliseconds (0: unchanged)."""
        context.shared.notes[_LIFETIME] = (invite, other)
        if context.transaction is not None:
            self._start_lifetime(context, context.transaction)
        return 1

    @kemi("tm.t_reset_max_lifetime", routes=_ROUTES)
    def t_reset_max_lifetime(self, context: Context) -> int:
        """Undo t_set_max_lifetime."""
        context.shared.notes.pop(_LIFETIME, None)
        return 1

    @kemi("tm.t_is_expired", routes=_ROUTES)
    def t_is_expired(self, context: Context) -> int:
        """Return 1 when the time of t_set_max_lifetime is over, else -1."""
        return 1 if context.shared.notes.get(_EXPIRED) else -1

    def _start_lifetime(self, context: Context, server: Transaction) -> None:
        lifetime = context.shared.notes.get(_LIFETIME)
        if not isinstance(lifetime, tuple):
            return
        milliseconds = lifetime[0 if server.is_invite else 1]
        if milliseconds > 0:
            server.effects.schedule(milliseconds / 1000, _end_lifetime, server, lifetime)

    @kemi("tm.t_drop_replies", routes=Route.FAILURE)
    def t_drop_replies(self, context: Context, mode: bytes = b"a") -> int:
        """Leave replies out of the choice of the final one: `a` all so far, `l` the last, `n`."""
        server = context.transaction
        if server is None or mode[:1] not in (b"a", b"l", b"n", b""):
            return -1
        finals = [branch.index for branch in server.branches if branch.has_final]
        chosen = {b"n": [], b"l": finals[-1:]}.get(mode[:1], finals)
        dropped = context.shared.notes.get(DROPPED)
        before = dropped if isinstance(dropped, frozenset) else frozenset()
        context.shared.notes[DROPPED] = before | frozenset(chosen)
        return 1

    @kemi("tm.t_drop_replies_all", native=(), routes=Route.FAILURE)
    def t_drop_replies_all(self, context: Context) -> int:
        """Leave all replies so far out of the choice of the final one."""
        return self.t_drop_replies(context, b"a")


def _note(context: Context, name: str, value: bool) -> int:
    context.shared.notes[name] = value
    return 1


def _end_lifetime(server: Transaction, lifetime: tuple[int, int]) -> None:
    notes = server.context.shared.notes
    if server.final_code or notes.get(_LIFETIME) is not lifetime:
        return
    notes[_EXPIRED] = True
    for branch in list(server.branches):
        if not branch.has_final:
            branch.step(TIMEOUT)
