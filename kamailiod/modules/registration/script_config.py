"""What a script says to the registrar by an xavp (xavp_cfg): overrides, matches and filters.

Owns the names of its fields; what they do is elsewhere.
"""

from __future__ import annotations

from kamailiod.modules.registration.saving import Overrides
from kamailiod.script.context import Context, Value
from kamailiod.script.variables.records import Record, record_at
from shm import Binding

MATCH_CALL_ID, MATCH_RECEIVED, MATCH_CONTACT = 1, 2, 4
"""Flags of registered()."""


class ScriptConfig:
    """Reads the xavp of a name; without a name nothing is ever said."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def overrides(self, context: Context) -> Overrides | None:
        """Return what save() is to do otherwise; None when nothing."""
        record = self._record(context)
        if record is None:
            return None
        found = Overrides()
        found.q = _integer(record, b"q")
        found.expires = _integer(record, b"expires")
        found.max_contacts = _integer(record, b"max_contacts")
        found.socket = _text(record, b"socket")
        return found

    def branch_flags(self, context: Context) -> int | None:
        """Return the branch flags that lookup() asks of contacts; None when it takes all."""
        record = self._record(context)
        return None if record is None else _integer(record, b"rlf_bflags")

    def matches(self, context: Context, contact: Binding, flags: int) -> bool:
        """Whether a contact is one that registered() asks for."""
        record = self._record(context)
        if record is None or not flags:
            return True
        call_id = _text(record, b"match_callid") if flags & MATCH_CALL_ID else b""
        received = _text(record, b"match_received") if flags & MATCH_RECEIVED else b""
        address = _text(record, b"match_contact") if flags & MATCH_CONTACT else b""
        return (
            (not call_id or contact.call_id == call_id)
            and (not received or contact.received == received)
            and (not address or contact.contact == address)
        )

    def _record(self, context: Context) -> Record | None:
        return record_at(context.shared.xavps, self._name) if self._name else None


def _value(record: Record, name: bytes) -> Value:
    stack = record.get(name)
    found = stack[0] if stack else None
    return found if isinstance(found, (bytes, int)) else None


def _integer(record: Record, name: bytes) -> int | None:
    found = _value(record, name)
    return found if isinstance(found, int) else None


def _text(record: Record, name: bytes) -> bytes:
    found = _value(record, name)
    return found if isinstance(found, bytes) else b""
