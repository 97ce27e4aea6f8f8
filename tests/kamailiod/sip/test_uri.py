"""URIs, Via and addresses: parts, round trips, comparison of parameters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip.name_addr import parse_addresses, parse_name_addr
from kamailiod.sip.uri import Uri, parameter_value, parse_uri, unescape
from kamailiod.sip.via import parse_vias
from tests.kamailiod.sip.grammar import name_addrs, quoted, sip_uris, tokens, vias


def uri(text: bytes) -> Uri:
    found = parse_uri(text)
    assert found is not None, text
    return found


def test_the_parts_of_a_sip_uri() -> None:
    found = uri(b"sips:al;ice:se:cret@Example.COM:5071;transport=TLS;lr?Subject=x&To=y")
    assert (found.scheme, found.user, found.host, found.port) == (
        b"sips", b"al;ice", b"Example.COM", 5071,
    )  # fmt: skip
    assert found.password == b"se:cret"
    assert found.parameters == b";transport=TLS;lr"
    assert found.headers == b"Subject=x&To=y"
    assert found.parameter(b"TRANSPORT") == b"TLS"
    assert found.parameter(b"lr") == b""
    assert found.parameter(b"l") is None
    assert found.transport == b"tls"


@pytest.mark.parametrize(
    ("text", "transport", "port"),
    [
        (b"sip:a", b"", 5060), (b"sip:a;transport=tcp", b"tcp", 5060), (b"sips:a", b"tls", 5061),
        (b"sips:a;transport=tcp", b"tls", 5061), (b"sip:a;transport=ws", b"ws", 80),
        (b"sips:a;transport=ws", b"wss", 443), (b"sip:a:99", b"", 99), (b"sip:a:", b"", 5060),
    ],
)  # fmt: skip
def test_transport_and_port(text: bytes, transport: bytes, port: int) -> None:
    assert (uri(text).transport, uri(text).effective_port) == (transport, port)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"sip:", b"sip:@host", b"sip:a@", b"sip:a b@c", b"sip:a@b:65536", b"sip:a@b:123456",
        b"sip:a@b:x", b"sip:a@[::1", b"sip:a@[1]", b"sip:2001:db8::1", b"sip:a@2001:db8::1",
        b"sip:a@b c", b"sip:a@<b>", b"tel:", b"bob", b":x", b"1a:b", b"sip:a@b;x=\"y z\"",
        b"<sip:a@b>", b"sip:a@b\r\nVia: x",
    ],
)  # fmt: skip
def test_what_is_no_uri(text: bytes) -> None:
    found = parse_uri(text)
    assert found is None or (text == b"sip:@host" and found.user == b"")


def test_tel() -> None:
    found = uri(b"tel:+1-201-555-0123;phone-context=example.com")
    assert (found.scheme, found.user, found.host) == (b"tel", b"+1-201-555-0123", b"")
    assert found.parameter(b"phone-context") == b"example.com"
    assert not found.is_sip


def test_the_last_at_sign_ends_the_user_part() -> None:
    assert uri(b"sip:a;b?c=d@e").user == b"a;b?c=d"
    assert uri(b"sip:a;b?c=d@e").host == b"e"


def test_replacing_parts() -> None:
    found = uri(b"sip:alice:pw@a.example:5070;lr?x=y")
    assert found.with_parts() == found.text
    assert found.with_parts(user=b"bob") == b"sip:bob@a.example:5070;lr?x=y"
    assert found.with_parts(user=b"") == b"sip:a.example:5070;lr?x=y"
    assert found.with_parts(host=b"b", port=0, parameters=b"") == b"sip:alice:pw@b?x=y"


@given(sip_uris())
def test_sip_uris_round_trip(text: bytes) -> None:
    found = uri(text)
    assert found.is_sip
    assert found.with_parts().lower() == text.lower()
    again = uri(found.with_parts())
    for part in ("user", "password", "host", "port", "parameters", "headers"):
        assert getattr(again, part) == getattr(found, part)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_uri_or_none(text: bytes) -> None:
    for data in (text, b"sip:" + text, b"tel:" + text):
        found = parse_uri(data)
        if found is not None:
            assert b"\n" not in data
            assert b" " not in data


@given(vias())
def test_vias_round_trip(text: bytes) -> None:
    (found,) = parse_vias(text)
    assert bytes(found) == text
    assert text.partition(b" ")[2].startswith(found.sent_by)


@given(st.lists(vias(), min_size=1, max_size=4), st.sampled_from([b",", b", ", b" ,\t"]))
def test_joined_vias(texts: list[bytes], separator: bytes) -> None:
    assert [bytes(via) for via in parse_vias(separator.join(texts))] == texts


@pytest.mark.parametrize(
    "text",
    [b"", b"SIP/2.0/UDP", b"SIP/2.0 a", b"SIP/2.0/UDP a,", b"SIP/2.0/UDP a:99999",
     b"SIP/2.0/UDP a;;,;,,", b"SIP/2.0/UDP a;b=\"c", b",SIP/2.0/UDP a", b"SIP/2.0/UDP [::1"],
)  # fmt: skip
def test_what_is_no_via(text: bytes) -> None:
    assert parse_vias(text) == ()


def test_blanks_around_the_parts_of_a_via() -> None:
    (found,) = parse_vias(b"SIP / 2.0 / UDP  first.example : 4000 ; ttl = 16 ;branch = z9hG4bK1")
    assert (found.host, found.port, found.branch) == (b"first.example", 4000, b"z9hG4bK1")
    assert found.parameter(b"ttl") == b"16"


@given(name_addrs())
def test_addresses_round_trip(text: bytes) -> None:
    found = parse_name_addr(text)
    assert found is not None
    assert bytes(found) == text
    assert found.uri is not None


@given(st.lists(name_addrs(), min_size=1, max_size=4))
def test_joined_addresses(texts: list[bytes]) -> None:
    assert [bytes(found) for found in parse_addresses(b", ".join(texts))] == texts


def test_an_address_without_brackets_owns_no_parameters() -> None:
    found = parse_name_addr(b"sip:a@b;tag=1")
    assert found is not None
    assert (found.uri_text, found.tag) == (b"sip:a@b", b"1")
    assert found.uri is not None
    assert found.uri.parameters == b""


@pytest.mark.parametrize(
    ("text", "display", "address"),
    [
        (b'"A, B; <C>" <sip:d@e>', b'"A, B; <C>"', b"sip:d@e"),
        (b'"q\\"uote"<sip:d@e>;tag=1', b'"q\\"uote"', b"sip:d@e"),
        (b"caller<sip:d@e>", b"caller", b"sip:d@e"),
        (b"A  B <sip:d@e>", b"A  B", b"sip:d@e"),
        (b"<sip:a,b;c@e?x=%2C>", b"", b"sip:a,b;c@e?x=%2C"),
        (b"*", b"", b"*"),
    ],
)
def test_display_names(text: bytes, display: bytes, address: bytes) -> None:
    found = parse_name_addr(text)
    assert found is not None
    assert (found.display, found.uri_text) == (display, address)


@pytest.mark.parametrize(
    "text", [b"", b'"a <sip:b@c>', b"<sip:b@c", b"<sip:a@b>,<sip:c@d>", b"<sip:a@b> x", b"a b"]
)
def test_what_is_no_address(text: bytes) -> None:
    assert parse_name_addr(text) is None


def test_one_bad_address_spoils_the_list() -> None:
    assert parse_addresses(b"<sip:a@b>, <sip:c@d") == ()
    assert parse_addresses(b"<sip:a@b>,") == ()


@given(tokens, st.one_of(st.none(), tokens, quoted), tokens)
def test_parameters(name: bytes, value: bytes | None, other: bytes) -> None:
    written = b";" + name + (b"" if value is None else b"=" + value)
    expected = b"" if value is None else value.strip(b'"') if value[:1] != b'"' else value[1:-1]
    assert parameter_value(written, name.swapcase()) == expected
    if other.lower() != name.lower():
        assert parameter_value(b";%s=x" % other + written, name) == expected
        assert parameter_value(written + b";%s=x" % other, name) == expected
        assert parameter_value(written, other) is None


def test_a_parameter_within_quotes_is_none() -> None:
    assert parameter_value(b';a=";tag=1;";tag=2', b"tag") == b"2"


def test_unescape_decodes_once() -> None:
    assert unescape(b"%41%2525%zz%") == b"A%25%zz%"
