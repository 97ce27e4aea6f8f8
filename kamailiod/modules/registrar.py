"""Module registrar: REGISTER requests and looking users up (RFC 3261 10.3 and 16.5).

Owns the script functions and the answers sent; saving and routing are in registration/.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from kamailiod.modules.registration.address_of_record import address_of_record
from kamailiod.modules.registration.change import FAILED
from kamailiod.modules.registration.contact import BAD_Q, parse_q
from kamailiod.modules.registration.params import WITHOUT_EFFECT, RegistrarParams
from kamailiod.modules.registration.path import PathPolicy
from kamailiod.modules.registration.routing import append, send_to, takes
from kamailiod.modules.registration.saving import Outcome, Saving, refused
from kamailiod.modules.sl import Sl
from kamailiod.modules.usrloc import Usrloc
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, kemi
from kamailiod.script.services import Services
from kamailiod.sip.uri import parse_uri
from shm import Binding

NO_REPLY = 2
PREPARE_HEADERS = 16
"""Flags of save() that concern its answer."""

ANY_PORT = 1
ANY_PROTOCOL = 2
"""What reg_from_user does not compare."""

NOT_FOUND, METHOD_NOT_TAKEN, BAD_ADDRESS = -1, -2, -3
"""What lookup() returns to the script when it does not route."""

_Q_NOTE = "registrar.q"
_OUTCOME_NOTE = "registrar.outcome"
_ROUTES = Route.REQUEST | Route.FAILURE


class Registrar(Module):
    """The registrar: it answers REGISTERs itself, and routes other requests to contacts."""

    name: ClassVar[str] = "registrar"
    Params: ClassVar[type[RegistrarParams]] = RegistrarParams
    params: RegistrarParams
    statistics: ClassVar[tuple[str, ...]] = ("registrar:accepted_regs", "registrar:rejected_regs")
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT

    def __init__(self, params: RegistrarParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        self._usrloc = services.module(Usrloc)
        self._realm_prefix = params.realm_prefix.encode().lower()
        self._case_sensitive = bool(params.case_sensitive)
        self._filters_methods = bool(params.method_filtering)
        self._appends_branches = bool(params.append_branches)
        self._use_domain = False
        self._sockets: dict[bytes, ListenAddress] = {}
        self._saving: Saving
        self._accepted: Callable[..., None]
        self._rejected: Callable[..., None]

    def child_init(self, rank: int) -> None:
        """Prepare saving with what this process has."""
        usrloc = self._usrloc
        params = self.params
        self._use_domain = bool(usrloc.params.use_domain)
        self._locations = usrloc.locations
        self._saving = Saving(
            params.saving_rules(usrloc.params.cseq_delay),
            usrloc.locations,
            PathPolicy(bool(params.use_path), params.path_mode, bool(params.path_use_received)),
            self._received_of(params.received_avp.encode()),
        )
        self._sockets = {socket.text: socket for socket in self.services.network.sockets}
        self._accepted = self.services.statistics.counter("registrar:accepted_regs")
        self._rejected = self.services.statistics.counter("registrar:rejected_regs")

    @kemi("registrar.save", routes=_ROUTES | Route.ONREPLY | Route.REPLY)
    def save(self, context: Context, table: bytes, flags: int = 0) -> int:
        """Save a REGISTER's contacts and answer it; 1 new, 2 updated, 3 removed, 4 only asked.

        -1 when it was refused, -2 for too many contacts; the answer was sent in any case, unless
        flags has 2.  Flag 4 removes the other contacts, 8 keeps expiries exact, 16 leaves the
        headers of the answer for a reply of the script's own.
        """
        to = context.request.to
        return self._save(context, table, flags, to.uri_text if to is not None else b"")

    @kemi("registrar.save_uri", native=(), routes=_ROUTES | Route.ONREPLY | Route.REPLY)
    def save_uri(self, context: Context, table: bytes, flags: int, uri: bytes) -> int:
        """Save a REGISTER's contacts for the user of a URI instead of that of To."""
        return self._save(context, table, flags, uri or context.uri)

    @kemi("registrar.lookup", routes=_ROUTES)
    def lookup(self, context: Context, table: bytes) -> int:
        """Route a request to the contacts of its URI's user: the best is its URI, others branches.

        Returns 1; -1 when there is none, -2 when none takes the method, -3 for a URI of no user.
        """
        return self._lookup(context, table, context.uri)

    @kemi("registrar.lookup_uri", native=(), routes=_ROUTES)
    def lookup_uri(self, context: Context, table: bytes, uri: bytes) -> int:
        """Route a request to the contacts of a URI's user; returns what lookup returns."""
        return self._lookup(context, table, uri or context.uri)

    @kemi("registrar.lookup_to_dset", routes=_ROUTES)
    def lookup_to_dset(self, context: Context, table: bytes, uri: bytes = b"") -> int:
        """Make all contacts of a URI's user branches, and leave the request's own URI."""
        found = self._usable(context, table, uri or context.uri)
        if isinstance(found, int):
            return found
        append(context, found, self._sockets)
        return 1

    @kemi("registrar.lookup_branches", routes=_ROUTES)
    def lookup_branches(self, context: Context, table: bytes) -> int:
        """Look the request's URI and all its branches up; -1 when none of them has a contact."""
        branches = context.branches
        context.branches = []
        result = self._lookup(context, table, context.uri)
        for branch in branches:
            found = self._usable(context, table, branch.uri)
            if isinstance(found, int):
                context.branches.append(branch)
            else:
                result = 1
                append(context, found, self._sockets)
        return result

    @kemi("registrar.registered")
    def registered(self, context: Context, table: bytes, uri: bytes = b"") -> int:
        """Whether the user of the request's URI, or of another one, has a contact: 1 or -1."""
        return 1 if self._bindings(table, uri or context.uri) else NOT_FOUND

    @kemi("registrar.registered_uri", native=())
    def registered_uri(self, context: Context, table: bytes, uri: bytes) -> int:
        """Whether the user of a URI has a contact: 1 or -1."""
        return 1 if self._bindings(table, uri or context.uri) else NOT_FOUND

    @kemi("registrar.unregister")
    def unregister(self, context: Context, table: bytes, uri: bytes, ruid: bytes = b"") -> int:
        """Remove all contacts of a URI's user, or the one of a ruid; -1 when there was none."""
        if ruid:
            return self.unregister_ruid(context, table, uri, ruid)
        aor = self._aor(uri or context.uri)
        return 1 if aor is not None and self._locations.table(table).remove(aor) else NOT_FOUND

    @kemi("registrar.unregister_ruid", native=())
    def unregister_ruid(self, context: Context, table: bytes, uri: bytes, ruid: bytes) -> int:
        """Remove the contact with a ruid of a URI's user; -1 when there is none."""
        aor = self._aor(uri or context.uri)
        if aor is None:
            return BAD_ADDRESS
        removed: list[Binding] = []

        def drop(bindings: list[Binding]) -> list[Binding]:
            removed.extend(binding for binding in bindings if binding.ruid == ruid)
            return [binding for binding in bindings if binding.ruid != ruid]

        self._locations.table(table).update(aor, drop)
        return 1 if removed else NOT_FOUND

    @kemi("registrar.reg_from_user")
    def reg_from_user(self, context: Context, table: bytes, uri: bytes, mode: int) -> int:
        """Whether a request comes from where a contact of a URI's user is: 1 or -1.

        Host, port and protocol must fit; mode bit 1 leaves the port out, bit 2 the protocol.
        """
        source = context.source
        for binding in self._bindings(table, uri or context.uri):
            parsed = parse_uri(binding.received or binding.contact)
            if (
                parsed is not None
                and parsed.bare_host == source.host
                and (mode & ANY_PORT or parsed.effective_port == source.port)
                and (mode & ANY_PROTOCOL or binding.socket.startswith(source.local.transport))
            ):
                return 1
        return NOT_FOUND

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

    def _save(self, context: Context, table: bytes, flags: int, uri: bytes) -> int:
        notes = context.shared.notes
        aor = self._aor(uri)
        if aor is None:
            outcome = refused(400, b"Bad Request", b"Error while parsing AOR")
        else:
            q = notes.pop(_Q_NOTE, None) if notes else None
            outcome = self._saving.save(
                context,
                self._locations.table(table),
                aor,
                flags,
                q if isinstance(q, int) else None,
            )
        if outcome.result == FAILED or outcome.code != 200:
            self._rejected()
        else:
            self._accepted()
        if flags & NO_REPLY:
            notes[_OUTCOME_NOTE] = outcome
            if flags & PREPARE_HEADERS:
                context.shared.reply_lines.extend(outcome.headers)
        elif self._sl.send_reply(context, outcome.code, outcome.reason, outcome.headers) < 0:
            return FAILED
        return outcome.result

    def _lookup(self, context: Context, table: bytes, uri: bytes) -> int:
        found = self._usable(context, table, uri)
        if isinstance(found, int):
            return found
        send_to(context, found[0], self._sockets)
        if len(found) > 1 and self._appends_branches:
            append(context, found[1:], self._sockets)
        return 1

    def _usable(self, context: Context, table: bytes, uri: bytes) -> list[Binding] | int:
        aor = self._aor(uri)
        if aor is None:
            return BAD_ADDRESS
        found = self._locations.table(table).bindings(aor, time.time())
        if not found:
            return NOT_FOUND
        if self._filters_methods:
            method = context.message.method
            found = [binding for binding in found if takes(binding, method)]
        return found or METHOD_NOT_TAKEN

    def _bindings(self, table: bytes, uri: bytes) -> list[Binding]:
        aor = self._aor(uri)
        return [] if aor is None else self._locations.table(table).bindings(aor, time.time())

    def _aor(self, uri: bytes) -> bytes | None:
        return address_of_record(uri, self._use_domain, self._case_sensitive, self._realm_prefix)

    def _received_of(self, variable: bytes) -> Callable[[Context], bytes]:
        accessor = self.services.variables.compile(variable) if variable else None
        if accessor is None:
            return _nothing
        get = accessor.get

        def received(context: Context) -> bytes:
            value = get(context)
            return value if isinstance(value, bytes) else b""

        return received


def _nothing(context: Context) -> bytes:
    return b""
