"""Module domain: which domains this server is responsible for, and what is known of them.

Owns the script functions and the reading of the tables; every process sees what was read last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.domains.domain_table import DomainError, DomainTable, plain
from kamailiod.script.context import Context, Route
from kamailiod.script.database import Database, Row, identifier
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.variables.avp import key
from kamailiod.sip.uri import parse_uri
from shm.stores.published import Published

_ROUTES = Route.REQUEST | Route.BRANCH | Route.FAILURE | Route.LOCAL
_BUCKETS = 16
_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class DomainParams(Params):
    """Kamailio's modparams of domain."""

    db_url: str = "mysql://kamailioro:kamailioro@localhost/kamailio"
    domain_table: str = "domain"
    domain_attrs_table: str = "domain_attrs"
    did_col: str = "did"
    domain_col: str = "domain"
    name_col: str = "name"
    type_col: str = "type"
    value_col: str = "value"
    register_myself: int = 0


class Domain(Module):
    """Tells whether a domain is local, and puts its attributes into AVPs."""

    name: ClassVar[str] = "domain"
    Params: ClassVar[type[DomainParams]] = DomainParams
    params: DomainParams
    _table: Published[DomainTable]
    _database: Database
    _statements: tuple[str, str]

    def mod_init(self) -> None:
        """Read the tables; a database that is away leaves them empty until domain.reload."""
        params, log = self.params, self.services.log
        records = self.services.hash_map("domain", _BUCKETS, _SHARE)
        self._table = Published(records, b"domains", _made, DomainTable())
        self._database = self.services.databases.database(params.db_url)
        self._statements = (
            _select((params.domain_col, params.did_col), params.domain_table),
            _select(
                (params.did_col, params.name_col, params.type_col, params.value_col),
                params.domain_attrs_table,
            ),
        )
        fetch = self._database.fetch_blocking
        fault = self._publish(*(fetch(statement, {}) for statement in self._statements))
        if fault:
            log.error("domain", f"{fault}: no domain is local until domain.reload")
        self._table.get()  # made here, it is the memory of all processes
        if params.register_myself:
            self.services.network.own_also(self.is_local)

    def _publish(self, domains: Sequence[Row] | None, attributes: Sequence[Row] | None) -> str:
        if domains is None or attributes is None:
            return "cannot read the tables"
        try:
            value = plain(domains, attributes)
        except DomainError as error:
            return str(error)
        return "" if self._table.set(value) else "no shared memory is left"

    def is_local(self, host: bytes) -> bool:
        """Whether a domain is one of the table's."""
        return self._table.get().did(host) is not None

    @kemi("domain.is_from_local", routes=_ROUTES)
    def is_from_local(self, context: Context) -> int:
        """Whether the domain of From is local: 1 or -1, -2 From is bad."""
        address = context.message.from_
        uri = address.uri if address is not None else None
        return -2 if uri is None else self._verdict(uri.host)

    @kemi("domain.is_uri_host_local", routes=_ROUTES)
    def is_uri_host_local(self, context: Context) -> int:
        """Whether the domain of the request URI is local, in failure routes of the first branch."""
        if context.route & Route.FAILURE:
            uri = parse_uri(context.branches[0].uri) if context.branches else None
        elif context.route & (Route.REQUEST | Route.BRANCH | Route.LOCAL):
            uri = context.parsed_uri
        else:
            uri = None
        return -1 if uri is None else self._verdict(uri.host)

    @kemi("domain.is_domain_local", routes=_ROUTES)
    def is_domain_local(self, context: Context, domain: bytes) -> int:
        """Whether a domain is local: 1 or -1."""
        return self._verdict(domain)

    @kemi("domain.lookup_domain", native=(), routes=_ROUTES)
    def lookup_domain(self, context: Context, domain: bytes) -> int:
        """Put the id and the attributes of a local domain into AVPs of their names: 1 or -1."""
        return self._lookup(context, domain, b"")

    @kemi("domain.lookup_domain_prefix", native=(), routes=_ROUTES)
    def lookup_domain_prefix(self, context: Context, domain: bytes, prefix: bytes) -> int:
        """Do what lookup_domain does with a prefix before the names of the AVPs."""
        return self._lookup(context, domain, prefix)

    @kemi(native="lookup_domain", routes=_ROUTES)
    def lookup_domain_native(self, context: Context, domain: bytes, prefix: bytes = b"") -> int:
        """Do what domain.lookup_domain_prefix does."""
        return self._lookup(context, domain, prefix)

    def _verdict(self, host: bytes) -> int:
        return 1 if self.is_local(host) else -1

    def _lookup(self, context: Context, domain: bytes, prefix: bytes) -> int:
        table = self._table.get()
        did = table.did(domain)
        if did is None:
            return -1
        avps = context.shared.avps
        # The last goes in first: what is read first is the value of the first row.
        for name, value in reversed(table.attributes(did)):
            avps.setdefault(key(prefix + name), []).insert(0, value)
        avps.setdefault(key(prefix + b"did"), []).insert(0, did)
        return 1

    @rpc("domain.reload")
    async def rpc_reload(self) -> object:
        """Read the tables again."""
        domains, attributes = self._statements
        fault = self._publish(
            await self._database.fetch(domains, {}), await self._database.fetch(attributes, {})
        )
        if fault:
            self.services.log.error("domain", fault)
            raise RpcFault(500, "Reload of domain tables failed")
        return None

    @rpc("domain.dump")
    def rpc_dump(self) -> object:
        """Show the domains, and the names of their attributes."""
        table = self._table.get()
        return {
            "domains": [{"domain": name, "did": did} for name, did in table.domains()],
            "attributes": [
                {"did": did, "attrs": [name for name, _ in reversed(attributes)]}
                for did, attributes in table.all_attributes()
            ],
        }


def _made(published: object) -> DomainTable:
    return DomainTable(published)  # type: ignore[arg-type]  # what plain() made


def _select(columns: Sequence[str], table: str) -> str:
    return f"SELECT {', '.join(map(identifier, columns))} FROM {identifier(table)}"
