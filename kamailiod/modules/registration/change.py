"""One atomic change of an address-of-record's bindings (RFC 3261 10.3 steps 6 and 7).

Owns CSeq order, matching and the number of contacts; it must not know SIP messages.
"""

from __future__ import annotations

from kamailiod.modules.registration.locations import Locations
from shm import Binding

INSERTED, UPDATED, REMOVED, QUERIED = 1, 2, 3, 4
FAILED, TOO_MANY = -1, -2
"""What save() returns to the script."""

AT_ONCE = -1
"""The expiry of a contact that is to be removed."""

BAD_CSEQ = b"Invalid CSeq number"
TOO_MANY_CONTACTS = b"Too many registered contacts"

Wanted = tuple[bytes, bytes, bytes, int, int, bytes, int, int, int, bytes, bytes, int, bytes, int]
"""The first fields of a Binding, up to reg_id; its expiry may be AT_ONCE."""

# A named tuple's own constructor is a Python function, and takes three times as long.
_new = tuple.__new__


class Change:
    """Applies wanted contacts; `refusal` (None: done), `result`, `bindings`, `saved` (ruids) tell.

    Times are unix seconds.  An update of the same Call-ID and a lower CSeq aborts it all; the same
    CSeq is a retransmission within `cseq_delay` seconds, later it aborts too.
    """

    __slots__ = (
        "_attributes",
        "_connection_id",
        "_cseq_delay",
        "_locations",
        "_max_contacts",
        "_now",
        "_replace",
        "_server_id",
        "_wanted",
        "bindings",
        "refusal",
        "result",
        "saved",
    )

    def __init__(
        self,
        locations: Locations,
        wanted: list[Wanted],
        now: float,
        replace: bool,
        max_contacts: int,
        cseq_delay: int,
        connection_id: int,
        attributes: bytes = b"",
        server_id: int = 0,
    ) -> None:
        self._locations = locations
        self._wanted = wanted
        self._now = now
        self._replace = replace
        self._max_contacts = max_contacts
        self._cseq_delay = cseq_delay
        self._connection_id = connection_id
        self._attributes = attributes
        self._server_id = server_id
        self.saved: list[bytes] = []
        self.bindings: list[Binding] = []
        self.result = INSERTED
        self.refusal: bytes | None = None

    def apply(self, stored: list[Binding]) -> list[Binding]:
        """Return the new bindings for those stored; the same ones when it is refused."""
        now, locations = self._now, self._locations
        live = [old for old in stored if not old.expires or old.expires > now] if stored else stored
        self.bindings = live
        result = INSERTED
        bindings = live.copy()
        kept: set[bytes] = set()
        for fields in self._wanted:
            position = -1
            if bindings:
                position = locations.matching(
                    bindings, fields[0], fields[5], fields[2], fields[12], fields[13]
                )
            if position >= 0:
                old = bindings[position]
                is_late = old.call_id == fields[5] and fields[6] <= old.cseq
                # A contact that stands twice in one request is no retransmission.
                if is_late and old.ruid not in kept:
                    if fields[6] < old.cseq or now - old.last_modified > self._cseq_delay:
                        return self._refuse(stored, BAD_CSEQ, FAILED)
                    kept.add(old.ruid)
                    continue
                if fields[3] == AT_ONCE:
                    del bindings[position]
                    result = REMOVED
                    continue
                ruid = old.ruid
                result = UPDATED
            elif fields[3] == AT_ONCE:
                continue
            else:
                ruid = locations.next_ruid()
                result = INSERTED
            kept.add(ruid)
            self.saved.append(ruid)
            new = _new(
                Binding,
                (*fields, ruid, self._connection_id, self._server_id, now, 0, 0, self._attributes),
            )
            if bindings:
                locations.place(bindings, new, position)
            else:
                bindings.append(new)
        if self._replace:
            bindings = [binding for binding in bindings if binding.ruid in kept]
        if 0 < self._max_contacts < len(bindings) and len(bindings) > len(live):
            return self._refuse(stored, TOO_MANY_CONTACTS, TOO_MANY)
        self.result = result
        self.bindings = bindings
        return bindings

    def remove_all(self, stored: list[Binding]) -> list[Binding]:
        """Return no bindings; the same ones when one is of a later request of the Call-ID."""
        call_id, cseq = self._wanted[0][5:7]
        for old in stored:
            if old.call_id == call_id and cseq < old.cseq:
                self.bindings = [b for b in stored if not b.expires or b.expires > self._now]
                return self._refuse(stored, BAD_CSEQ, FAILED)
        self.result = REMOVED
        return []

    def _refuse(self, stored: list[Binding], refusal: bytes, result: int) -> list[Binding]:
        self.refusal = refusal
        self.result = result
        return stored
