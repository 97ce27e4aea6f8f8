"""Module registrar: REGISTER requests and looking users up (RFC 3261 10.3 and 16.5).

Owns the script functions that answer and route; saving and routing are in registration/.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from kamailiod.modules.registration.address_of_record import address_of_record
from kamailiod.modules.registration.change import FAILED
from kamailiod.modules.registration.contact import BAD_Q, parse_q
from kamailiod.modules.registration.contact_functions import ContactFunctions
from kamailiod.modules.registration.contact_variables import (
    ContactRecords,
    Profile,
    free_profile,
    set_profile,
)
from kamailiod.modules.registration.extensions import Extensions
from kamailiod.modules.registration.gruu import Gruu, parse_gruu
from kamailiod.modules.registration.params import RegistrarParams
from kamailiod.modules.registration.path import PathPolicy
from kamailiod.modules.registration.routing import append, beyond_own_hops, send_to, takes
from kamailiod.modules.registration.saving import Outcome, Overrides, Saving, refused
from kamailiod.modules.registration.script_config import ScriptConfig
from kamailiod.modules.registration.stored_locations import Fetched, StoredLocations, live
from kamailiod.modules.sl import Sl
from kamailiod.modules.usrloc import Usrloc
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Branch, Context, Route
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from kamailiod.sip.uri import Uri
from lua import Wait
from shm import Binding

MEMORY_ONLY = 1
NO_REPLY = 2
PREPARE_HEADERS = 16
"""Flags of save() that concern its answer, and where the contacts go."""

NOT_FOUND, METHOD_NOT_TAKEN, BAD_ADDRESS = -1, -2, -3
"""What lookup() returns to the script when it does not route."""

BY_BRANCH_FLAGS = 1
"""lookup_filter_mode."""

_Q_NOTE = "registrar.q"
_OUTCOME_NOTE = "registrar.outcome"
_EXPIRED = b"exp"
_ROUTES = Route.REQUEST | Route.FAILURE

Routing = Callable[[Context, list[Binding]], int]


class Registrar(ContactFunctions):
    """The registrar: it answers REGISTERs itself, and routes other requests to contacts."""

    name: ClassVar[str] = "registrar"
    Params: ClassVar[type[RegistrarParams]] = RegistrarParams
    params: RegistrarParams
    statistics: ClassVar[tuple[str, ...]] = ("registrar:accepted_regs", "registrar:rejected_regs")

    def __init__(self, params: RegistrarParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        self.usrloc = services.module(Usrloc)
        self.config = ScriptConfig(params.xavp_cfg)
        attributes = self.usrloc.params.xavp_contact
        self.records = ContactRecords(params.xavp_rcd, params.xavp_rcd_mask, attributes)
        self._is_plain = not (params.xavp_cfg or params.xavp_rcd or attributes)
        self._realm_prefix = params.realm_prefix.encode().lower()
        self._case_sensitive = bool(params.case_sensitive)
        self._filters_methods = bool(params.method_filtering)
        self._appends_branches = bool(params.append_branches)
        self._filters_flags = bool(params.lookup_filter_mode & BY_BRANCH_FLAGS)
        self._use_domain = False
        self._sockets: dict[bytes, ListenAddress] = {}
        self._saving: Saving
        self._accepted: Callable[..., None]
        self._rejected: Callable[..., None]

    def mod_init(self) -> None:
        """Check the modparams, and ask usrloc to tell what expires."""
        params = self.params
        if params.outbound_mode not in range(3):
            raise ValueError(f"registrar: outbound_mode {params.outbound_mode} is not known")
        if params.flow_timer < 0 or (params.flow_timer and not params.outbound_mode):
            raise ValueError("registrar: flow_timer needs an outbound_mode of 1 or 2")
        self.usrloc.on_expired(self._contact_expired)

    def child_init(self, rank: int) -> None:
        """Prepare saving with what this process has."""
        usrloc = self.usrloc
        params = self.params
        self._use_domain = usrloc.use_domain
        self._locations = usrloc.locations
        has_socket = params.sock_mode or (params.sock_flag >= 0 and params.sock_hdr_name)
        self._saving = Saving(
            params.saving_rules(
                usrloc.params.cseq_delay, getattr(self.services.settings, "server_id", 0)
            ),
            usrloc.locations,
            PathPolicy(bool(params.use_path), params.path_mode, bool(params.path_use_received)),
            self._received_of(params.received_avp.encode()),
            Extensions(params.extension_rules()),
            self._socket_of if has_socket else None,
        )
        self._sockets = {socket.text: socket for socket in self.services.network.sockets}
        self._accepted = self.services.statistics.counter("registrar:accepted_regs")
        self._rejected = self.services.statistics.counter("registrar:rejected_regs")

    def aor(self, uri: bytes) -> bytes | None:
        """Return the address-of-record of a URI, None for a URI of no user."""
        return address_of_record(uri, self._use_domain, self._case_sensitive, self._realm_prefix)

    def now(self) -> float:
        """Return the time from which on contacts are not expired (use_expired_contacts)."""
        return 0.0 if self.params.use_expired_contacts else time.time()

    @kemi("registrar.save", routes=_ROUTES | Route.ONREPLY | Route.REPLY, waits=True)
    def save(
        self, context: Context, table: bytes, flags: int = 0, uri: bytes = b""
    ) -> int | Wait:
        """Save a REGISTER's contacts and answer it; 1 new, 2 updated, 3 removed, 4 only asked.

        -1 when it was refused, -2 for too many contacts; the answer was sent in any case, unless
        flags has 2.  Flag 1 keeps the contacts from the database, 4 removes the other contacts, 8
        keeps expiries exact, 16 leaves the headers of the answer for a reply of the script's own.
        `uri` stands for that of To.
        """
        if not uri:
            to = context.request.to
            uri = to.uri_text if to is not None else b""
        return self._save(context, table, flags, uri)

    @kemi(
        "registrar.save_uri", native=(), routes=_ROUTES | Route.ONREPLY | Route.REPLY, waits=True
    )
    def save_uri(self, context: Context, table: bytes, flags: int, uri: bytes) -> int | Wait:
        """Save a REGISTER's contacts for the user of a URI instead of that of To."""
        return self._save(context, table, flags, uri or context.uri)

    @kemi("registrar.lookup", routes=_ROUTES, waits=True)
    def lookup(self, context: Context, table: bytes, uri: bytes = b"") -> int | Wait:
        """Route a request to the contacts of its URI's user: the best is its URI, others branches.

        Returns 1; -1 when there is none, -2 when none takes the method, -3 for a URI of no user.
        """
        return self._lookup(context, table, uri or context.uri, self._route)

    @kemi("registrar.lookup_uri", native=(), routes=_ROUTES, waits=True)
    def lookup_uri(self, context: Context, table: bytes, uri: bytes) -> int | Wait:
        """Route a request to the contacts of a URI's user; returns what lookup returns."""
        return self._lookup(context, table, uri or context.uri, self._route)

    @kemi("registrar.lookup_to_dset", routes=_ROUTES, waits=True)
    def lookup_to_dset(self, context: Context, table: bytes, uri: bytes = b"") -> int | Wait:
        """Make all contacts of a URI's user branches, and leave the request's own URI."""
        return self._lookup(context, table, uri or context.uri, self._append)

    @kemi("registrar.lookup_branches", routes=_ROUTES, waits=True)
    def lookup_branches(self, context: Context, table: bytes) -> int | Wait:
        """Look the request's URI and all its branches up; -1 when none of them has a contact."""
        branches = context.branches
        context.branches = []
        first = self._lookup(context, table, context.uri, self._route)
        others = [self._lookup_branch(context, table, branch) for branch in branches]
        if not isinstance(first, Wait) and not any(isinstance(other, Wait) for other in others):
            return max((first, *others))  # type: ignore[type-var]  # no Wait is among them

        async def later() -> int:
            results = [await _result(found) for found in (first, *others)]
            return max(results)

        return Wait(later)

    @kemi("registrar.set_q_override", native=())
    def set_q_override(self, context: Context, q: bytes) -> int:
        """Have the next save() give all contacts this q; -1 when it is none."""
        value = parse_q(q)
        if value == BAD_Q:
            return -1
        context.shared.notes[_Q_NOTE] = value
        return 1

    @kemi("registrar.add_sock_hdr", routes=Route.REQUEST)
    def add_sock_hdr(self, context: Context, name: bytes) -> int:
        """Add a header of this name that tells the socket the request came in on."""
        context.edits.end.append(b"%b: %b" % (name, context.source.local.text))
        return 1

    @kemi("registrar.reg_send_reply", routes=_ROUTES)
    def reg_send_reply(self, context: Context) -> int:
        """Send the answer that save() with flag 2 held back; -1 when there is none."""
        outcome = context.shared.notes.pop(_OUTCOME_NOTE, None)
        if not isinstance(outcome, Outcome):
            return -1
        return self._sl.send_reply(context, outcome.code, outcome.reason, outcome.headers)

    def _save(self, context: Context, table: bytes, flags: int, uri: bytes) -> int | Wait:
        aor = self.aor(uri)
        if aor is None:
            outcome = refused(400, b"Bad Request", b"Error while parsing AOR")
            return self._answer(context, flags, outcome)
        plain = self._is_plain and _Q_NOTE not in context.shared.notes
        overrides = None if plain else self._overrides(context)
        if self.usrloc.stored is not None:
            stored = self.usrloc.stored
            return Wait(
                lambda: self._save_stored(stored, context, table, aor, flags, overrides)
            )
        locations = self._locations
        memory = locations.memory(table) if flags & MEMORY_ONLY else locations.table(table)
        outcome = self._saving.save(context, memory, aor, flags, overrides)
        if not plain and outcome.ruids:
            self._put_saved(context, memory.bindings(aor, time.time()), outcome)
        return self._answer(context, flags, outcome)

    async def _save_stored(
        self,
        stored: StoredLocations,
        context: Context,
        table: bytes,
        aor: bytes,
        flags: int,
        overrides: Overrides | None,
    ) -> int:
        def work(fetched: Fetched) -> tuple[Outcome, list[Binding]]:
            return self._saving.save(context, fetched, aor, flags, overrides), fetched.after

        done = await stored.update(table, aor, work)
        if done is not None:
            outcome, bindings = done
            self._put_saved(context, bindings, outcome)
            return self._answer(context, flags, outcome)
        text = b"The database failed"
        return self._answer(context, flags, refused(500, b"Server Internal Error", text))

    def _put_saved(self, context: Context, bindings: list[Binding], outcome: Outcome) -> None:
        saved = [binding for binding in bindings if binding.ruid in outcome.ruids]
        self.records.put(context, saved)

    def _overrides(self, context: Context) -> Overrides:
        q = context.shared.notes.pop(_Q_NOTE, None)
        overrides = self.config.overrides(context) or Overrides()
        overrides.attributes = self.records.attributes(context)
        if isinstance(q, int):
            overrides.q = q
        return overrides

    def _answer(self, context: Context, flags: int, outcome: Outcome) -> int:
        if outcome.result == FAILED or outcome.code != 200:
            self._rejected()
        else:
            self._accepted()
        if flags & NO_REPLY:
            context.shared.notes[_OUTCOME_NOTE] = outcome
            if flags & PREPARE_HEADERS:
                context.shared.reply_lines.extend(outcome.headers)
        elif self._sl.send_reply(context, outcome.code, outcome.reason, outcome.headers) < 0:
            return FAILED
        return outcome.result

    def _lookup(
        self, context: Context, table: bytes, uri: bytes, route: Routing
    ) -> int | Wait:
        if b";gr" in uri and self.params.gruu_enabled:
            gruu = parse_gruu(uri)
            if gruu is not None:
                return self._lookup_gruu(context, table, uri, gruu, route)
        aor = self.aor(uri)
        if aor is None:
            return BAD_ADDRESS

        def found(contacts: list[Binding]) -> int:
            return self._routed(context, contacts, route)

        return self.usrloc.read(table, aor, found, BAD_ADDRESS, self.now())

    def _lookup_gruu(
        self, context: Context, table: bytes, uri: bytes, gruu: Gruu, route: Routing
    ) -> int | Wait:
        now = self.now()
        if not gruu.instance:
            stored = self.usrloc.stored
            if stored is not None:
                return Wait(lambda: self._lookup_stored(stored, context, table, gruu, route))
            candidates = self._locations.memory(table).of_hash(gruu.number)
            found = [b for _, bindings in candidates for b in bindings if b.ruid == gruu.ruid]
            return self._routed(context, live(found, now), route)
        aor = self.aor(uri)
        if aor is None:
            return BAD_ADDRESS

        def of_instance(contacts: list[Binding]) -> int:
            wanted = [b for b in contacts if b.instance.strip(b"<>") == gruu.instance]
            return self._routed(context, wanted, route)

        return self.usrloc.read(table, aor, of_instance, BAD_ADDRESS, now)

    async def _lookup_stored(
        self,
        stored: StoredLocations,
        context: Context,
        table: bytes,
        gruu: Gruu,
        route: Routing,
    ) -> int:
        found = await stored.of_ruid(table, gruu.ruid)
        contacts = live([found[1]], self.now()) if found is not None else []
        return self._routed(context, contacts, route)

    def _lookup_branch(self, context: Context, table: bytes, branch: Branch) -> int | Wait:
        def found(contacts: list[Binding]) -> int:
            if self._routed(context, contacts, self._append) > 0:
                return 1
            context.branches.append(branch)
            return NOT_FOUND

        aor = self.aor(branch.uri)
        if aor is None or branch.destination or branch.path:
            context.branches.append(branch)
            return NOT_FOUND
        return self.usrloc.read(table, aor, found, NOT_FOUND, self.now())

    def _routed(self, context: Context, contacts: list[Binding], route: Routing) -> int:
        if not contacts:
            return NOT_FOUND
        if self._filters_methods and not context.message.to_tag:
            method = context.message.method
            contacts = [contact for contact in contacts if takes(contact, method)]
            if not contacts:
                return METHOD_NOT_TAKEN
        if self._filters_flags:
            flags = self.config.branch_flags(context)
            if flags is not None:
                contacts = [contact for contact in contacts if contact.cflags & flags]
                if not contacts:
                    return NOT_FOUND
        if self.params.path_check_local:
            contacts = [beyond_own_hops(contact, self._is_own) for contact in contacts]
        if not self._is_plain:
            self.records.restore(context, contacts[0])
            self.records.put(context, contacts)
        return route(context, contacts)

    def _route(self, context: Context, contacts: list[Binding]) -> int:
        send_to(context, contacts[0], self._sockets)
        if len(contacts) > 1 and self._appends_branches:
            append(context, contacts[1:], self._sockets)
        return 1

    def _append(self, context: Context, contacts: list[Binding]) -> int:
        append(context, contacts, self._sockets)
        return 1

    def _is_own(self, uri: Uri) -> bool:
        return self.services.network.is_myself(uri.host, uri.effective_port)

    def _contact_expired(self, table: bytes, aor: bytes, contact: Binding) -> None:
        context = self.services.faked_context()
        set_profile(context, _EXPIRED, Profile(table, aor, (contact,)))
        script = self.services.script
        script.run_event("usrloc", "contact-expired", context)
        if self.params.event_callback:
            name = self.params.event_callback.encode()
            script.call(context, name, b"usrloc:contact-expired")
        free_profile(context, _EXPIRED)

    def _socket_of(self, context: Context) -> bytes:
        """Return the socket to keep with a contact: of a header, or as it is advertised."""
        params = self.params
        if params.sock_flag >= 0 and context.shared.flags >> params.sock_flag & 1:
            found = context.message.header(params.sock_hdr_name.lower().encode())
            if found:
                return found
        local = context.source.local
        if params.sock_mode:
            return b"%b:%b" % (local.transport, local.sent_by)
        return local.text

    def _received_of(self, variable: bytes) -> Callable[[Context], bytes]:
        accessor = self.services.variables.compile(variable) if variable else None
        if accessor is None:
            return _nothing
        get = accessor.get

        def received(context: Context) -> bytes:
            value = get(context)
            return value if isinstance(value, bytes) else b""

        return received


async def _result(found: int | Wait) -> int:
    return int(await found.awaitable_factory()) if isinstance(found, Wait) else found  # type: ignore[call-overload]  # lookups make ints


def _nothing(context: Context) -> bytes:
    return b""
