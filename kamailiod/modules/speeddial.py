"""Module speeddial: users' short numbers, looked up in a database table.

Owns by what a short number is looked up and what it becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.alias_db import without_prefix
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.table_query import Rows, TableQuery, cell
from kamailiod.sip.uri import Uri, parse_uri
from lua import Wait

_OWNERS_DOMAIN, _BOTH_DOMAINS = 1, 2
"""What use_domain may be beside 0."""


@dataclass(frozen=True, slots=True)
class SpeeddialParams(Params):
    """Kamailio's modparams of speeddial."""

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    user_column: str = "username"
    domain_column: str = "domain"
    sd_user_column: str = "sd_username"
    sd_domain_column: str = "sd_domain"
    new_uri_column: str = "new_uri"
    use_domain: int = 0
    domain_prefix: str = ""


class Speeddial(Module):
    """Replaces a short number by the address its owner gave it."""

    name: ClassVar[str] = "speeddial"
    Params: ClassVar[type[SpeeddialParams]] = SpeeddialParams
    params: SpeeddialParams
    _query: TableQuery

    def mod_init(self) -> None:
        """Prepare the query that use_domain asks for."""
        params = self.params
        keys = [params.user_column]
        if params.use_domain >= _OWNERS_DOMAIN:
            keys.append(params.domain_column)
        keys.append(params.sd_user_column)
        if params.use_domain >= _BOTH_DOMAINS:
            keys.append(params.sd_domain_column)
        database = self.services.databases.database(params.db_url)
        columns = (params.new_uri_column,)
        self._query = TableQuery(database, self.services.log, "speeddial", columns, keys)

    @kemi("speeddial.lookup", native=(), waits=True)
    def lookup(self, context: Context, table: bytes) -> int | Wait:
        """Replace the request URI when its user is a short number of the caller's: 1 or -1."""
        return self._lookup(context, table, b"")

    @kemi("speeddial.lookup_owner", native=(), waits=True)
    def lookup_owner(self, context: Context, table: bytes, owner: bytes) -> int | Wait:
        """Do what lookup does for the short numbers of another user, given as URI."""
        return self._lookup(context, table, owner)

    @kemi(native="sd_lookup", routes=Route.REQUEST, waits=True)
    def sd_lookup(self, context: Context, table: bytes, owner: bytes = b"") -> int | Wait:
        """Do what speeddial.lookup_owner does."""
        return self._lookup(context, table, owner)

    def _lookup(self, context: Context, table: bytes, owner: bytes) -> int | Wait:
        whose = parse_uri(owner) if owner else _caller(context)
        number = context.parsed_uri
        if not table or whose is None or number is None:
            self.services.log.error("speeddial", "no table, bad address of the owner or bad URI")
            return -1

        def answer(rows: Rows) -> int:
            if not rows or rows[0][0] is None:
                return -1
            uri = cell(rows[0][0])
            context.set_uri(uri if uri.startswith(b"sip:") else b"sip:" + uri)
            return 1

        return self._query.ask(table, self._values(whose, number), answer)

    def _values(self, owner: Uri, number: Uri) -> list[bytes]:
        values = [owner.user]
        if self.params.use_domain >= _OWNERS_DOMAIN:
            values.append(self._bare(owner.host))
        values.append(number.user)
        if self.params.use_domain >= _BOTH_DOMAINS:
            values.append(self._bare(number.host))
        return values

    def _bare(self, host: bytes) -> bytes:
        return without_prefix(host, self.params.domain_prefix.encode())


def _caller(context: Context) -> Uri | None:
    address = context.message.from_
    return address.uri if address is not None else None
