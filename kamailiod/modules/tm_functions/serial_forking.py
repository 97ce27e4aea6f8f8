"""tm: trying contacts one after the other by their q (RFC 3261 16.6), not all at once.

Owns the order and what is left to try; sending is t_relay's.
"""

from __future__ import annotations

from itertools import groupby

from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.module import kemi

_NOTE = "tm_contacts"
_ALL_ARE_EQUAL = 1
NONE_LEFT = -2


class SerialForking:
    """t_load_contacts before the first t_next_contacts; that again in the failure route."""

    @kemi("tm.t_load_contacts", native=(), routes=Route.REQUEST | Route.FAILURE)
    def t_load_contacts(self, context: Context) -> int:
        """Put the destinations aside in groups of the same q, best first; nothing if all have it.

        Returns 1; t_next_contacts takes them up again, group by group.
        """
        return self.t_load_contacts_mode(context, 0)

    @kemi(
        "tm.ki_t_load_contacts_mode",
        "tm.t_load_contacts_mode",
        native="t_load_contacts",
        routes=Route.REQUEST | Route.FAILURE,
    )
    def t_load_contacts_mode(self, context: Context, mode: int = 0) -> int:
        """Do as t_load_contacts; mode 1 puts every destination into a group of its own."""
        main = Branch(
            context.uri, context.destination, context.path, _own_q(context), context.branch_flags,
            context.socket, context.ruid, context.location_ua, context.instance,
        )  # fmt: skip
        branches = [main, *context.branches]
        ordered = sorted(branches, key=lambda branch: -branch.q)
        if mode:
            groups = [[branch] for branch in ordered]
        else:
            groups = [list(found) for _, found in groupby(ordered, key=lambda branch: branch.q)]
        if len(groups) == _ALL_ARE_EQUAL:
            return 1
        context.shared.notes[_NOTE] = groups
        context.branches = []
        return 1

    @kemi("tm.t_next_contacts", routes=Route.REQUEST | Route.FAILURE)
    def t_next_contacts(self, context: Context) -> int:
        """Make the best destinations that are left those of the request: 1, -2 none is left.

        In the request route without anything put aside it is 1: all are tried at once.
        """
        groups = context.shared.notes.get(_NOTE)
        if not isinstance(groups, list):
            return 1 if context.route is Route.REQUEST else NONE_LEFT
        if not groups:
            return NONE_LEFT
        first, *others = groups.pop(0)
        context.set_uri(first.uri)
        context.destination = first.destination
        context.path = first.path
        context.socket = first.socket
        context.branch_flags = first.flags
        context.ruid = first.ruid
        context.location_ua = first.location_ua
        context.instance = first.instance
        context.branches = list(others)
        context.shared.notes.pop("tm_sent", None)
        return 1


def _own_q(context: Context) -> int:
    q = context.shared.notes.get("ruri_q")
    return q if isinstance(q, int) else -1
