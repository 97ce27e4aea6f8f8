"""Multipart bodies: parse, write, parse again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip.body import Multipart, Part, boundary_of, media_type, parse_multipart

BODY = (
    b"preamble\r\n--abc\r\nContent-Type: Text/Plain; charset=x\r\n\r\none\r\ntwo\r\n"
    b"--abc\r\n\r\nno headers\r\n--abc--\r\nepilogue"
)


def test_parts_are_cut_at_the_boundary() -> None:
    parsed = parse_multipart(b'multipart/mixed; boundary="abc"', BODY)
    assert parsed is not None
    assert [(p.media_type, p.content) for p in parsed.parts] == [
        (b"text/plain", b"one\r\ntwo"), (b"text/plain", b"no headers"),
    ]  # fmt: skip


def test_what_is_no_multipart() -> None:
    assert parse_multipart(b"text/plain;boundary=abc", BODY) is None
    assert parse_multipart(b"multipart/mixed", BODY) is None
    assert parse_multipart(b"multipart/mixed;boundary=other", BODY) is None
    assert boundary_of(b"multipart/mixed;boundary=xyz") == b"xyz"
    assert media_type(b" Text/X ; a=b") == b"text/x"


@given(st.lists(st.binary(max_size=60).filter(lambda data: b"--abc" not in data), min_size=1))
def test_parts_survive_writing(contents: list[bytes]) -> None:
    made = Multipart(b"abc", [Part([b"Content-Type: text/x"], content) for content in contents])
    parsed = parse_multipart(made.content_type, bytes(made))
    assert parsed is not None
    assert [part.content for part in parsed.parts] == contents
    assert bytes(parsed) == bytes(made)
