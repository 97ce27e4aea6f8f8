"""What makes two requests one transaction, and how a loop is told."""

from __future__ import annotations

import pytest

from kamailiod.script.transactions import invite_key, is_loop, loop_value, request_key
from kamailiod.sip.message import SipMessage, parse


def request(
    method: bytes = b"INVITE", via: bytes = b"SIP/2.0/UDP a;branch=z9hG4bK1", cseq: int = 1,
    tag: bytes = b"1", uri: bytes = b"sip:b@b", more: bytes = b"", to: bytes = b"",
) -> SipMessage:  # fmt: skip
    found = parse(
        b"%s %s SIP/2.0\r\nVia: %s\r\nFrom: <sip:a@a>;tag=%s\r\nTo: <sip:b@b>%s\r\nCall-ID: c\r\n"
        b"CSeq: %d %s\r\n%s\r\n" % (method, uri, via, tag, to, cseq, method, more)
    )
    assert found.fault is None
    return found


def test_a_branch_with_the_cookie_decides() -> None:
    key = request_key(request())
    assert request_key(request(cseq=9, tag=b"other", uri=b"sip:x@y")) == key
    assert request_key(request(via=b"SIP/2.0/UDP a;branch=z9hG4bK2")) != key
    assert request_key(request(via=b"SIP/2.0/UDP b;branch=z9hG4bK1")) != key
    assert request_key(request(via=b"SIP/2.0/UDP a:99;branch=z9hG4bK1")) != key
    assert request_key(request(b"OPTIONS")) != key


def test_ack_and_cancel_find_their_invite() -> None:
    key = request_key(request())
    assert request_key(request(b"ACK", to=b";tag=2")) == key
    cancel = request(b"CANCEL")
    assert request_key(cancel) != key
    assert invite_key(cancel) == key


@pytest.mark.parametrize("branch", [b"", b";branch=old", b";branch=z9hG4bK", b";branch=Z9HG4BK1"])
def test_without_the_cookie_it_is_matched_as_rfc_2543_has_it(branch: bytes) -> None:
    via = b"SIP/2.0/UDP a" + branch
    key = request_key(request(via=via))
    assert request_key(request(via=via)) == key
    assert request_key(request(b"ACK", via=via, to=b";tag=2")) == key
    assert request_key(request(via=via, cseq=2)) != key
    assert request_key(request(via=via, tag=b"2")) != key
    assert request_key(request(via=via, uri=b"sip:c@b")) != key
    assert request_key(request(via=b"SIP/2.0/UDP b" + branch)) != key


def test_a_loop() -> None:
    plain = request()
    own = b"SIP/2.0/UDP proxy:5060;branch=z9hG4bKabc.1.0.%08x" % loop_value(plain)
    looped = request(via=own + b", SIP/2.0/UDP a;branch=z9hG4bK1")
    assert is_loop(looped, b"proxy:5060")
    assert not is_loop(looped, b"proxy:5061")
    assert not is_loop(plain, b"proxy:5060")
    for changed in (
        {"uri": b"sip:c@b"}, {"cseq": 2}, {"tag": b"2"}, {"more": b"Route: <sip:x;lr>\r\n"},
        {"more": b"Proxy-Authorization: Digest a\r\n"}, {"to": b";tag=3"},
    ):  # fmt: skip
        other = request(via=own, **changed)  # type: ignore[arg-type]
        assert not is_loop(other, b"proxy:5060")
