"""Long texts made to cost much: whatever 64 KiB hold, reading them takes no more than that.

Nothing here looks at a clock: a text that made a pattern go back and forth would take minutes, and
the time-out of the test tells.
"""

from __future__ import annotations

import pytest

from kamailiod.net.framing import StreamFramer
from kamailiod.sip.body import parse_multipart
from kamailiod.sip.build import stamped_via
from kamailiod.sip.digest import parse_credentials
from kamailiod.sip.edits import Edits
from kamailiod.sip.message import parse
from kamailiod.sip.name_addr import parse_addresses, parse_name_addr
from kamailiod.sip.uri import parameter_value, parse_uri
from kamailiod.sip.via import parse_vias

SIZE = 65000
UNITS = [
    b" ", b"\t", b'"', b'\\"', b"\\", b";", b",", b"<", b">", b":", b"@", b"=", b"/", b"a", b"a ",
    b" a", b'"a', b'";', b'",', b";;", b"; ", b";=", b';a="', b";a=", b"; a = ", b"<>", b"< ",
    b"<a", b">;", b"a,", b", ", b"[", b"]", b"[:", b"%", b"0", b"9 ", b"a:", b"a@", b"\r\n ",
    b" \r\n ",
    b"\r\n\t\r\n ", b"\r", b"\n", b"tag", b";tag=", b";tag ", b"branch=", b";branch=\"", b"SIP/",
    b"/ ", b" /", b"SIP/2.0/UDP a,", b"<sip:a@b>,", b'"\\"" ', b"?", b"&",
]  # fmt: skip
STARTS = [
    b"", b"<", b"< ", b'"', b"sip:", b"sip:a@b", b"sip:a@b;tag", b"sip:a@b;tag=", b"<sip:a@b>;x",
    b"SIP/2.0/UDP a", b"SIP/2.0/UDP ", b"SIP / ", b"SIP/2.0/UDP a;branch=", b"SIP/2.0/UDP a :",
    b"a", b'"" <', b'""', b"Digest ", b"Digest a", b'Digest a="',
]  # fmt: skip
ENDS = [b"", b"x", b'"', b">", b" x", b";tag=1"]


def texts(unit: bytes) -> list[bytes]:
    return [start + unit * (SIZE // len(unit)) + end for start in STARTS for end in ENDS]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", UNITS)
def test_values(unit: bytes) -> None:
    for text in texts(unit):
        parse_uri(text)
        parse_vias(text)
        parse_name_addr(text)
        parse_addresses(text)
        parameter_value(b";" + text, b"tag")
        parse_credentials(text)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", UNITS)
def test_messages(unit: bytes) -> None:
    run = unit * (SIZE // len(unit))
    value = b"x" + run + b"x"
    for data in (
        b"OPTIONS sip:x" + run + b" SIP/2.0\r\n\r\n",
        b"OPTIONS " + run + b"x SIP/2.0 x\r\n\r\n",
        run + b"SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 " + run + b"\r\n\r\n",
        b"OPTIONS sip:x SIP/2.0\r\n" + run,
        run,
        *(
            b"OPTIONS sip:x SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
            b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n%s: %s\r\n\r\n" % (name, value)
            for name in (b"Via", b"Route", b"Contact", b"X", b"Content-Length", b"Supported")
        ),
        *(
            b"OPTIONS sip:x SIP/2.0\r\n"
            b"Via: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n\r\n"
            % tuple(value if place == number else fine for number, fine in enumerate(_FINE))
            for place in range(5)
        ),
    ):
        found = parse(data)
        for name in list(found.index)[:20]:
            found.headers(name)
        found.contacts, found.vias, found.from_, found.to, found.from_tag, found.to_tag  # noqa: B018
        via = found.top_via
        if via is not None:
            stamped_via(found, via, b"192.0.2.1", 5060, True)
        Edits().apply(found)


_FINE = (b"SIP/2.0/UDP a;branch=z9hG4bK1", b"<sip:a@b>;tag=1", b"<sip:a@b>", b"1", b"1 OPTIONS")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", UNITS)
def test_streams_and_bodies(unit: bytes) -> None:
    run = unit * (SIZE // len(unit))
    StreamFramer().feed(run)
    StreamFramer().feed(b"X\r\nContent-Length: " + run + b"\r\n\r\n")
    parse_multipart(b"multipart/mixed;boundary=a", run)
    parse_multipart(b"multipart/mixed;boundary=" + run, run)
