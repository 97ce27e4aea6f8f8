"""Module uri_db: whether a user may call himself what he does, and whether a user exists.

Owns the checks and their codes; the credentials must have been checked before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.authentication.check import checked_user
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.table_query import Rows, TableQuery
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import Uri, parse_uri
from lua import Wait

_BAD_URI = -1
_NO_CREDENTIALS, _NO_USER, _QUERY_FAILED, _NOT_ALLOWED, _ANOTHER_USER = -2, -4, -8, -9, -10
_EXIST_QUERY_FAILED, _UNKNOWN = -4, -5


@dataclass(frozen=True, slots=True)
class UriDbParams(Params):
    """Kamailio's modparams of uri_db."""

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    db_table: str = "subscriber"
    user_column: str = "username"
    domain_column: str = "domain"
    uriuser_column: str = "uri_user"
    use_uri_table: int = 0
    use_domain: int = 0


class UriDb(Module):
    """Compares the users of URIs with the credentials and with a table."""

    name: ClassVar[str] = "uri_db"
    Params: ClassVar[type[UriDbParams]] = UriDbParams
    params: UriDbParams
    _allowed: TableQuery
    _exists: TableQuery

    def mod_init(self) -> None:
        """Prepare the queries; an empty db_url is the default one."""
        params = self.params
        database = self.services.databases.database(params.db_url or UriDbParams().db_url)
        user, domain, uri_user = params.user_column, params.domain_column, params.uriuser_column
        known = uri_user if params.use_uri_table else user
        keys = (known, domain) if params.use_domain else (known,)
        log = self.services.log
        self._allowed = TableQuery(database, log, "uri_db", (user,), (user, domain, uri_user))
        self._exists = TableQuery(database, log, "uri_db", (known,), keys)

    @kemi("uri_db.check_to", routes=Route.REQUEST, waits=True)
    def check_to(self, context: Context) -> int | Wait:
        """Whether the user of To is that of the credentials, or allowed to him by the uri table.

        1 yes, -10 no, -9 not by the table, -8 the database failed, -4 no user, -2 no credentials,
        -1 a bad URI.
        """
        return self._check_address(context, context.message.to)

    @kemi("uri_db.check_from", routes=Route.REQUEST, waits=True)
    def check_from(self, context: Context) -> int | Wait:
        """Do what check_to does with the user of From."""
        return self._check_address(context, context.message.from_)

    @kemi("uri_db.check_uri", native=(), routes=Route.REQUEST, waits=True)
    def check_uri(self, context: Context, uri: bytes) -> int | Wait:
        """Do what check_to does with the user of a URI."""
        return self._check(parse_uri(uri), checked_user(context))

    @kemi("uri_db.check_uri_realm", native=(), routes=Route.REQUEST, waits=True)
    def check_uri_realm(
        self, context: Context, uri: bytes, user: bytes, realm: bytes
    ) -> int | Wait:
        """Do what check_uri does for a given user and realm in place of the credentials."""
        return self._check(parse_uri(uri), (user, realm))

    @kemi(native="check_uri", routes=Route.REQUEST, waits=True)
    def check_uri_native(
        self, context: Context, uri: bytes, user: bytes = b"", realm: bytes = b""
    ) -> int | Wait:
        """Do what uri_db.check_uri does, with user and realm what check_uri_realm does."""
        given = (user, realm) if user and realm else checked_user(context)
        return self._check(parse_uri(uri), given)

    @kemi("uri_db.does_uri_exist", routes=Route.REQUEST | Route.LOCAL, waits=True)
    def does_uri_exist(self, context: Context) -> int | Wait:
        """Whether the user of the request URI is in the table.

        1 yes, -5 no, -4 the database failed, -1 a bad URI.
        """
        uri = context.parsed_uri
        if uri is None:
            return _BAD_URI
        values = (uri.user, uri.host) if self.params.use_domain else (uri.user,)
        return self._exists.ask(
            self.params.db_table.encode(), values, _verdict(_EXIST_QUERY_FAILED, _UNKNOWN)
        )

    def _check_address(self, context: Context, address: NameAddr | None) -> int | Wait:
        return self._check(address.uri if address is not None else None, checked_user(context))

    def _check(self, uri: Uri | None, user: tuple[bytes, bytes] | None) -> int | Wait:
        if uri is None:
            return _BAD_URI
        if not uri.user:
            return _NO_USER
        if user is None:
            self.services.log.error("uri_db", "no checked credentials: authenticate first")
            return _NO_CREDENTIALS
        if not self.params.use_uri_table:
            return 1 if uri.user.lower() == user[0].lower() else _ANOTHER_USER
        return self._allowed.ask(
            self.params.db_table.encode(),
            (*user, uri.user),
            _verdict(_QUERY_FAILED, _NOT_ALLOWED),
        )


def _verdict(failed: int, unknown: int) -> Callable[[Rows], int]:
    def answer(rows: Rows) -> int:
        if rows is None:
            return failed
        return 1 if rows else unknown

    return answer
