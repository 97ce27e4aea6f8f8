"""Saving a REGISTER: from its Contacts to new bindings, and what is to be answered.

Owns RFC 3261 10.3 steps 6 to 8 with Kamailio's limits and texts; it sends nothing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kamailiod.modules.registration.change import (
    AT_ONCE,
    FAILED,
    QUERIED,
    TOO_MANY,
    Change,
    Wanted,
)
from kamailiod.modules.registration.contact import (
    ALL_METHODS,
    BAD_Q,
    NO_EXPIRES,
    contact_header,
    methods_mask,
    parse_expires,
    parse_parameters,
    plain_contact,
)
from kamailiod.modules.registration.extensions import (
    NO_EDGE,
    Extensions,
    Negotiated,
    lacks_edge_support,
)
from kamailiod.modules.registration.gruu import GruuMaker
from kamailiod.modules.registration.locations import Locations
from kamailiod.modules.registration.path import Path, PathPolicy, Refusal
from kamailiod.script.context import Context
from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import NameAddr
from shm import Binding

REPLACE_ALL = 4
EXACT_EXPIRES = 8
"""Flags of save()."""

_TOO_BRIEF = -1

BAD_REQUEST = (400, b"Bad Request")


@dataclass(frozen=True, slots=True)
class SavingRules:
    """The registrar's modparams that say what may be saved and how; times in seconds."""

    default_expires: int
    default_expires_range: int
    expires_range: int
    min_expires: int
    min_expires_mode: int
    max_expires: int
    default_q: int
    max_contacts: int
    retry_after: int
    contact_max_size: int
    cseq_delay: int
    server_id: int
    received_name: bytes


@dataclass(slots=True)
class Outcome:
    """What came of a REGISTER: the script's return value and the answer to send.

    `ruids` name the contacts that it saved.
    """

    result: int
    code: int
    reason: bytes
    headers: list[bytes]
    ruids: Sequence[bytes] = ()


class Overrides:
    """What the script says in the place of the request and the modparams; None: nothing.

    `q` in thousandths, `expires` in seconds; `attributes` is kept with the contacts.
    """

    __slots__ = ("attributes", "expires", "max_contacts", "q", "socket")

    def __init__(self) -> None:
        self.q: int | None = None
        self.expires: int | None = None
        self.max_contacts: int | None = None
        self.socket = b""
        self.attributes = b""


class Table(Protocol):
    """Where a user's contacts are, as LocationStore has it."""

    def bindings(self, aor: bytes, now: float) -> list[Binding]:
        """Give the bindings that are not expired."""

    def update(self, aor: bytes, function: Callable[[list[Binding]], list[Binding]]) -> bool:
        """Replace the bindings by what `function` makes of them; False without room."""

    def hash_of(self, aor: bytes) -> int:
        """Return the number by which the user is found by a GRUU."""


class Saving:
    """Turns REGISTERs into bindings; one object serves a process.

    `received_of` gives what the script says a request was received from, b"" for nothing, and
    `socket_of` on which of this server's sockets.
    """

    __slots__ = (
        "_extensions", "_locations", "_path", "_received_name", "_received_of", "_rules",
        "_socket_of",
    )  # fmt: skip

    def __init__(
        self,
        rules: SavingRules,
        locations: Locations,
        path: PathPolicy,
        received_of: Callable[[Context], bytes],
        extensions: Extensions,
        socket_of: Callable[[Context], bytes] | None = None,
    ) -> None:
        self._rules = rules
        self._locations = locations
        self._path = path
        self._received_of = received_of
        self._received_name = rules.received_name
        self._extensions = extensions
        self._socket_of = socket_of

    def save(
        self,
        context: Context,
        table: Table,
        aor: bytes,
        flags: int,
        overrides: Overrides | None = None,
    ) -> Outcome:
        """Do what a REGISTER asks for with the bindings of an address-of-record."""
        message = context.request
        extensions = self._extensions.negotiate(message)
        refusal = extensions.refusal
        if refusal is not None:
            return refused(refusal.code, refusal.reason, refusal.text, refusal.headers)
        lines = extensions.lines
        gruu: GruuMaker | None = None
        if extensions.gruu and message.to is not None and message.to.uri is not None:
            gruu = GruuMaker(message.to.uri, table.hash_of(aor))
        plain = plain_contact(message)
        contacts = message.contacts if plain is None else (plain,)
        if contacts is None:
            return refused(*BAD_REQUEST, b"Contact parse error")
        now = time.time()
        if not contacts:
            return self._accepted(QUERIED, table.bindings(aor, now), now, lines, gruu)
        longest = self._rules.contact_max_size
        for contact in contacts:
            uri = contact.uri_text
            if uri == b"*":
                return self._remove_all(message, contacts, table, aor, now, lines)
            if len(uri) > longest:
                return refused(*BAD_REQUEST, b"Contact/received too long")
            if plain is None and contact.uri is None:
                return refused(*BAD_REQUEST, b"Contact parse error")
        path = self._path.read(message)
        if isinstance(path, Refusal):
            outcome = refused(path.code, path.reason, path.text, path.headers)
            return self._with_contacts(outcome, table.bindings(aor, now), now)
        if extensions.outbound and _has_flow(contacts) and lacks_edge_support(message, path):
            return refused(NO_EDGE.code, NO_EDGE.reason, NO_EDGE.text)
        wanted = self._wanted(
            context, message, contacts, path, flags, overrides, now, extensions
        )
        if isinstance(wanted, Outcome):
            return self._with_contacts(wanted, table.bindings(aor, now), now)
        change = self._change(context, wanted, now, bool(flags & REPLACE_ALL), overrides)
        if not table.update(aor, change.apply):
            return refused(500, b"Server Internal Error", b"No memory for the contact")
        if change.refusal is not None:
            return self._refusal(change, now)
        if path.answer:
            lines += path.answer
        outcome = self._accepted(change.result, change.bindings, now, lines, gruu)
        outcome.ruids = change.saved
        return outcome

    def _wanted(
        self,
        context: Context,
        message: SipMessage,
        contacts: Sequence[NameAddr],
        path: Path,
        flags: int,
        overrides: Overrides | None,
        now: float,
        extensions: Negotiated,
    ) -> list[Wanted] | Outcome:
        received = path.received or self._received_of(context)
        agent = message.header(b"user-agent") or b""
        socket = context.source.local.text
        if self._socket_of is not None:
            socket = self._socket_of(context) or socket
        q: int | None = None
        lifetime: int | None = None
        if overrides is not None:
            q = overrides.q
            lifetime = overrides.expires
            socket = overrides.socket or socket
        call_id = message.call_id
        cseq = message.cseq[0]
        second = int(now)
        wanted: list[Wanted] = []
        for contact in contacts:
            parameters = parse_parameters(contact.parameters)
            given_q = parameters.q if q is None else q
            if given_q == BAD_Q:
                return refused(*BAD_REQUEST, b"Invalid q param in contact")
            seconds = parameters.expires if lifetime is None else lifetime
            if seconds == NO_EXPIRES:
                seconds = parse_expires(message.header(b"expires") or b"")
            if seconds:
                seconds = self._lifetime(seconds, flags)
                if seconds == _TOO_BRIEF:
                    least = b"Min-Expires: %d" % self._rules.min_expires
                    return refused(423, b"Interval Too Brief", b"Interval too brief", (least,))
            wanted.append((
                contact.uri_text, received or parameters.received, path.vector,
                second + seconds if seconds else AT_ONCE,
                given_q if given_q >= 0 else self._rules.default_q,
                call_id, cseq, 0, context.branch_flags, agent, socket,
                parameters.methods or _allowed(message),
                parameters.instance if extensions.keeps_instance else b"",
                parameters.reg_id if extensions.keeps_flow and parameters.instance else 0,
            ))  # fmt: skip
        return wanted

    def _lifetime(self, seconds: int, flags: int) -> int:
        """Return how long a contact is to live that asked for so long, or _TOO_BRIEF."""
        rules = self._rules
        exact = flags & EXACT_EXPIRES
        if seconds < 0:
            seconds = rules.default_expires
            if rules.default_expires_range and not exact:
                share = seconds * min(rules.default_expires_range, 100) // 100
                seconds += random.randint(-share, share)
        elif rules.expires_range and not exact:
            seconds -= random.randint(0, seconds * min(rules.expires_range, 100) // 100)
        if seconds < rules.min_expires:
            if rules.min_expires_mode:
                return _TOO_BRIEF
            seconds = rules.min_expires
        if rules.max_expires and seconds > rules.max_expires:
            return rules.max_expires
        return seconds if seconds > 1 else 1

    def _remove_all(
        self,
        message: SipMessage,
        contacts: Sequence[NameAddr],
        table: Table,
        aor: bytes,
        now: float,
        lines: tuple[bytes, ...],
    ) -> Outcome:
        if len(contacts) > 1:
            return refused(*BAD_REQUEST, b"* used in contact and more than 1 contact")
        if parse_expires(message.header(b"expires") or b"") != 0:
            return refused(*BAD_REQUEST, b"* used in contact and expires is not zero")
        all_of_them: Wanted = (
            b"*", b"", b"", AT_ONCE, 0, message.call_id, message.cseq[0], 0, 0, b"", b"", 0, b"", 0,
        )  # fmt: skip
        change = self._change(None, [all_of_them], now, False, None)
        table.update(aor, change.remove_all)
        if change.refusal is not None:
            return self._refusal(change, now)
        return self._accepted(change.result, [], now, lines, None)

    def _change(
        self,
        context: Context | None,
        wanted: list[Wanted],
        now: float,
        replace: bool,
        overrides: Overrides | None,
    ) -> Change:
        rules = self._rules
        connection = context.source.connection_id if context is not None else 0
        most = rules.max_contacts
        attributes = b""
        if overrides is not None:
            attributes = overrides.attributes
            if overrides.max_contacts is not None:
                most = overrides.max_contacts
        return Change(
            self._locations, wanted, now, replace, most, rules.cseq_delay, connection, attributes,
            rules.server_id,
        )  # fmt: skip

    def _accepted(
        self,
        result: int,
        bindings: list[Binding],
        now: float,
        lines: tuple[bytes, ...],
        gruu: GruuMaker | None,
    ) -> Outcome:
        if not bindings:
            return Outcome(result, 200, b"OK", [*lines])
        line = contact_header(bindings, now, self._received_name, gruu)
        return Outcome(result, 200, b"OK", [line, *lines])

    def _refusal(self, change: Change, now: float) -> Outcome:
        text = change.refusal or b""
        if change.result == TOO_MANY:
            outcome = refused(503, b"Service Unavailable", text)
            outcome.result = TOO_MANY
            if self._rules.retry_after:
                outcome.headers.append(b"Retry-After: %d" % self._rules.retry_after)
        else:
            outcome = refused(*BAD_REQUEST, text)
        return self._with_contacts(outcome, change.bindings, now)

    def _with_contacts(self, outcome: Outcome, bindings: list[Binding], now: float) -> Outcome:
        if bindings:
            line = contact_header(bindings, now, self._received_name)
            outcome.headers.insert(0, line)
        return outcome


def refused(code: int, reason: bytes, text: bytes, headers: Sequence[bytes] = ()) -> Outcome:
    """Return the outcome of a REGISTER that is not obeyed; `text` says why in P-Registrar-Error."""
    return Outcome(FAILED, code, reason, [*headers, b"P-Registrar-Error: " + text])


def _has_flow(contacts: Sequence[NameAddr]) -> bool:
    return any(parse_parameters(contact.parameters).reg_id for contact in contacts)


def _allowed(message: SipMessage) -> int:
    allow = message.header(b"allow")
    return methods_mask(allow) if allow else ALL_METHODS
