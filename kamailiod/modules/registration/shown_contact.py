"""How a contact is shown by the ul.* commands: Kamailio's field names and texts.

Owns names and texts only; where contacts are is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from shm import Binding

_UNSET: Final = "[not set]"


def shown_table(
    name: bytes, items: Iterable[tuple[bytes, Sequence[Binding]]], detail: str, now: float
) -> object:
    """Return a table as ul.dump shows it; `brief` leaves the contacts' particulars out."""
    records: list[object] = []
    most = 0
    for aor, bindings in items:
        contacts = [{"Contact": _contact(binding, detail, now)} for binding in bindings]
        records.append({"Info": {"AoR": _text(aor), "HashID": 0, "Contacts": contacts}})
        most = max(most, len(contacts))
    return {
        "Domain": {
            "Domain": _text(name),
            "Size": len(records),
            "AoRs": records,
            "Stats": {"Records": len(records), "Max-Slots": most},
        }
    }


def shown_user(aor: str, bindings: Iterable[Binding], now: float) -> object:
    """Return a user as ul.lookup shows it."""
    return {"AoR": aor, "Contacts": [{"Contact": shown_contact(b, now)} for b in bindings]}


def shown_contact(binding: Binding, now: float) -> dict[str, object]:
    """Return all fields of a contact."""
    left: object = "permanent" if not binding.expires else int(binding.expires - now)
    if binding.expires and binding.expires <= now:
        left = "expired"
    return {
        "Address": _text(binding.contact),
        "Expires": left,
        "Q": binding.q / 1000 if binding.q >= 0 else -1,
        "Call-ID": _text(binding.call_id),
        "CSeq": binding.cseq,
        "User-Agent": _text(binding.user_agent) or "n/a",
        "Received": _text(binding.received) or _UNSET,
        "Path": _text(binding.path) or _UNSET,
        "State": "CS_NEW",
        "Flags": binding.flags,
        "CFlags": binding.cflags,
        "Socket": _text(binding.socket) or _UNSET,
        "Methods": binding.methods,
        "Ruid": _text(binding.ruid),
        "Instance": _text(binding.instance) or _UNSET,
        "Reg-Id": binding.reg_id,
        "Server-Id": binding.server_id,
        "Tcpconn-Id": binding.connection_id or -1,
        "Keepalive": int(binding.round_trip > 0),
        "Last-Keepalive": binding.keepalive or int(binding.last_modified),
        "KA-Roundtrip": binding.round_trip,
        "Last-Modified": int(binding.last_modified),
    }


def _contact(binding: Binding, detail: str, now: float) -> dict[str, object]:
    brief = detail == "brief"
    return {"Address": _text(binding.contact)} if brief else shown_contact(binding, now)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
