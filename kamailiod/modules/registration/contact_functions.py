"""Script functions about the contacts of a user that are no routing: registered, unregister, fetch.

Owns their return values; where contacts are is usrloc's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from kamailiod.modules.registration.contact_variables import (
    ContactRecords,
    ContactVariables,
    Profile,
    free_profile,
    set_profile,
)
from kamailiod.modules.registration.script_config import ScriptConfig
from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.module import kemi
from kamailiod.sip.uri import parse_uri
from lua import Wait
from shm import Binding

T = TypeVar("T")

OK, NOT_FOUND, NOT_THERE = 1, -1, -3
"""What the functions return; NOT_THERE is for a contact to be removed that does not exist."""

FAILED = -2
BAD_ADDRESS = -1

RESTORE_ATTRIBUTES, NO_RECORD = 1, 2
"""What registered() does with the contact it finds."""

ANY_PORT, ANY_PROTOCOL = 1, 2
"""What reg_from_user does not compare."""

_ROUTES = Route.REQUEST | Route.FAILURE


class ContactFunctions(ContactVariables):
    """The functions; what is below is the module's."""

    usrloc: Usrloc
    config: ScriptConfig
    records: ContactRecords

    def aor(self, uri: bytes) -> bytes | None:
        """Return the address-of-record of a URI."""
        raise NotImplementedError

    def now(self) -> float:
        """Return the time from which on contacts are not expired."""
        raise NotImplementedError

    @kemi("registrar.registered", waits=True)
    def registered(
        self,
        context: Context,
        table: bytes,
        uri: bytes = b"",
        match_flags: int = 0,
        action_flags: int = 0,
    ) -> int | Wait:
        """Whether the user of the request's URI (a reply's To), or of another, has a contact.

        1 or -1.  Match flags 1, 2 and 4 ask for the Call-ID, received and contact that the xavp of
        xavp_cfg names; action flag 1 restores the contact's attributes, 2 leaves xavp_rcd alone.
        """
        aor = self.aor(uri or _addressed(context))
        if aor is None:
            return NOT_FOUND

        def found(contacts: list[Binding]) -> int:
            for contact in contacts:
                if self.config.matches(context, contact, match_flags):
                    self._act(context, contact, action_flags)
                    return OK
            return NOT_FOUND

        return self.usrloc.read(table, aor, found, NOT_FOUND, self.now())

    def _act(self, context: Context, contact: Binding, flags: int) -> None:
        if flags & RESTORE_ATTRIBUTES:
            self.records.restore(context, contact)
        if not flags & NO_RECORD:
            self.records.put(context, (contact,))

    @kemi("registrar.registered_uri", native=(), waits=True)
    def registered_uri(self, context: Context, table: bytes, uri: bytes) -> int | Wait:
        """Whether the user of a URI has a contact: 1 or -1."""
        return self.registered(context, table, uri)

    @kemi("registrar.registered_flags", native=(), waits=True)
    def registered_flags(
        self, context: Context, table: bytes, uri: bytes, match_flags: int
    ) -> int | Wait:
        """Whether the user of a URI has a contact that fits what xavp_cfg names: 1 or -1."""
        return self.registered(context, table, uri, match_flags)

    @kemi("registrar.registered_action", native=(), waits=True)
    def registered_action(
        self, context: Context, table: bytes, uri: bytes, match_flags: int, action_flags: int
    ) -> int | Wait:
        """Do as registered_flags, and with the contact what the action flags say."""
        return self.registered(context, table, uri, match_flags, action_flags)

    @kemi("registrar.unregister", waits=True)
    def unregister(
        self, context: Context, table: bytes, uri: bytes, ruid: bytes = b""
    ) -> int | Wait:
        """Remove all contacts of a URI's user, or the one of a ruid.

        1; -1 for a URI of no user, -2 when the database failed, -3 when no contact has the ruid.
        """
        if ruid:
            return self.unregister_ruid(context, table, uri, ruid)
        aor = self.aor(uri or context.uri)
        if aor is None:
            return BAD_ADDRESS
        return self.usrloc.change(
            table, aor, lambda bindings: [], lambda done: OK if done else FAILED
        )

    @kemi("registrar.unregister_ruid", native=(), waits=True)
    def unregister_ruid(
        self, context: Context, table: bytes, uri: bytes, ruid: bytes
    ) -> int | Wait:
        """Remove the contact with a ruid of a URI's user; returns what unregister does.

        The URI may be empty when contacts are in the database alone.
        """
        stored = self.usrloc.stored
        if not uri and stored is not None:
            return Wait(lambda: self._unregister_stored(table, ruid))
        aor = self.aor(uri or context.uri)
        return BAD_ADDRESS if aor is None else self._remove_contact(table, aor, ruid)

    async def _unregister_stored(self, table: bytes, ruid: bytes) -> int:
        stored = self.usrloc.stored
        found = await stored.of_ruid(table, ruid) if stored is not None else None
        if found is None:
            return NOT_THERE
        result = self._remove_contact(table, found[0], ruid)
        return int(await result.awaitable_factory()) if isinstance(result, Wait) else result  # type: ignore[call-overload]  # what `change` was given makes ints

    def _remove_contact(self, table: bytes, aor: bytes, ruid: bytes) -> int | Wait:
        removed: list[Binding] = []

        def drop(bindings: list[Binding]) -> list[Binding]:
            removed[:] = [binding for binding in bindings if binding.ruid == ruid]
            return [binding for binding in bindings if binding.ruid != ruid]

        def result(done: bool) -> int:
            if not done:
                return FAILED
            return OK if removed else NOT_THERE

        return self.usrloc.change(table, aor, drop, result)

    @kemi("registrar.reg_fetch_contacts", routes=_ROUTES, waits=True)
    def reg_fetch_contacts(
        self, context: Context, table: bytes, uri: bytes, profile: bytes
    ) -> int | Wait:
        """Fetch the contacts of a URI's user for $ulc(profile=>...): 1, -1 when there is none."""
        free_profile(context, profile)
        aor = self.aor(uri)
        if aor is None:
            return NOT_FOUND

        def found(contacts: list[Binding]) -> int:
            if not contacts:
                return NOT_FOUND
            set_profile(context, profile, Profile(table, aor, contacts))
            return OK

        return self.usrloc.read(table, aor, found, NOT_FOUND, self.now())

    @kemi("registrar.reg_free_contacts", routes=_ROUTES)
    def reg_free_contacts(self, context: Context, profile: bytes) -> int:
        """Forget the contacts fetched for a profile; 1 also when there are none."""
        free_profile(context, profile)
        return OK

    @kemi("registrar.ulc_rget", native=())
    def ulc_rget(self, context: Context, profile: bytes, attribute: bytes) -> Value:
        """Return what $ulc(profile=>attribute) is: aor, domain or count of what was fetched."""
        return self.fetched_contact(context, b"%b=>%b" % (profile, attribute), None)

    @kemi("registrar.ulc_cget", native=())
    def ulc_cget(self, context: Context, profile: bytes, attribute: bytes, index: int) -> Value:
        """Return what $(ulc(profile=>attribute)[index]) is."""
        return self.fetched_contact(context, b"%b=>%b" % (profile, attribute), index)

    @kemi("registrar.reg_from_user", waits=True)
    def reg_from_user(
        self, context: Context, table: bytes, uri: bytes, mode: int
    ) -> int | Wait:
        """Whether a request comes from where a contact of a URI's user is: 1 or -1.

        Host, port and protocol must fit; mode bit 1 leaves the port out, bit 2 the protocol.
        """
        aor = self.aor(uri or context.uri)
        if aor is None:
            return NOT_FOUND

        def found(contacts: list[Binding]) -> int:
            return OK if _is_from_one(context, contacts, mode) else NOT_FOUND

        return self.usrloc.read(table, aor, found, NOT_FOUND, self.now())


def _is_from_one(context: Context, contacts: Sequence[Binding], mode: int) -> bool:
    source = context.source
    for contact in contacts:
        parsed = parse_uri(contact.received or contact.contact)
        if (
            parsed is not None
            and parsed.bare_host == source.host
            and (mode & ANY_PORT or parsed.effective_port == source.port)
            and (mode & ANY_PROTOCOL or contact.socket.startswith(source.local.transport))
        ):
            return True
    return False


def _addressed(context: Context) -> bytes:
    if context.message.is_request:
        return context.uri
    to = context.message.to
    return to.uri_text if to is not None else b""


