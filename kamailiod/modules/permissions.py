"""Module permissions: groups of addresses, trusted peers, and rule files for calls and contacts.

Owns modparams, script functions and the commands; tables and rules are in access/.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import ClassVar, TypeVar

from kamailiod.modules.access.address_table import AddressRecord, AddressTable, Match
from kamailiod.modules.access.dumps import address_dump, domain_dump, subnet_dump, trusted_dump
from kamailiod.modules.access.errors import TableError
from kamailiod.modules.access.params import PermissionsParams
from kamailiod.modules.access.record_source import (
    AddressFile,
    DatabaseTable,
    RecordSource,
    address_record,
)
from kamailiod.modules.access.rule_files import RuleFiles, plain_uri
from kamailiod.modules.access.trusted_table import (
    Peer,
    TrustedRecord,
    TrustedTable,
    is_protocol,
    rules_of_rows,
    tags,
    trusted_record,
)
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services
from kamailiod.script.table_query import Rows, TableQuery
from lua import Wait
from shm import Published

_SHARE = 0.06
_BUCKETS = 16
_ADDRESSES, _TRUSTED, _ALLOW_FILE, _DENY_FILE = 1, 2, 4, 8
_CACHED, _ALL_TAGS = 1, 1
_FAILED = "Reload failed."
_FILES = Route.REQUEST | Route.FAILURE

R = TypeVar("R", AddressRecord, TrustedRecord)


class Permissions(Module):
    """Whether addresses, peers and URIs are allowed, by tables that all processes share."""

    name: ClassVar[str] = "permissions"
    Params: ClassVar[type[Params]] = PermissionsParams
    params: PermissionsParams
    without_effect: ClassVar[tuple[str, ...]] = ("trusted_cleanup_interval",)

    def __init__(self, params: PermissionsParams, services: Services) -> None:
        super().__init__(params, services)
        self._folder = os.path.dirname(services.config_file)
        self._rules = RuleFiles(self._folder, services.log)
        self._reloaded_at = -float(params.reload_delta)
        self._address_source: RecordSource[AddressRecord] | None = None
        self._trusted_source: RecordSource[TrustedRecord] | None = None
        self._trusted_query: TableQuery | None = None
        self._addresses: Published[AddressTable]
        self._trusted: Published[TrustedTable]
        if params.db_mode not in (0, _CACHED):
            raise ValueError(f"permissions: db_mode {params.db_mode} is not 0 or 1")
        if params.peer_tag_avp and not params.peer_tag_avp.startswith(("$avp(", "$(avp(")):
            raise ValueError(f"permissions: peer_tag_avp {params.peer_tag_avp} is no AVP")

    def mod_init(self) -> None:
        """Make the shared tables and load them; a bad record or rule file is refused."""
        tables = self.services.hash_map("permissions", _BUCKETS, _SHARE)
        nobody = AddressTable((), 0)
        self._addresses = Published(tables, b"addresses", self._address_table, nobody)
        self._trusted = Published(tables, b"trusted", _trusted_table, TrustedTable(()))
        self._open_sources()
        if self._address_source is not None:
            self._load(self._addresses, self._address_source.read_blocking(), "address")
        if self._trusted_source is not None:
            self._load(self._trusted, self._trusted_source.read_blocking(), "trusted")
        if self.params.load_backends & _ALLOW_FILE:
            self._rules.file(self.params.default_allow_file)
        if self.params.load_backends & _DENY_FILE:
            self._rules.file(self.params.default_deny_file)

    @kemi("permissions.allow_source_address")
    def allow_source_address(self, context: Context, group: int = 1) -> int:
        """Whether the source of the message is in a group, 1 if not given: 1 or -1."""
        return self.allow_address(context, group, context.source.host, context.source.port)

    @kemi("permissions.allow_address")
    def allow_address(self, context: Context, group: int, address: bytes, port: int) -> int:
        """Whether an address and port, or a domain name and port, are in a group: 1 or -1."""
        if group < 1:
            return -1
        return 1 if self._tagged(context, self._addresses.get().find(address, port, group)) else -1

    @kemi("permissions.allow_source_address_group")
    def allow_source_address_group(self, context: Context) -> int:
        """Return the group that the source of the message is in, -1 for none."""
        return self.allow_address_group(context, context.source.host, context.source.port)

    @kemi("permissions.allow_address_group")
    def allow_address_group(self, context: Context, address: bytes, port: int) -> int:
        """Return the group that an address and port are in, -1 for none."""
        found = self._tagged(context, self._addresses.get().find(address, port))
        return -1 if found is None else found.group

    @kemi("permissions.allow_trusted", waits=True)
    def allow_trusted(self, context: Context) -> int | Wait:
        """Whether a rule trusts who sent the request: 1 (peer_tag_mode 1: how many do), or -1."""
        source = context.source
        return self.allow_trusted_peer(context, source.host, source.local.transport)

    @kemi(native="allow_trusted", waits=True)
    def allow_trusted_peer(
        self, context: Context, source: bytes, protocol: bytes, from_uri: bytes = b""
    ) -> int | Wait:
        """Do as allow_trusted for a source, a protocol (or any) and, if given, another From."""
        protocol = protocol.lower()
        if not is_protocol(protocol):
            self.services.log.error("permissions", f"protocol {protocol[:16]!r} is not known")
            return -1
        sender = context.message.from_
        own_from = sender.uri_text if sender is not None else b""
        peer = Peer(source, protocol, from_uri or own_from, context.request.uri_text)
        if self._trusted_query is None:
            return self._trust(context, self._trusted.get().tags(peer))

        def answer(rows: Rows) -> int:
            rules = rules_of_rows(source.decode("utf-8", "replace"), rows or ())
            return self._trust(context, tags(rules, peer))

        return self._trusted_query.ask(self.params.trusted_table.encode(), (source,), answer)

    @kemi(native="allow_routing")
    def allow_routing(self, context: Context) -> bool:
        """Whether the default rule files allow this From to call these URIs."""
        params = self.params
        return self._routing(context, params.default_allow_file, params.default_deny_file)

    @kemi(native="allow_routing")
    def allow_routing_by(self, context: Context, allow: bytes, deny: bytes = b"") -> bool:
        """Do as allow_routing with two rule files, or those of a base name."""
        return self._routing(context, *self._names(allow, deny))

    @kemi(native="allow_register", routes=_FILES)
    def allow_register(self, context: Context, allow: bytes, deny: bytes = b"") -> bool:
        """Whether two rule files, or those of a base name, allow this To its Contacts."""
        return self._register(context, self._names(allow, deny), with_port=False)

    @kemi(native="allow_register_include_port", routes=_FILES)
    def allow_register_include_port(
        self, context: Context, allow: bytes, deny: bytes = b""
    ) -> bool:
        """Do as allow_register by Contacts with their ports."""
        return self._register(context, self._names(allow, deny), with_port=True)

    @kemi(native="allow_uri", routes=_FILES)
    def allow_uri(self, context: Context, base: bytes, uri: bytes) -> bool:
        """Whether the rule files of a base name allow this From a URI."""
        sender = context.message.from_
        if sender is None:
            return False
        return self._rules.allow(*self._names(base, b""), sender.uri_text, (uri,))

    @rpc("permissions.addressReload")
    async def address_reload(self) -> object:
        """Read the address table again; the old one stays when the new one is bad."""
        return await self._reload(self._addresses, self._address_source)

    @rpc("permissions.trustedReload")
    async def trusted_reload(self) -> object:
        """Read the trusted table again; the old one stays when the new one is bad."""
        return await self._reload(self._trusted, self._trusted_source)

    @rpc("permissions.addressDump")
    def dump_addresses(self) -> object:
        """Show the single addresses of all groups."""
        return address_dump(self._addresses.get())

    @rpc("permissions.subnetDump")
    def dump_subnets(self) -> object:
        """Show the subnets of all groups."""
        return subnet_dump(self._addresses.get())

    @rpc("permissions.domainDump")
    def dump_domains(self) -> object:
        """Show the domain names of all groups."""
        return domain_dump(self._addresses.get())

    @rpc("permissions.trustedDump")
    def dump_trusted(self) -> object:
        """Show the rules for trusted peers, when they are cached."""
        if self._trusted_source is None:
            raise RpcFault(500, "No trusted table")
        return trusted_dump(self._trusted.get())

    @rpc("permissions.testUri")
    def test_uri(self, basename: str, uri: str, contact: str) -> object:
        """Say whether the rule files of a base name allow `uri` a `contact`; needs one of them."""
        names = self._names(basename.encode(), b"")
        if not any(map(self._rules.exists, names)):
            return "Denied"
        allowed = self._rules.allow(*names, uri.encode(), (contact.encode(),))
        return "Allowed" if allowed else "Denied"

    @rpc("permissions.allowUri")
    def rpc_allow_uri(self, basename: str, uri: str, contact: str) -> object:
        """Do as permissions.testUri."""
        return self.test_uri(basename, uri, contact)

    def _open_sources(self) -> None:
        params = self.params
        wants = params.load_backends
        if params.address_file and wants & _ADDRESSES:
            self._address_source = AddressFile(os.path.join(self._folder, params.address_file))
        if not params.db_url:
            return
        database = self.services.databases.database(params.db_url)
        if self._address_source is None and wants & _ADDRESSES:
            columns = (params.grp_col, params.ip_addr_col, params.mask_col, params.port_col)
            self._address_source = DatabaseTable(
                database, params.address_table, (*columns, params.tag_col), address_record
            )
        columns = (params.proto_col, params.from_col, params.ruri_col, params.tag_col)
        asked = (*columns, params.priority_col)
        source = params.source_col
        if wants & _TRUSTED and params.db_mode == _CACHED:
            self._trusted_source = DatabaseTable(
                database, params.trusted_table, (source, *asked), trusted_record
            )
        elif wants & _TRUSTED:
            log = self.services.log
            self._trusted_query = TableQuery(database, log, "permissions", asked, (source,))

    def _load(
        self, table: Published[AddressTable] | Published[TrustedTable],
        records: Sequence[R] | None, what: str,
    ) -> None:  # fmt: skip
        if records is None:
            self.services.log.error("permissions", f"the {what} table cannot be read: it is empty")
        elif not self._publish(table, records):
            raise TableError(f"permissions: no shared memory for the {what} table")

    def _publish(
        self, table: Published[AddressTable] | Published[TrustedTable], records: Iterable[R]
    ) -> bool:
        rows = list(map(astuple, records))
        if table is self._addresses:
            self._address_table(rows)
        else:
            _trusted_table(rows)
        return table.set(rows)

    async def _reload(
        self, table: Published[AddressTable] | Published[TrustedTable],
        source: RecordSource[R] | None,
    ) -> str:  # fmt: skip
        now = time.monotonic()
        if now - self._reloaded_at < self.params.reload_delta:
            raise RpcFault(500, "ongoing reload")
        self._reloaded_at = now
        if source is None:
            raise RpcFault(500, _FAILED)
        try:
            records = await source.read()
            published = records is not None and self._publish(table, records)
        except TableError as error:
            self.services.log.error("permissions", str(error))
            published = False
        if not published:
            raise RpcFault(500, _FAILED)
        return "Reload OK"

    def _address_table(self, value: object) -> AddressTable:
        assert isinstance(value, list)
        return AddressTable((AddressRecord(*row) for row in value), self.params.max_subnets)

    def _tagged(self, context: Context, found: Match | None) -> Match | None:
        if found is not None and found.tag:
            self._tag(context, found.tag)
        return found

    def _trust(self, context: Context, found: list[bytes]) -> int:
        if not found:
            return -1
        every = self.params.peer_tag_mode == _ALL_TAGS
        for tag in found if every else found[:1]:
            if tag:
                self._tag(context, tag)
        return len(found) if every else 1

    def _tag(self, context: Context, tag: bytes) -> None:
        if self.params.peer_tag_avp:
            accessor = self.services.variables.accessors[self.params.peer_tag_avp.encode()]
            accessor.set(context, tag)

    def _routing(self, context: Context, allow: str, deny: str) -> bool:
        sender = context.message.from_
        if sender is None:
            return False
        asked = [plain_uri(context.uri)]
        if self.params.check_all_branches:
            asked += [plain_uri(branch.uri) for branch in context.branches]
        return self._rules.allow(allow, deny, sender.uri_text, asked)

    def _register(self, context: Context, files: tuple[str, str], *, with_port: bool) -> bool:
        user, contacts = context.message.to, context.message.contacts
        if user is None or contacts is None:
            return False
        asked = [plain_uri(c.uri_text, with_port) for c in contacts if c.uri_text != b"*"]
        return self._rules.allow(*files, user.uri_text, asked)

    def _names(self, allow: bytes, deny: bytes) -> tuple[str, str]:
        name = os.fsdecode(allow)
        if deny:
            return name, os.fsdecode(deny)
        return name + self.params.allow_suffix, name + self.params.deny_suffix


def _trusted_table(value: object) -> TrustedTable:
    assert isinstance(value, list)
    return TrustedTable(TrustedRecord(*row) for row in value)
