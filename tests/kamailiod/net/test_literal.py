from __future__ import annotations

import pytest

from kamailiod.net.literal import octets


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"192.0.2.1", b"\xc0\0\2\1"),
        (b"::1", b"\0" * 15 + b"\1"),
        (b"[::1]", b"\0" * 15 + b"\1"),
        (b"2001:db8::", b"\x20\1\x0d\xb8" + b"\0" * 12),
    ],
)
def test_addresses(text: bytes, expected: bytes) -> None:
    assert octets(text) == expected


@pytest.mark.parametrize(
    "text",
    [b"", b"1.2.3", b"::g", b"\xff", b"1.2.3.4.5", b"0", b"example.com", b"[1.2.3.4]", b"[::1",
     b"01.2.3.4", b"1.2.3.4\0", b":", b"fe80::1%lo"],
)  # fmt: skip
def test_what_is_none(text: bytes) -> None:
    assert octets(text) is None
