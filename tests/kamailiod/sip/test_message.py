"""The parser: golden messages, and what holds for every message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.sip.edits import Edits
from kamailiod.sip.header_names import canonical
from kamailiod.sip.message import SipMessage, parse
from tests.kamailiod.sip.grammar import messages

FOLDER = Path(__file__).resolve().parents[2] / "messages"
HEAD = (
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
    b"Call-ID: 1\r\n"
)


def golden(name: str) -> SipMessage:
    found = parse((FOLDER / f"{name}.sip").read_bytes())
    assert found.fault is None
    return found


def request(more: bytes = b"", method: bytes = b"OPTIONS", body: bytes = b"") -> SipMessage:
    return parse(b"%s sip:x@y SIP/2.0\r\n%sCSeq: 1 %s\r\n%s\r\n%s"
                 % (method, HEAD, method, more, body))  # fmt: skip


def everything(found: SipMessage) -> tuple[object, ...]:
    addresses = [
        (bytes(address), address.tag, address.uri_text, address.display)
        for address in (found.from_, found.to, *(found.contacts or ()))
        if address is not None
    ]
    return (
        found.is_request, found.method, found.uri_text, found.status, found.reason, found.call_id,
        found.cseq, [bytes(via) for via in found.vias], addresses, found.index, found.lines,
        found.body, found.fault, found.content_type,
    )  # fmt: skip


def test_a_register() -> None:
    found = golden("register")
    assert (found.is_request, found.method, found.uri_text) == (
        True, b"REGISTER", b"sip:registrar.biloxi.com",
    )  # fmt: skip
    assert found.cseq == (1826, b"REGISTER")
    assert (found.number(b"expires"), found.number(b"max-forwards")) == (7200, 70)
    assert (found.from_tag, found.to_tag) == (b"456248", b"")
    assert found.contacts is not None
    assert [c.uri_text for c in found.contacts] == [b"sip:bob@192.0.2.4"]
    assert found.header(b"nothing") is None
    assert found.number(b"contact") is None


def test_an_invite_with_a_body() -> None:
    found = golden("invite")
    assert found.body == b"v=0\r\ns=hello\r\n"
    assert found.content_type == b"application/sdp"
    assert found.top_via is not None
    assert (found.top_via.transport, found.top_via.branch) == (b"TCP", b"z9hG4bK776asdhds")


def test_a_reply_with_folded_vias() -> None:
    found = golden("ok")
    assert (found.is_request, found.status, found.reason) == (False, 200, b"OK")
    assert found.uri is None
    assert [via.host for via in found.vias] == [
        b"server10.biloxi.com", b"bigbox3.site3.atlanta.com", b"pc33.atlanta.com",
    ]  # fmt: skip
    assert [via.parameter(b"received") for via in found.vias] == [
        b"192.0.2.3", b"192.0.2.2", b"192.0.2.1",
    ]  # fmt: skip
    assert found.vias[2].branch == b"z9hG4bK776asdhds"


def test_compact_forms_folds_joins_and_quotes() -> None:
    found = golden("compact")
    assert found.method == b"SUBSCRIBE"
    assert found.uri is not None
    assert (found.uri.host, found.uri.bare_host, found.uri.port, found.uri.transport) == (
        b"[2001:db8::1]", b"2001:db8::1", 5070, b"tcp",
    )  # fmt: skip
    assert [(via.host, via.port, via.transport, via.branch) for via in found.vias] == [
        (b"[2001:db8::9]", 5061, b"UDP", b"z9hG4bK87asdks7"),
        (b"first.example.com", 0, b"TCP", b"z9hG4bK1"),
        (b"second.example.com", 5061, b"TLS", b"z9hG4bK2"),
    ]
    assert found.vias[2].parameter(b"quoted") == rb'a,b;c\"d'
    assert found.from_ is not None
    assert found.from_.display == rb'"A. G. Bell, \"inventor\"; esq."'
    assert found.from_tag == b"a48s"
    assert found.to is not None
    assert found.to.uri_text == b"sip:bob@biloxi.com;user=phone"
    assert found.contacts is not None
    assert [(c.display, c.uri_text, c.parameter(b"q")) for c in found.contacts] == [
        (b'"Mr. Watson"', b"sip:watson@worcester.bell-telephone.com", b"0.7"),
        (b'"Mr, Watson"', b"mailto:watson@bell-telephone.com", b"0.1"),
    ]
    assert found.contacts[0].parameter(b"EXPIRES") == b"3600"
    assert found.cseq == (1, b"SUBSCRIBE")
    assert found.header(b"supported") == b"100rel, path"
    assert found.header(b"event") == b"presence"


@pytest.mark.parametrize("name", ["register", "invite", "ok", "compact"])
def test_golden_messages_are_written_back_unchanged(name: str) -> None:
    assert Edits().apply(golden(name)) == golden(name).data


def test_bare_line_feeds() -> None:
    data = (FOLDER / "register.sip").read_bytes()
    found = parse(data.replace(b"\r\n", b"\n"))
    assert found.fault is None
    assert everything(found) == everything(parse(data))


def test_without_the_empty_line_it_is_truncated() -> None:
    found = parse((FOLDER / "register.sip").read_bytes()[:-2])
    assert found.fault is not None
    assert found.method == b"REGISTER"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (b"Content-Length: 4\r\n", "larger"),
        (b"Content-Length: -1\r\n", "Content-Length"),
        (b"Content-Length: 0\r\nl: 1\r\n", "Content-Length"),
        (b"Content-Length: 1e0\r\n", "Content-Length"),
        (b"Content-Length: 99999999999999999999\r\n", "Content-Length"),
        (b"Content-Length:\r\n", "Content-Length"),
        (b"Call-ID: 2\r\n", "call-id"),
        (b"t: <sip:e@f>\r\n", "to"),
        (b"f: <sip:e@f>\r\n", "from"),
        (b"CSeq: 1 OPTIONS\r\n", "cseq"),
        (b"a line\r\n folded\r\n", "no header"),
        (b": empty name\r\n", "no header"),
    ],
)
def test_what_is_refused(more: bytes, why: str) -> None:
    found = request(more, body=b"ab")
    assert found.fault is not None
    assert why in found.fault
    assert found.fault_status == 400


def test_a_body_is_cut_at_content_length() -> None:
    assert request(b"Content-Length: 2\r\n", body=b"abcd").body == b"ab"
    assert request(b"l : 2\r\nContent-Length: 2\r\n", body=b"abcd").body == b"ab"
    assert request(body=b"abcd").body == b"abcd"


@pytest.mark.parametrize("method", [b"invite", b"X-NEW.method!", b"%*_+`'~"])
def test_any_token_is_a_method(method: bytes) -> None:
    found = request(method=method)
    assert found.fault is None
    assert found.method == method


@pytest.mark.parametrize("method", [b"IN<VITE>", b"A,B", b"\xc3\xa9", b"A:B"])
def test_what_is_no_token_is_no_method(method: bytes) -> None:
    """Whether there is a Content-Length must make no difference."""
    assert request(method=method).fault is not None
    assert request(b"Content-Length: 0\r\n", method=method).fault is not None


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"OPTIONS sip:x@y SIP/3.0", 505), (b"OPTIONS sip:x@y HTTP/1.1", 0),
        (b"OPTIONS  sip:x@y SIP/2.0", 400), (b"OPTIONS sip:x@y SIP/2.0 ", 400),
        (b"OPTIONS sip:x y SIP/2.0", 400), (b"garbage", 0), (b"", 0),
        (b"SIP/2.0 99 Low", 0), (b"SIP/2.0 700 High", 0), (b"SIP/2.0 2000 Long", 0),
        (b"SIP/7.0 200 OK", 0), (b"SIP/2.0 abc OK", 0),
    ],
)  # fmt: skip
def test_bad_first_lines(line: bytes, status: int) -> None:
    found = parse(line + b"\r\n" + HEAD + b"CSeq: 1 OPTIONS\r\n\r\n")
    assert found.fault is not None
    assert found.fault_status == status


@pytest.mark.parametrize(
    "uri",
    [b"urn:service:sos", b"tel:+12015550123;phone-context=example.com", b"h323:x@y",
     b"http://www.example.com/a?b=c", b"im:bob@example.com"],
)  # fmt: skip
def test_unknown_schemes(uri: bytes) -> None:
    found = parse(b"MESSAGE %s SIP/2.0\r\n" % uri + HEAD + b"CSeq: 1 MESSAGE\r\n\r\n")
    assert found.fault is None
    assert found.uri_text == uri
    assert found.uri is not None
    assert found.uri.scheme == uri.partition(b":")[0]
    assert not found.uri.is_sip


def test_missing_via_is_a_fault() -> None:
    without = HEAD.partition(b"\r\n")[2]
    found = parse(b"OPTIONS sip:x@y SIP/2.0\r\n" + without + b"CSeq: 1 OPTIONS\r\n\r\n")
    assert found.fault is not None
    assert "Via" in found.fault


@pytest.mark.parametrize(
    "name",
    [b"Max-Forwards", b"max-forwards", b"MAX-FORWARDS", b"mAx-fOrWaRdS", b"max-forwards\t"],
)
def test_header_names_have_no_case(name: bytes) -> None:
    assert canonical(name) == b"max-forwards"
    assert request(name + b": 5\r\n").number(b"max-forwards") == 5


def test_a_colon_less_line_among_headers_never_hides_the_others() -> None:
    found = request(b"nonsense\r\nX-A: 1\r\n")
    assert found.fault is not None
    assert found.header(b"x-a") == b"1"


@given(messages())
def test_a_well_formed_message_has_no_fault_and_survives_a_round_trip(data: bytes) -> None:
    found = parse(data)
    assert found.fault is None
    written = Edits().apply(found)
    assert written == data
    assert everything(parse(written)) == everything(found)
    assert found.vias
    assert found.top_via is not None
    assert bytes(found.top_via) == bytes(found.vias[0])
    assert found.from_ is not None
    assert found.to is not None


@given(messages())
def test_folding_and_spacing_do_not_change_what_is_read(data: bytes) -> None:
    found = parse(data)
    plain = [found.lines[0]]
    for name, numbers in found.index.items():
        bodies = found.headers(name)
        assert len(bodies) == len(numbers)
        plain += [name + b": " + body for body in bodies]
    other = parse(b"\r\n".join([*plain, b"", found.body]))
    assert other.fault is None
    assert {n: other.headers(n) for n in other.index} == {n: found.headers(n) for n in found.index}
    assert [bytes(v) for v in other.vias] == [bytes(v) for v in found.vias]
    assert other.cseq == found.cseq


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_make_it_raise(data: bytes, stream: bool) -> None:
    everything(parse(data, stream))


@given(messages(), st.data())
def test_no_damage_makes_it_raise(data: bytes, draws: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draws.draw(st.integers(1, 4))):
        position = draws.draw(st.integers(0, len(damaged) - 1))
        kind = draws.draw(st.sampled_from(["change", "drop", "double", "cut"]))
        if kind == "change":
            damaged[position] = draws.draw(st.sampled_from(b"\r\n \t:;,<>\"\\@[]/=\0\xff"))
        elif kind == "drop" and len(damaged) > 1:
            del damaged[position]
        elif kind == "double":
            damaged[position:position] = damaged[position : position + 8]
        elif position > 0:
            del damaged[position:]
    found = parse(bytes(damaged))
    everything(found)
    for name in found.index:
        found.addresses(name)
        found.number(name)
    if found.fault is None:
        assert everything(parse(Edits().apply(found)))[:7] == everything(found)[:7]
