"""Module group: whether a user is in a group, by a table of members or by regular expressions.

Owns whose membership is asked for; the expressions are read once, before the fork.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.authentication.check import checked_user
from kamailiod.modules.textops_functions.patterns import pattern
from kamailiod.script.context import Context, Route
from kamailiod.script.database import Row, identifier
from kamailiod.script.module import Module, Params, Variable, kemi
from kamailiod.script.table_query import Rows, TableQuery, cell
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import Uri, parse_uri
from lua import Wait

_ROUTES = Route.REQUEST | Route.FAILURE
_DATABASE_FAILED, _NOT_A_MEMBER = -5, -6

Member = tuple[bytes, bytes]
"""A user and its domain."""


@dataclass(frozen=True, slots=True)
class GroupParams(Params):
    """Kamailio's modparams of group."""

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    table: str = "grp"
    user_column: str = "username"
    domain_column: str = "domain"
    group_column: str = "grp"
    use_domain: int = 0
    re_table: str = ""
    re_exp_column: str = "reg_exp"
    re_gid_column: str = "group_id"
    multiple_gid: int = 1


class Group(Module):
    """Tells who is in which group."""

    name: ClassVar[str] = "group"
    Params: ClassVar[type[GroupParams]] = GroupParams
    params: GroupParams
    _query: TableQuery
    _rules: tuple[tuple[re.Pattern[bytes], int], ...] = ()

    def mod_init(self) -> None:
        """Prepare the query, and read the expressions when there is a table of them."""
        params = self.params
        database = self.services.databases.database(params.db_url)
        keys = [params.user_column, params.group_column]
        if params.use_domain:
            keys.append(params.domain_column)
        columns = (params.group_column,)
        self._query = TableQuery(database, self.services.log, "group", columns, keys)
        if params.re_table:
            names = f"{identifier(params.re_exp_column)}, {identifier(params.re_gid_column)}"
            statement = f"SELECT {names} FROM {identifier(params.re_table)}"
            self._rules = self._read(database.fetch_blocking(statement, {}))

    def _read(self, rows: Sequence[Row] | None) -> tuple[tuple[re.Pattern[bytes], int], ...]:
        log = self.services.log
        if rows is None:
            log.error("group", f"cannot read {self.params.re_table}: no group by expressions")
            return ()
        rules = []
        # The last row is looked at first, as in Kamailio.
        for text, group in reversed(rows):
            expression = pattern(cell(text)) if text else None
            if expression is None or not isinstance(group, int):
                log.error("group", f"not an expression and a number: {text!r}, {group!r}")
                continue
            rules.append((expression, group))
        return tuple(rules)

    @kemi("group.is_user_in", native=(), routes=_ROUTES, waits=True)
    def is_user_in(self, context: Context, uri: bytes, group: bytes) -> int | Wait:
        """Whether the user of a URI is in a group: 1, -6 it is not, -5 the database failed.

        -1 without a user or group.
        """
        return self._ask(_member(parse_uri(uri)), group)

    @kemi(native="is_user_in", routes=_ROUTES, waits=True)
    def is_user_in_native(self, context: Context, whose: bytes, group: bytes) -> int | Wait:
        """Do what group.is_user_in does for Request-URI, To, From, Credentials or a URI."""
        return self._ask(self._chosen(context, whose), group)

    @kemi(native="get_user_group", routes=_ROUTES)
    def get_user_group(self, context: Context, whose: bytes, variable: Variable) -> int:
        """Put the numbers of the groups whose expressions match into an AVP.

        How many there are, -1 for none; `whose` is as in is_user_in.
        """
        member = self._chosen(context, whose)
        target = self.services.variables.compile(variable)
        if member is None or not member[0] or target is None:
            return -1
        uri = b"sip:%b@%b" % member
        found = 0
        for expression, group in self._rules:
            if expression.search(uri):
                if not target.set(context, group):
                    return -1
                found += 1
                if not self.params.multiple_gid:
                    break
        return found or -1

    def _ask(self, member: Member | None, group: bytes) -> int | Wait:
        if member is None or not member[0] or not group:
            return -1

        def answer(rows: Rows) -> int:
            if rows is None:
                return _DATABASE_FAILED
            return 1 if rows else _NOT_A_MEMBER

        user, domain = member
        values = (user, group, domain) if self.params.use_domain else (user, group)
        return self._query.ask(self.params.table.encode(), values, answer)

    def _chosen(self, context: Context, whose: bytes) -> Member | None:
        choice = whose.lower()
        if choice == b"request-uri":
            member = _member(context.parsed_uri)
        elif choice == b"to":
            member = _member(_uri(context.message.to))
        elif choice == b"from":
            member = _member(_uri(context.message.from_))
        elif choice == b"credentials":
            member = checked_user(context)
        else:
            member = _member(parse_uri(whose))
        if member is None:
            self.services.log.error("group", f"no user: {whose[:64]!r}")
        return member


def _member(uri: Uri | None) -> Member | None:
    return (uri.user, uri.host) if uri is not None else None


def _uri(address: NameAddr | None) -> Uri | None:
    return address.uri if address is not None else None
