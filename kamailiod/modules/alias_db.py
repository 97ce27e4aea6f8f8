"""Module alias_db: users' other addresses, looked up in a database table.

Owns which way is looked and what is done with the addresses found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar

from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.module import Module, Params, Variable, kemi
from kamailiod.script.table_query import Rows, TableQuery, cell
from kamailiod.sip.uri import Uri, parse_uri
from lua import Wait

_LOOKUP = Route.REQUEST | Route.FAILURE
_FIND = _LOOKUP | Route.BRANCH | Route.ONREPLY | Route.REPLY | Route.LOCAL

Take = Callable[[int, bytes], bool]
"""Takes the address with this number; False ends the lookup with an error."""


class Lookup(IntFlag):
    """What the flags of a lookup ask for: by the domain too, from the user to the alias."""

    DOMAIN = 1
    REVERSE = 2


@dataclass(frozen=True, slots=True)
class AliasDbParams(Params):
    """Kamailio's modparams of alias_db."""

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    user_column: str = "username"
    domain_column: str = "domain"
    alias_user_column: str = "alias_username"
    alias_domain_column: str = "alias_domain"
    use_domain: int = 0
    domain_prefix: str = ""
    append_branches: int = 0


class AliasDb(Module):
    """Replaces an alias by the address of its user."""

    name: ClassVar[str] = "alias_db"
    Params: ClassVar[type[AliasDbParams]] = AliasDbParams
    params: AliasDbParams
    _queries: tuple[TableQuery, ...]

    def mod_init(self) -> None:
        """Prepare the four queries there are: one for each combination of flags."""
        params = self.params
        database = self.services.databases.database(params.db_url)
        user = (params.user_column, params.domain_column)
        alias = (params.alias_user_column, params.alias_domain_column)

        def query(flags: int) -> TableQuery:
            wanted, known = (alias, user) if flags & Lookup.REVERSE else (user, alias)
            keys = known if flags & Lookup.DOMAIN else known[:1]
            return TableQuery(database, self.services.log, "alias_db", wanted, keys)

        self._queries = tuple(map(query, range(4)))

    @kemi("alias_db.lookup", native=(), waits=True)
    def lookup(self, context: Context, table: bytes) -> int | Wait:
        """Replace the request URI, when it is an alias, by its user's; 1, or -1 when it is none."""
        return self._lookup(context, table, b"")

    @kemi("alias_db.lookup_ex", native=(), waits=True)
    def lookup_ex(self, context: Context, table: bytes, flags: bytes) -> int | Wait:
        """Do what lookup does with flags: d without the domain, u with it, r from user to alias."""
        return self._lookup(context, table, flags)

    @kemi(native="alias_db_lookup", routes=_LOOKUP, waits=True)
    def alias_db_lookup(self, context: Context, table: bytes, flags: bytes = b"") -> int | Wait:
        """Do what alias_db.lookup_ex does."""
        return self._lookup(context, table, flags)

    @kemi(native="alias_db_find", routes=_FIND, waits=True)
    def alias_db_find(
        self, context: Context, table: bytes, uri: bytes, variable: Variable, flags: bytes = b""
    ) -> int | Wait:
        """Store the address of a URI's user in a variable, with append_branches all of them."""
        parsed = parse_uri(uri)
        target = self.services.variables.compile(variable)
        if parsed is None or target is None:
            self.services.log.error("alias_db", "alias_db_find needs a URI and a variable")
            return -1

        def take(number: int, address: bytes) -> bool:
            if number and not self.params.append_branches:
                return True
            return target.set(context, address)

        return self._ask(table, parsed, self._flags(flags), take)

    def _lookup(self, context: Context, table: bytes, flags: bytes) -> int | Wait:
        uri = context.parsed_uri
        if uri is None:
            return -1

        def take(number: int, address: bytes) -> bool:
            if number == 0:
                context.set_uri(address)
            elif self.params.append_branches:
                return self._append(context, address)
            return True

        return self._ask(table, uri, self._flags(flags), take)

    def _append(self, context: Context, address: bytes) -> bool:
        if len(context.branches) + 1 >= self.services.settings.max_branches:
            self.services.log.error("alias_db", "an alias has more addresses than max_branches")
            return False
        context.branches.append(Branch(address, q=0))
        return True

    def _ask(self, table: bytes, uri: Uri, flags: int, take: Take) -> int | Wait:
        def answer(rows: Rows) -> int:
            if not rows or rows[0][0] is None:
                return -1
            for number, (user, domain) in enumerate(rows):
                if not take(number, b"sip:%b@%b" % (cell(user), cell(domain))):
                    return -1
            return 1

        values = [uri.user]
        if flags & Lookup.DOMAIN:
            values.append(without_prefix(uri.host, self.params.domain_prefix.encode()))
        return self._queries[flags].ask(table, values, answer)

    def _flags(self, letters: bytes) -> int:
        flags = Lookup.DOMAIN if self.params.use_domain else Lookup(0)
        for letter in letters.lower():
            if letter == ord("d"):
                flags &= ~Lookup.DOMAIN
            elif letter == ord("u"):
                flags |= Lookup.DOMAIN
            elif letter == ord("r"):
                flags |= Lookup.REVERSE
            else:
                self.services.log.error("alias_db", f"unsupported flag {chr(letter)!r}: ignored")
        return int(flags)


def without_prefix(host: bytes, prefix: bytes) -> bytes:
    """Return a host without a prefix, compared without case; a host that is all prefix stays."""
    if prefix and len(prefix) < len(host) and host[: len(prefix)].lower() == prefix.lower():
        return host[len(prefix) :]
    return host
