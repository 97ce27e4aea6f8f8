"""The bare words of native expressions, over a request and over a reply."""

from __future__ import annotations

import pytest

from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context, Value
from kamailiod.script.keywords import keyword_value
from tests.kamailiod.fakes import context_of

HEAD = (
    b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@a.example>;tag=1\r\n"
    b"To: <sip:b@b.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
)
REQUEST = b"INVITE sip:b@b.example:5070 SIP/2.0\r\n" + HEAD


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (b"method", b"INVITE"), (b"uri", b"sip:b@b.example:5070"), (b"uri:host", b"b.example"),
        (b"uri:port", 5070), (b"from_uri", b"sip:a@a.example"), (b"to_uri", b"sip:b@b.example"),
        (b"src_ip", b"127.0.0.1"), (b"src_port", 5080), (b"dst_ip", b"127.0.0.1"),
        (b"dst_port", 5060), (b"proto", b"udp"), (b"af", b"inet"), (b"msg:len", len(REQUEST)),
        (b"max_len", 65535), (b"no_such_word", None),
    ],
)  # fmt: skip
def test_of_a_request(word: bytes, value: Value) -> None:
    assert keyword_value(word)(context_of(REQUEST)) == value


def test_of_a_reply() -> None:
    context = context_of(b"SIP/2.0 486 Busy\r\n" + HEAD)
    assert keyword_value(b"status")(context) == 486
    assert keyword_value(b"method")(context) == b"INVITE"
    assert keyword_value(b"uri:host")(context) is None


def test_of_ipv6_and_of_a_changed_uri() -> None:
    context: Context = context_of(
        REQUEST, source=(b"::1", 5080), listen=ListenAddress(0, b"tcp", b"::1", 5061)
    )
    assert keyword_value(b"af")(context) == b"inet6"
    assert keyword_value(b"proto")(context) == b"tcp"
    context.set_uri(b"sip:new.example")
    assert keyword_value(b"uri")(context) == b"sip:new.example"
    assert keyword_value(b"uri:port")(context) == 5060
