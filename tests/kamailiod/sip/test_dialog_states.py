import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip.dialog import (
    TRANSITIONS,
    Event,
    State,
    cookie_value,
    direction_of,
    from_request,
    next_state,
    parse_cookie,
    request_within,
    split_routes,
    take_answer,
)
from kamailiod.sip.message import SipMessage, parse
from shm import Dialog, Direction


def message(start: bytes, *lines: bytes, to_tag: bytes = b"") -> SipMessage:
    return parse(b"\r\n".join([
        start,
        b"Via: SIP/2.0/UDP h;branch=z9hG4bK1",
        b'From: "A" <sip:a@x>;tag=f',
        b"To: <sip:b@y>" + (b";tag=" + to_tag if to_tag else b""),
        b"Call-ID: c",
        b"CSeq: 7 INVITE",
        *lines,
        b"",
        b"",
    ]))  # fmt: skip


@pytest.mark.parametrize("event", list(Event))
def test_nothing_happens_to_a_deleted_dialog(event: Event) -> None:
    assert next_state(State.DELETED, event) is None


def test_states_only_grow() -> None:
    assert all(after > before for (before, _), after in TRANSITIONS.items())


def test_every_state_but_the_last_has_a_way_out() -> None:
    for state in list(State)[:-1]:
        assert next_state(state, Event.TIMEOUT) is State.DELETED


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([Event.PROVISIONAL, Event.ANSWERED, Event.ACKNOWLEDGED, Event.BYE], State.DELETED),
        ([Event.ANSWERED, Event.PROVISIONAL, Event.ACKNOWLEDGED], State.CONFIRMED),
        ([Event.PROVISIONAL, Event.BYE], State.EARLY),
        ([Event.PROVISIONAL, Event.FAILED], State.DELETED),
        ([Event.ANSWERED, Event.FAILED], State.UNACKNOWLEDGED),
        ([Event.ACKNOWLEDGED], State.UNCONFIRMED),
        ([Event.ANSWERED, Event.BYE, Event.ACKNOWLEDGED], State.DELETED),
    ],
)
def test_sequences(events: list[Event], state: State) -> None:
    now = State.UNCONFIRMED
    for event in events:
        now = next_state(now, event) or now
    assert now is state


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_cookie_gives_its_numbers_back(entry: int, identity: int) -> None:
    assert parse_cookie(cookie_value(entry, identity)) == (entry, identity)


def test_the_cookie_is_kamailios() -> None:
    assert cookie_value(1208, 2182) == b"8b4.688"


@given(st.binary(max_size=20))
def test_any_cookie_is_numbers_or_nothing(value: bytes) -> None:
    found = parse_cookie(value)
    assert found is None or len(found) == 2


def test_the_invite_gives_the_callers_side() -> None:
    dialog = from_request(
        message(b"INVITE sip:b@y SIP/2.0", b"Contact: <sip:a@h:1>", b"Record-Route: <sip:p;lr>")
    )
    assert dialog is not None
    assert (dialog.from_uri, dialog.from_tag, dialog.to_uri) == (b"sip:a@x", b"f", b"sip:b@y")
    assert (dialog.from_contact, dialog.from_cseq) == (b"sip:a@h:1", b"7")
    assert dialog.from_route_set == b"<sip:p;lr>"


def test_an_invite_without_a_from_tag_begins_none() -> None:
    invite = parse(
        b"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>\r\n"
        b"To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    assert from_request(invite) is None


RECORDED = (
    b"Record-Route: <sip:below2;lr>",
    b"Record-Route: <sip:below1;lr>, <sip:us;lr;did=1.2>",
    b"Record-Route: <sip:us;lr;r2=on;did=1.2>",
    b"Record-Route: <sip:above;lr>",
)


def test_the_route_set_to_the_callee_is_what_was_recorded_below_us() -> None:
    dialog = Dialog(b"c", from_route_set=b"<sip:above;lr>")
    answer = message(b"SIP/2.0 200 OK", *RECORDED, b"Contact: <sip:b@z>", to_tag=b"t")
    take_answer(dialog, answer, b";did=1.2")
    assert dialog.to_route_set == b"<sip:below1;lr>,<sip:below2;lr>"
    assert (dialog.to_tag, dialog.to_contact) == (b"t", b"sip:b@z")


def test_without_our_own_entry_the_entries_above_us_are_left_out() -> None:
    dialog = Dialog(b"c", from_route_set=b"<sip:above;lr>")
    answer = message(b"SIP/2.0 200 OK", RECORDED[0], RECORDED[3], to_tag=b"t")
    take_answer(dialog, answer, b";did=1.2")
    assert dialog.to_route_set == b"<sip:below2;lr>"


def test_tags_give_the_direction() -> None:
    dialog = Dialog(b"c", from_tag=b"f", to_tag=b"t", state=State.CONFIRMED)
    assert direction_of(dialog, b"f", b"t") is Direction.DOWNSTREAM
    assert direction_of(dialog, b"t", b"f") is Direction.UPSTREAM
    assert direction_of(dialog, b"f", b"x") is None
    assert direction_of(dialog, b"x", b"f") is None
    dialog.to_tag = b""
    assert direction_of(dialog, b"x", b"f") is Direction.UPSTREAM


def test_requests_within_go_either_way() -> None:
    dialog = Dialog(
        b"c", b"sip:a", b"sip:b", b"f", b"t", from_cseq=b"4", to_cseq=b"0",
        from_contact=b"sip:a@h", to_contact=b"sip:b@h", from_route_set=b"<sip:u;lr>",
        to_route_set=b'<sip:d1;lr>,"d, 2" <sip:d2;lr>;x=1',
    )  # fmt: skip
    down = request_within(dialog, b"BYE", Direction.DOWNSTREAM)
    assert (down.uri, down.cseq) == (b"sip:b@h", 5)
    assert (down.from_, down.to) == (b"<sip:a>;tag=f", b"<sip:b>;tag=t")
    assert down.routes == (b"<sip:d1;lr>", b'"d, 2" <sip:d2;lr>;x=1')
    up = request_within(dialog, b"BYE", Direction.UPSTREAM)
    assert (up.uri, up.cseq, up.routes) == (b"sip:a@h", 1, (b"<sip:u;lr>",))
    assert (up.from_, up.to) == (b"<sip:b>;tag=t", b"<sip:a>;tag=f")


def test_no_routes() -> None:
    assert split_routes(b"") == ()
