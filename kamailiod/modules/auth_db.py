"""Module auth_db: checks credentials against the subscriber table.

Owns the script functions, the modparams and the commands on subscribers; digests are auth's, and
secrets are in no log line and in no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.auth import Auth
from kamailiod.modules.authentication.check import (
    AUTHORIZATION,
    ERROR,
    OK,
    PROXY_AUTHORIZATION,
    UNKNOWN_USER,
    USER_MISMATCH,
    Authorization,
)
from kamailiod.modules.authentication.credential_cache import CredentialCache, cache_key
from kamailiod.modules.authentication.subscribers import TABLE, Found, Subscribers
from kamailiod.script.context import Context, Route
from kamailiod.script.database import DatabaseError, Row, parse_url
from kamailiod.script.log import ERROR as ERROR_LEVEL
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services
from kamailiod.script.table_layouts import create_tables
from kamailiod.sip.uri import parse_uri
from lua import Wait

CHECK_USER = 1
"""Flag of auth_check: the user must be that of To in a REGISTER, of From elsewhere."""

WITH_DOMAIN = 1
"""Mode of is_subscriber: the domain must be the URI's too."""


@dataclass(frozen=True, slots=True)
class AuthDbParams(Params):
    """Kamailio's modparams of auth_db, and our own `credentials_cache`.

    For so many seconds a user's row counts without asking the database again, which may be away
    meanwhile; 0 asks each time.
    """

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    user_column: str = "username"
    domain_column: str = "domain"
    password_column: str = "ha1"
    password_column_2: str = "ha1b"
    calculate_ha1: int = 0
    use_domain: int = 0
    load_credentials: str = ""
    version_table: int = 1
    force_generate_avps: int = 0
    credentials_cache: int = 0


_CACHE_SHARE = 0.05
_CACHE_BUCKETS = 16384
_PURGE_SECONDS = 10.0


class AuthDb(Module):
    """Checks who a request is from by the subscriber table."""

    name: ClassVar[str] = "auth_db"
    Params: ClassVar[type[AuthDbParams]] = AuthDbParams
    params: AuthDbParams
    without_effect: ClassVar[tuple[str, ...]] = ("version_table",)

    def __init__(self, params: AuthDbParams, services: Services) -> None:
        super().__init__(params, services)
        self._auth = services.module(Auth)
        self._loads = loaded_columns(params.load_credentials)
        extra = tuple(column for _, column in self._loads)
        self._columns = (params.password_column, *extra)
        self._columns_2 = (params.password_column_2, *extra)
        self._hashed = not params.calculate_ha1
        self._subscribers: Subscribers
        self._subscribers_with_domain: Subscribers
        self._cache: CredentialCache | None = None

    def mod_init(self) -> None:
        """Check the modparams; make the tables of a SQLite file that has none."""
        if parse_url(self.params.db_url).scheme == "sqlite":
            self.create_tables()
        params = self.params
        database = self.services.databases.database(params.db_url)
        user, domain = params.user_column, params.domain_column
        self._subscribers = Subscribers(database, user, domain, bool(params.use_domain))
        self._subscribers_with_domain = Subscribers(database, user, domain, True)
        if params.credentials_cache > 0:
            records = self.services.hash_map("auth_db", _CACHE_BUCKETS, _CACHE_SHARE)
            generation = self.services.words("auth_db_generation", 1)
            self._cache = CredentialCache(records, generation, params.credentials_cache)

    def child_init(self, rank: int) -> None:
        """Let the timer process give back what the cache needs no longer."""
        if rank == -1 and self._cache is not None:
            self.services.timers.every(_PURGE_SECONDS, self._cache.purge)

    def create_tables(self) -> None:
        """Make Kamailio's subscriber and version tables, unless they are there."""
        try:
            create_tables(self.params.db_url, [TABLE])
        except DatabaseError as error:
            self.services.log.line(ERROR_LEVEL, "auth_db", f"cannot make the tables: {error}")

    @kemi("auth_db.auth_check", routes=Route.REQUEST, waits=True)
    def auth_check(self, context: Context, realm: bytes, table: bytes, flags: int) -> int | Wait:
        """Check who a request is from: 1 when it is right, or an ACK or CANCEL.

        -1 error, -2 wrong password, -3 unknown user, -4 stale nonce, -5 no credentials, -6 nonce
        used before, -8 not the user of To (REGISTER) or From, with flag 1.
        """
        is_register = context.message.method == b"REGISTER"
        header = AUTHORIZATION if is_register else PROXY_AUTHORIZATION
        return self._checked(context, realm, table, header, flags)

    @kemi(
        "auth_db.www_authenticate",
        native=("www_authenticate", "www_authorize"),
        routes=Route.REQUEST,
        waits=True,
    )
    def www_authenticate(self, context: Context, realm: bytes, table: bytes) -> int | Wait:
        """Check the Authorization of a request; returns what auth_check returns."""
        return self._checked(context, realm, table, AUTHORIZATION, 0)

    @kemi("auth_db.www_authenticate_method", native=(), routes=Route.REQUEST, waits=True)
    def www_authenticate_method(
        self, context: Context, realm: bytes, table: bytes, method: bytes
    ) -> int | Wait:
        """Check the Authorization of a request as if it were of another method."""
        return self._checked(context, realm, table, AUTHORIZATION, 0, method)

    @kemi(
        "auth_db.proxy_authenticate",
        native=("proxy_authenticate", "proxy_authorize"),
        routes=Route.REQUEST,
        waits=True,
    )
    def proxy_authenticate(self, context: Context, realm: bytes, table: bytes) -> int | Wait:
        """Check the Proxy-Authorization of a request; returns what auth_check returns."""
        return self._checked(context, realm, table, PROXY_AUTHORIZATION, 0)

    @kemi("auth_db.is_subscriber", waits=True)
    def is_subscriber(self, context: Context, uri: bytes, table: bytes, mode: int) -> int | Wait:
        """Whether the user of a URI is in the table, with mode 1 of its domain too: 1 or -1."""
        parsed = parse_uri(uri)
        if parsed is None or not parsed.user:
            return ERROR
        subscribers = self._subscribers_with_domain if mode & WITH_DOMAIN else self._subscribers

        def found(rows: Sequence[Row] | None) -> int:
            return OK if rows and self._load(context, rows[0]) else ERROR

        user, domain = _text(parsed.user), _text(parsed.host)
        return self._find(subscribers, table, self._columns, user, domain, found)

    @rpc("auth_db.add")
    async def rpc_add(self, user: str, password: str, domain: str = "") -> object:
        """Add a subscriber, or give one a new password; `user` may be user@domain."""
        name, _, own_domain = user.partition("@")
        domain = domain or own_domain
        if not name or not password:
            raise RpcFault(400, "a user and a password are needed")
        if not domain and self._hashed:
            raise RpcFault(400, "a domain is needed while calculate_ha1 is 0")
        added = await self._subscribers.add(name, domain, password)
        if self._cache is not None:
            self._cache.remove(name, domain)
        if not added:
            raise RpcFault(500, "the database failed")
        return ""

    @rpc("auth_db.rm")
    async def rpc_rm(self, user: str, domain: str = "") -> object:
        """Remove a subscriber; `user` may be user@domain."""
        name, _, own_domain = user.partition("@")
        removed = await self._subscribers.remove(name, domain or own_domain)
        if self._cache is not None:
            self._cache.remove(name, domain or own_domain)
        if removed is None:
            raise RpcFault(500, "the database failed")
        if not removed:
            raise RpcFault(404, "no such subscriber")
        return ""

    @rpc("auth_db.cache_flush")
    def rpc_cache_flush(self) -> object:
        """Forget all credentials that credentials_cache keeps."""
        return {"removed": self._cache.flush() if self._cache is not None else 0}

    @rpc("auth_db.cache_remove")
    def rpc_cache_remove(self, user: str, domain: str = "") -> object:
        """Forget one user's credentials, of all domains without one; `user` may be user@domain."""
        name, _, own_domain = user.partition("@")
        removed = self._cache.remove(name, domain or own_domain) if self._cache is not None else 0
        return {"removed": removed}

    @rpc("auth_db.list")
    async def rpc_list(self) -> object:
        """List the subscribers, without their secrets."""
        rows = await self._subscribers.names()
        if rows is None:
            raise RpcFault(500, "the database failed")
        return [{"username": user, "domain": domain} for user, domain in rows]

    def _checked(
        self,
        context: Context,
        realm: bytes,
        table: bytes,
        header: bytes,
        flags: int,
        method: bytes = b"",
    ) -> int | Wait:
        authorization = self._auth.begin(context, realm, header)
        if isinstance(authorization, int):
            return authorization
        credentials = authorization.credentials
        domain = credentials.domain
        columns = self._columns_2 if domain and self._hashed else self._columns

        def found(rows: Sequence[Row] | None) -> int:
            return self._verdict(context, authorization, rows, flags, method)

        return self._find(
            self._subscribers,
            table,
            columns,
            _text(credentials.user),
            _text(domain or credentials.realm),
            found,
        )

    def _find(
        self,
        subscribers: Subscribers,
        table: bytes,
        columns: tuple[str, ...],
        user: str,
        domain: str,
        found: Found[int],
    ) -> int | Wait:
        if self._cache is not None:
            kept = domain if subscribers.with_domain else ""
            key = cache_key(user, kept, _text(table), columns)
            row = self._cache.get(key) if key else None
            if row is not None:
                return found((row,))
            found = _keeping(self._cache, key, found)
        try:
            result = subscribers.find(_text(table), columns, user, domain, found)
        except DatabaseError as error:
            self.services.log.line(ERROR_LEVEL, "auth_db", str(error))
            return ERROR
        return result if isinstance(result, int) else Wait(result)

    def _verdict(
        self,
        context: Context,
        authorization: Authorization,
        rows: Sequence[Row] | None,
        flags: int,
        method: bytes,
    ) -> int:
        if rows is None:
            return ERROR
        if not rows:
            return UNKNOWN_USER
        secret = _bytes(rows[0][0])
        result = self._auth.finish(context, authorization, secret, self._hashed, method)
        if result != OK:
            return result
        if flags & CHECK_USER and not self._auth.is_same_user(context):
            return USER_MISMATCH
        self._load(context, rows[0])
        return OK

    def _load(self, context: Context, row: Row) -> bool:
        for (variable, _), value in zip(self._loads, row[1:], strict=True):
            if value is None and not self.params.force_generate_avps:
                continue
            accessor = self.services.variables.compile(variable)
            if accessor is not None:
                accessor.set(context, value if isinstance(value, int) else _bytes(value))
        return True


def _keeping(cache: CredentialCache, key: bytes, found: Found[int]) -> Found[int]:
    generation = cache.generation

    def keep(rows: Sequence[Row] | None) -> int:
        if rows and key:
            cache.put(key, rows[0], generation)
        return found(rows)

    return keep


def loaded_columns(text: str) -> tuple[tuple[bytes, str], ...]:
    """Read load_credentials: `$avp(x)=column;column2;...` to (variable, column) pairs.

    A column alone goes into the AVP of its name.
    """
    pairs = []
    for item in text.split(";"):
        variable, _, column = (part.strip() for part in item.rpartition("="))
        if column:
            pairs.append(((variable or f"$avp({column})").encode(), column))
    return tuple(pairs)


def _text(value: bytes) -> str:
    # What is no UTF-8 is in no table, and must raise nothing in a driver.
    return value.decode("utf-8", "replace")


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()
