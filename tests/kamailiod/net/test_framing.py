"""Cutting streams: however the bytes come, the same messages go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.net.framing import FramingFault, StreamFramer


def message(body: bytes, header: bytes = b"Content-Length: ") -> bytes:
    return b"OPTIONS sip:x SIP/2.0\r\nCall-ID: 1\r\n" + header + b"%d\r\n\r\n" % len(body) + body


def test_one_and_several() -> None:
    framer = StreamFramer()
    one, two = message(b""), message(b"body\r\n\r\n", b"l : ")
    assert framer.feed(one + two) == [one, two]
    assert not framer.is_waiting


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.data())
def test_any_cut_gives_the_same(bodies: list[bytes], data: st.DataObject) -> None:
    messages = [message(body) for body in bodies]
    stream = b"\r\n\r\n".join(messages)
    framer = StreamFramer()
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == messages
    assert framer.fault is None


@pytest.mark.parametrize("cut", [b"\r\n\r\n", b"\r", b"\n\r\n"])
def test_pings_in_pieces(cut: bytes) -> None:
    framer = StreamFramer()
    ping = b"\r\n\r\n"
    framer.feed(ping[: len(cut)])
    framer.feed(ping[len(cut) :])
    assert framer.pings == 1
    assert framer.feed(message(b"x")) == [message(b"x")]


def test_one_crlf_is_no_ping() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n" + message(b"")) == [message(b"")]
    assert framer.pings == 0


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: -1", b"X: 1", b"Content-Length: 1\r\nl: 2", b"Content-Length: 9999999999",
     b"Content-Length: a", b"Content-Length:"],
)  # fmt: skip
def test_bad_lengths(head: bytes) -> None:
    framer = StreamFramer()
    good = message(b"a")
    data = b"OPTIONS sip:x SIP/2.0\r\n" + head + b"\r\n\r\nrest"
    assert framer.feed(good + data) == [good]
    assert framer.fault is FramingFault.BAD_LENGTH
    assert framer.rest.startswith(data)
    assert framer.feed(good) == []


def test_the_same_length_twice_is_no_fault() -> None:
    data = b"OPTIONS sip:x SIP/2.0\r\nl: 1\r\nContent-Length: 1\r\n\r\nx"
    assert StreamFramer().feed(data) == [data]


@pytest.mark.parametrize("data", [b"x" * 200, message(b"y" * 200)])
def test_too_large(data: bytes) -> None:
    framer = StreamFramer(100)
    assert framer.feed(data) == []
    assert framer.fault is FramingFault.TOO_LARGE
