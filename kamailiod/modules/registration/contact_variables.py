"""Contacts as scripts see them: $ulc(profile=>attribute), and the xavps of the registrar.

Owns names and values; who fetches contacts is the registrar's functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgpack

from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, pseudo_variable
from kamailiod.script.variables.records import Record, record_at
from shm import Binding

_NOTE = "registrar.profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """The contacts that a script fetched for one user."""

    table: bytes
    aor: bytes
    contacts: Sequence[Binding]


def set_profile(context: Context, name: bytes, profile: Profile) -> None:
    """Keep fetched contacts under a name, for $ulc."""
    profiles = context.shared.notes.setdefault(_NOTE, {})
    assert isinstance(profiles, dict)
    profiles[name] = profile


def free_profile(context: Context, name: bytes) -> None:
    """Forget fetched contacts."""
    profiles = context.shared.notes.get(_NOTE)
    if isinstance(profiles, dict):
        profiles.pop(name, None)


class ContactVariables(Module):
    """The pseudo-variable over fetched contacts."""

    @pseudo_variable("ulc")
    def fetched_contact(self, context: Context, inner: bytes, index: object) -> Value:
        """An attribute of a contact that reg_fetch_contacts fetched: $(ulc(profile=>attr)[i])."""
        name, _, attribute = inner.partition(b"=>")
        profiles = context.shared.notes.get(_NOTE)
        if not isinstance(profiles, dict):
            return None
        profile = profiles.get(name.strip())
        if not isinstance(profile, Profile) or not profile.contacts:
            return None
        position = index if isinstance(index, int) else 0
        if not -len(profile.contacts) <= position < len(profile.contacts):
            return None
        read = _ATTRIBUTES.get(attribute.strip())
        return read(profile, profile.contacts[position]) if read is not None else None


_ATTRIBUTES: Mapping[bytes, Callable[[Profile, Binding], Value]] = {
    b"aor": lambda profile, contact: profile.aor,
    b"domain": lambda profile, contact: profile.table,
    # Kamailio's profiles never hold the hash.
    b"aorhash": lambda profile, contact: 0,
    b"addr": lambda profile, contact: contact.contact,
    b"path": lambda profile, contact: contact.path,
    b"received": lambda profile, contact: contact.received,
    b"expires": lambda profile, contact: contact.expires,
    b"callid": lambda profile, contact: contact.call_id,
    b"q": lambda profile, contact: contact.q,
    b"cseq": lambda profile, contact: contact.cseq,
    b"flags": lambda profile, contact: contact.flags,
    b"cflags": lambda profile, contact: contact.cflags,
    b"user_agent": lambda profile, contact: contact.user_agent or b"n/a",
    b"socket": lambda profile, contact: contact.socket or None,
    b"modified": lambda profile, contact: int(contact.last_modified),
    b"methods": lambda profile, contact: contact.methods,
    b"count": lambda profile, contact: len(profile.contacts),
    b"ruid": lambda profile, contact: contact.ruid,
    b"conid": lambda profile, contact: contact.connection_id or None,
    b"server_id": lambda profile, contact: contact.server_id,
    b"instance": lambda profile, contact: contact.instance,
    b"regid": lambda profile, contact: contact.reg_id,
}

_RUID, _CONTACT, _EXPIRES, _RECEIVED, _PATH = 1, 2, 4, 8, 16


class ContactRecords:
    """Puts contacts into an xavp (xavp_rcd) and their attributes back (xavp_contact).

    Empty names turn one off; `mask` says which fields are left out.
    """

    __slots__ = ("_attributes", "_mask", "_name")

    def __init__(self, name: str, mask: int, attributes: str) -> None:
        self._name = name.encode()
        self._mask = mask
        self._attributes = attributes.encode()

    def put(self, context: Context, contacts: Sequence[Binding]) -> None:
        """Put a record of each contact, the first one's first."""
        if self._name:
            records: list[object] = [self._record(contact) for contact in contacts]
            context.shared.xavps.setdefault(self._name, [])[:0] = records

    def restore(self, context: Context, contact: Binding) -> None:
        """Put the attributes back that were saved with a contact."""
        if self._attributes and contact.attributes:
            record: Record = {
                name: list(values) for name, values in msgpack.unpackb(contact.attributes).items()
            }
            context.shared.xavps.setdefault(self._attributes, []).insert(0, record)

    def attributes(self, context: Context) -> bytes:
        """Return the attributes to save with a contact."""
        if not self._attributes:
            return b""
        record = record_at(context.shared.xavps, self._attributes)
        if not record:
            return b""
        plain = {
            name: [value for value in values if isinstance(value, (bytes, int))]
            for name, values in record.items()
        }
        packed: bytes = msgpack.packb(plain)
        return packed

    def _record(self, contact: Binding) -> Record:
        mask = self._mask
        record: Record = {}
        if not mask & _RUID:
            record[b"ruid"] = [contact.ruid]
        if not mask & _CONTACT:
            record[b"contact"] = [contact.contact]
        if not mask & _EXPIRES:
            left = contact.expires - int(time.time()) if contact.expires else 0
            record[b"expires"] = [left]
        if not mask & _RECEIVED and contact.received:
            record[b"received"] = [contact.received]
        if not mask & _PATH and contact.path:
            record[b"path"] = [contact.path]
        return record
