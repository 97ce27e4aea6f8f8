"""The life of a dialog as a proxy sees it, and requests sent within one (RFC 3261 12).

Owns the state table, route sets and the Record-Route cookie; knows no store, clock or script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import NameAddr, parse_addresses
from shm import Dialog, Direction


class State(IntEnum):
    """Kamailio's dialog states."""

    UNCONFIRMED = 1
    EARLY = 2
    UNACKNOWLEDGED = 3
    CONFIRMED = 4
    DELETED = 5


class Event(Enum):
    """What may happen to a dialog."""

    PROVISIONAL = "1xx with a To tag"
    ANSWERED = "2xx to the INVITE"
    ACKNOWLEDGED = "ACK of the 2xx"
    REQUEST = "another request within the dialog"
    FAILED = "final failure of the INVITE"
    BYE = "BYE, from either side"
    TIMEOUT = "its deadline"


TRANSITIONS: Mapping[tuple[int, Event], State] = {
    (State.UNCONFIRMED, Event.PROVISIONAL): State.EARLY,
    (State.UNCONFIRMED, Event.ANSWERED): State.UNACKNOWLEDGED,
    (State.UNCONFIRMED, Event.FAILED): State.DELETED,
    (State.UNCONFIRMED, Event.TIMEOUT): State.DELETED,
    (State.EARLY, Event.ANSWERED): State.UNACKNOWLEDGED,
    (State.EARLY, Event.FAILED): State.DELETED,
    (State.EARLY, Event.TIMEOUT): State.DELETED,
    (State.UNACKNOWLEDGED, Event.ACKNOWLEDGED): State.CONFIRMED,
    (State.UNACKNOWLEDGED, Event.BYE): State.DELETED,
    (State.UNACKNOWLEDGED, Event.TIMEOUT): State.DELETED,
    (State.CONFIRMED, Event.BYE): State.DELETED,
    (State.CONFIRMED, Event.TIMEOUT): State.DELETED,
}
"""The state after an event; what is not here changes nothing.

A BYE within an early dialog (RFC 3261 15) ends it by the failure of the INVITE that follows.
"""


def next_state(state: int, event: Event) -> State | None:
    """Return the state after an event, None when the event means nothing in this state."""
    return TRANSITIONS.get((state, event))


@dataclass(frozen=True, slots=True)
class RequestWithin:
    """The parts of a request that continues a dialog; From and To are whole header bodies."""

    method: bytes
    uri: bytes
    from_: bytes
    to: bytes
    call_id: bytes
    cseq: int
    routes: tuple[bytes, ...]


def request_within(dialog: Dialog, method: bytes, direction: Direction) -> RequestWithin:
    """Return a request as the other side would send it towards one side (RFC 3261 12.2.1.1).

    `direction` is the way it goes: downstream to the callee, as if the caller had sent it.
    """
    caller = b"<%s>;tag=%s" % (dialog.from_uri, dialog.from_tag)
    callee = b"<%s>;tag=%s" % (dialog.to_uri, dialog.to_tag)
    if direction is Direction.DOWNSTREAM:
        uri, cseq = dialog.to_contact or dialog.request_uri, dialog.from_cseq
        from_, to, routes = caller, callee, dialog.to_route_set
    else:
        uri, cseq = dialog.from_contact or dialog.from_uri, dialog.to_cseq
        from_, to, routes = callee, caller, dialog.from_route_set
    number = int(cseq) + 1 if cseq.isdigit() else 1
    return RequestWithin(method, uri, from_, to, dialog.call_id, number, split_routes(routes))


def direction_of(dialog: Dialog, from_tag: bytes, to_tag: bytes) -> Direction | None:
    """Return the way a request with these tags goes, None when it is of another dialog.

    The callee's tag is not compared before the answer: until then forks have several.
    """
    callee = dialog.to_tag if dialog.state >= State.UNACKNOWLEDGED else b""
    if dialog.from_tag == from_tag and (not callee or callee == to_tag):
        return Direction.DOWNSTREAM
    if dialog.from_tag == to_tag and (not callee or callee == from_tag):
        return Direction.UPSTREAM
    return None


def from_request(request: SipMessage) -> Dialog | None:
    """Return the dialog that an initial INVITE may begin, None when From or To is malformed."""
    from_, to = request.from_, request.to
    if from_ is None or to is None or not from_.tag:
        return None
    return Dialog(
        call_id=request.call_id,
        from_uri=from_.uri_text,
        to_uri=to.uri_text,
        from_tag=from_.tag,
        from_cseq=b"%d" % request.cseq[0],
        to_cseq=b"0",
        from_contact=contact_uri(request),
        from_route_set=b",".join(request.headers(b"record-route")),
        request_uri=request.uri_text,
    )


KEEP_TOWARDS_CALLEE, KEEP_TOWARDS_CALLER = 1, 2
"""Modes of take_answer: in which sides' route sets our own entries stay."""


def take_answer(dialog: Dialog, answer: SipMessage, cookie: bytes, keep: int = 0) -> None:
    """Enter what the 2xx to the INVITE says: tag, contact and route set of the callee.

    The callee's route set is what proxies behind this one recorded: the entries above our own,
    which carry `cookie` (";did=8b4.688"), from the last to the first (RFC 3261 12.1.2, 16.6).
    """
    dialog.to_tag = answer.to_tag or dialog.to_tag
    dialog.to_contact = contact_uri(answer) or dialog.to_contact
    bodies = answer.headers(b"record-route")
    if bodies and cookie in bodies[0] and b"," not in bodies[0] and not keep:
        return  # nobody behind us stays in the path: the usual case needs no parsing
    recorded = answer.addresses(b"record-route") or []
    before = split_routes(dialog.from_route_set)
    ours = len(recorded) - len(before)
    behind = max(ours, 0)
    for number, entry in enumerate(recorded):
        if cookie in entry.uri_text or cookie in entry.parameters:
            behind = number
            break
    last = ours if keep & KEEP_TOWARDS_CALLEE else behind
    dialog.to_route_set = _joined(recorded[: max(last, 0)][::-1])
    if keep & KEEP_TOWARDS_CALLER:
        dialog.from_route_set = _joined(recorded[behind:])


def contact_uri(message: SipMessage) -> bytes:
    """Return the URI of a message's only Contact, empty when there is none."""
    contacts = message.contacts
    return contacts[0].uri_text if contacts else b""


def split_routes(routes: bytes) -> tuple[bytes, ...]:
    """Return a stored route set entry by entry, each as it stands in a Route header."""
    return tuple(bytes(entry) for entry in parse_addresses(routes)) if routes else ()


def cookie_value(h_entry: int, h_id: int) -> bytes:
    """Return the value of the Record-Route parameter: both numbers in hex, last digit first."""
    return b"%s.%s" % ((b"%x" % h_entry)[::-1], (b"%x" % h_id)[::-1])


def parse_cookie(value: bytes) -> tuple[int, int] | None:
    """Return (h_entry, h_id) of a Record-Route parameter's value, None when it is malformed."""
    entry, dot, identity = value.partition(b".")
    if not dot or not 0 < len(entry) <= 8 or not 0 < len(identity) <= 8:
        return None
    try:
        return int(entry[::-1], 16), int(identity[::-1], 16)
    except ValueError:
        return None


def _joined(entries: Sequence[NameAddr]) -> bytes:
    return b",".join(bytes(entry) for entry in entries)
