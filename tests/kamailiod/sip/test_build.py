"""What goes out: replies, forwarded messages, CANCEL and ACK; what nobody touched stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip.build import (
    build_ack,
    build_cancel,
    build_forward,
    build_relayed_reply,
    build_reply,
    stamped_via,
)
from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage, parse
from tests.kamailiod.sip.grammar import messages

REST = (
    b"f: \"A\"  <sip:a@a>;tag=1\r\nTo : <sip:b@b>\r\nCall-ID:c\r\nCSeq: 7 INVITE\r\n"
    b"Record-Route: <sip:r1;lr>,\r\n <sip:r2;lr>\r\nTimestamp: 5\r\nX-ODD:kept  \r\n"
)


def request(via: bytes = b"SIP/2.0/UDP h.example:7000;branch=z9hG4bK1", more: bytes = b"",
            body: bytes = b"") -> SipMessage:  # fmt: skip
    found = parse(b"INVITE sip:b@b SIP/2.0\r\nVia: " + via + b"\r\n" + more + REST + b"\r\n" + body)
    assert found.fault is None
    return found


def stamp(via: bytes, host: bytes = b"192.0.2.1", port: int = 999, force: bool = False) -> bytes:
    message = request(via)
    assert message.top_via is not None
    return stamped_via(message, message.top_via, host, port, force) or b""


@pytest.mark.parametrize(
    ("via", "stamped"),
    [
        (b"SIP/2.0/UDP 192.0.2.1;branch=x", b""),
        (b"SIP/2.0/UDP h;branch=x", b"Via: SIP/2.0/UDP h;branch=x;received=192.0.2.1"),
        (b"SIP/2.0/UDP h;rport;branch=x",
         b"Via: SIP/2.0/UDP h;rport=999;branch=x;received=192.0.2.1"),
        (b"SIP/2.0/UDP 192.0.2.1:5;branch=x;rport",
         b"Via: SIP/2.0/UDP 192.0.2.1:5;branch=x;rport=999;received=192.0.2.1"),
        (b"SIP/2.0/UDP h;received=6.6.6.6;branch=x",
         b"Via: SIP/2.0/UDP h;branch=x;received=192.0.2.1"),
        (b"SIP/2.0/UDP h;branch=x, SIP/2.0/TCP g;branch=y",
         b"Via: SIP/2.0/UDP h;branch=x;received=192.0.2.1, SIP/2.0/TCP g;branch=y"),
        (b"SIP/2.0/UDP h;xrport=1", b"Via: SIP/2.0/UDP h;xrport=1;received=192.0.2.1"),
    ],
)  # fmt: skip
def test_stamping_the_via(via: bytes, stamped: bytes) -> None:
    assert stamp(via) == stamped


def test_forcing_rport_and_ipv6() -> None:
    assert stamp(b"SIP/2.0/UDP h", force=True) == (
        b"Via: SIP/2.0/UDP h;rport=999;received=192.0.2.1"
    )
    assert stamp(b"SIP/2.0/UDP [2001:db8::1];branch=x", b"2001:db8::1") == b""


@pytest.mark.parametrize(("code", "records"), [(100, 0), (101, 1), (200, 1), (299, 1), (300, 0),
                                               (404, 0), (603, 0)])  # fmt: skip
def test_a_reply(code: int, records: int) -> None:
    message = request(more=b"Via: SIP/2.0/UDP second\r\n")
    tag = b"new" if code > 100 else b""
    stamped = b"Via: SIP/2.0/UDP stamped"
    reply = parse(build_reply(message, stamped, code, b"Why", tag, (b"A: b",), b"hi"))
    assert reply.fault is None
    assert (reply.status, reply.reason, reply.body) == (code, b"Why", b"hi")
    assert reply.headers(b"via") == [b"SIP/2.0/UDP stamped", b"SIP/2.0/UDP second"]
    assert len(reply.headers(b"record-route")) == records
    assert reply.to_tag == tag
    assert reply.cseq == (7, b"INVITE")
    assert reply.header(b"timestamp") == (b"5" if code == 100 else None)
    assert reply.header(b"x-odd") is None
    assert reply.lines[reply.index[b"from"][0]] == message.lines[message.index[b"from"][0]]


def test_forwarding_changes_nothing_else() -> None:
    message = request(body=b"body")
    start, own = b"INVITE sip:new SIP/2.0", (b"Via: own",)
    data = build_forward(message, Edits(), start, own)
    assert data == b"\r\n".join((start, *own, *message.lines[1:], b"", b"body"))
    streamed = build_forward(message, Edits(), start, own, stream=True)
    assert parse(streamed).header(b"content-length") == b"4"


@given(messages())
def test_forwarding_any_message_keeps_its_lines(data: bytes) -> None:
    message = parse(data)
    if message.is_request:
        sent = build_forward(message, Edits(), message.lines[0], (b"Via: SIP/2.0/UDP own",))
        head, _, rest = data.partition(b"\r\n")
        assert sent == head + b"\r\nVia: SIP/2.0/UDP own\r\n" + rest


@given(messages(), st.data())
def test_edits_change_only_what_they_name(data: bytes, draws: st.DataObject) -> None:
    message = parse(data)
    edits = Edits()
    assert not edits
    number = draws.draw(st.integers(1, len(message.lines) - 1))
    other = draws.draw(st.integers(1, len(message.lines) - 1))
    edits.replaced[number] = draws.draw(st.sampled_from([None, b"New: 1"]))
    edits.before[other] = [b"Before: 1"]
    edits.after[other] = [b"After: 1"]
    edits.top.append(b"Top: 1")
    edits.end.append(b"End: 1")
    kept = edits.copy()
    edits.top.append(b"Top: 2")
    edits.before[other].append(b"Before: 2")
    lines = kept.apply(message).partition(b"\r\n\r\n")[0]
    expected = [message.lines[0], b"Top: 1"]
    for index, line in enumerate(message.lines[1:], 1):
        expected += [b"Before: 1"] if index == other else []
        new = edits.replaced[number] if index == number else line
        expected += [new] if new is not None else []
        expected += [b"After: 1"] if index == other else []
    assert lines == b"\r\n".join([*expected, b"End: 1"])


def test_a_new_body_sets_content_length() -> None:
    message = request(more=b"l: 0\r\nContent-Length: 0\r\n")
    edits = Edits()
    edits.body = b"12345"
    for data in (edits.apply(message), build_forward(message, edits, message.lines[0], ())):
        assert parse(data).headers(b"content-length") == [b"5"]
        assert parse(data).body == b"12345"


def relayed(vias: bytes, edits: Edits | None = None) -> SipMessage:
    reply = parse(b"SIP/2.0 180 R\r\n" + vias + REST + b"\r\n")
    assert reply.fault is None
    data = build_relayed_reply(reply, edits)
    assert data.endswith(REST + b"\r\n") or edits is not None
    return parse(data)


@pytest.mark.parametrize(
    "vias",
    [
        b"Via: SIP/2.0/UDP own;branch=1\r\nVia: SIP/2.0/UDP a;x=y\r\nVia: SIP/2.0/TCP b\r\n",
        b"Via: SIP/2.0/UDP own;branch=1, SIP/2.0/UDP a;x=y,SIP/2.0/TCP b\r\n",
        b"v: SIP/2.0/UDP own;branch=1,\r\n SIP/2.0/UDP a;x=y\r\nVia: SIP/2.0/TCP b\r\n",
        b"Via: SIP/2.0/UDP own;q=\"a,b\"\r\nVia: SIP/2.0/UDP a;x=y, SIP/2.0/TCP b\r\n",
    ],
)
def test_a_relayed_reply_loses_one_via(vias: bytes) -> None:
    expected = [b"SIP/2.0/UDP a;x=y", b"SIP/2.0/TCP b"]
    assert [bytes(via) for via in relayed(vias).vias] == expected
    edits = Edits()
    edits.end.append(b"X-New: 1")
    again = relayed(vias, edits)
    assert [bytes(via) for via in again.vias] == expected
    assert again.header(b"x-new") == b"1"
    assert len(edits.replaced) == 0, "the edits of a reply are not changed by sending it"


SENT = request(
    b"SIP/2.0/UDP proxy;branch=z9hG4bKown",
    more=b"Route: <sip:r;lr>\r\nVia: SIP/2.0/UDP below\r\nRoute: <sip:s;lr>\r\nRequire: x\r\n",
)


def test_a_cancel() -> None:
    """RFC 3261 9.1."""
    cancel = parse(build_cancel(SENT, (b"Reason: SIP;cause=200",)))
    assert cancel.fault is None
    assert (cancel.method, cancel.uri_text, cancel.cseq) == (b"CANCEL", b"sip:b@b", (7, b"CANCEL"))
    assert cancel.headers(b"via") == [b"SIP/2.0/UDP proxy;branch=z9hG4bKown"]
    assert cancel.headers(b"route") == [b"<sip:r;lr>", b"<sip:s;lr>"]
    assert (cancel.from_tag, cancel.to_tag, cancel.call_id) == (b"1", b"", b"c")
    assert cancel.header(b"reason") == b"SIP;cause=200"
    assert cancel.header(b"require") is None
    assert cancel.body == b""


def test_an_ack() -> None:
    """RFC 3261 17.1.1.3: To of the reply, all else of the request."""
    reply = parse(SENT.data.replace(b"INVITE sip:b@b SIP/2.0", b"SIP/2.0 486 Busy").replace(
        b"To : <sip:b@b>", b"t: <sip:b@b>;tag=9"))  # fmt: skip
    ack = parse(build_ack(SENT, reply))
    assert ack.fault is None
    assert (ack.method, ack.uri_text, ack.cseq) == (b"ACK", b"sip:b@b", (7, b"ACK"))
    assert ack.headers(b"via") == [b"SIP/2.0/UDP proxy;branch=z9hG4bKown"]
    assert ack.headers(b"route") == [b"<sip:r;lr>", b"<sip:s;lr>"]
    assert (ack.from_tag, ack.to_tag) == (b"1", b"9")


def test_an_ack_of_a_request_with_joined_vias() -> None:
    sent = request(b"SIP/2.0/UDP proxy;branch=z9hG4bKown, SIP/2.0/UDP below")
    assert parse(build_cancel(sent)).headers(b"via") == [b"SIP/2.0/UDP proxy;branch=z9hG4bKown"]
