"""The torture messages of RFC 4475 and RFC 5118 against the parser, by their index."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage, parse

FOLDER = Path(__file__).resolve().parents[2] / "messages" / "torture"
with (FOLDER / "index.tsv").open(encoding="utf-8") as _file:
    INDEX = {row["file"]: row for row in csv.DictReader(_file, delimiter="\t")}

# Faults that the parser leaves to the script (sanity_check) or to relaying, because the message can
# be answered all the same: nothing but the named part of them is unusable.
LEFT_TO_OTHERS = {
    "quotbal.dat": "To", "ltgtruri.dat": "URI", "escruri.dat": "", "baddate.dat": "",
    "regbadct.dat": "", "badaspec.dat": "", "baddn-terminated.dat": "From", "badbranch.dat": "",
    "ipv6-bad.dat": "URI",
}  # fmt: skip
SILENCE = {"scalarlg.dat", "bigcode.dat", "test.dat"}
ANSWERS = {"badvers.dat": 505}


def message(name: str) -> SipMessage:
    return parse((FOLDER / name).read_bytes())


@pytest.mark.parametrize("name", INDEX)
def test_the_copy_is_bit_exact(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    blob = b"blob %d\0" % len(data)
    digests = {hashlib.sha1(data).hexdigest(), hashlib.sha1(blob + data).hexdigest()}
    assert INDEX[name]["sha1"] in digests


@pytest.mark.parametrize("name", [n for n, row in INDEX.items() if row["valid"] == "valid"])
def test_what_is_valid_has_no_fault(name: str) -> None:
    found = message(name)
    assert found.fault is None
    assert found.vias
    assert found.from_ is not None
    assert found.to is not None
    assert found.contacts is not None
    if found.is_request:
        assert found.uri is not None


@pytest.mark.parametrize("name", [n for n, row in INDEX.items() if row["valid"] == "invalid"])
def test_what_is_invalid_has_a_fault(name: str) -> None:
    found = message(name)
    if name in LEFT_TO_OTHERS:
        assert found.fault is None
        broken = {"To": found.to, "From": found.from_, "URI": found.uri}.get(LEFT_TO_OTHERS[name])
        assert broken is None
    elif name in SILENCE:
        assert found.fault is not None
        assert not found.is_request
    else:
        assert found.fault is not None
        assert found.is_request
        assert found.fault_status == ANSWERS.get(name, 400)


@pytest.mark.parametrize("name", [n for n, row in INDEX.items() if row["valid"] == "valid"])
def test_what_is_valid_is_written_back_unchanged(name: str) -> None:
    data = (FOLDER / name).read_bytes()
    written = Edits().apply(parse(data))
    if name == "dblreq.dat":
        assert data.startswith(written + b"\r\nINVITE ")
    else:
        assert written == data


@pytest.mark.parametrize("path", sorted((FOLDER / "seeds").iterdir()), ids=lambda p: p.name)
def test_what_crashed_others_does_not_crash_this(path: Path) -> None:
    touch(parse(path.read_bytes()))
    touch(parse(path.read_bytes(), True))


def touch(found: SipMessage) -> None:
    """Ask for everything that is parsed late."""
    for part in ("vias", "top_via", "uri", "from_", "to", "from_tag", "to_tag", "cseq", "contacts",
                 "content_type"):  # fmt: skip
        getattr(found, part)
    for name in found.index:
        found.headers(name)
        found.addresses(name)
        found.number(name)


def test_a_short_tortuous_invite() -> None:
    found = message("wsinv.dat")
    assert (found.method, found.cseq) == (b"INVITE", (9, b"INVITE"))
    assert found.call_id == b"98asdh@192.0.2.1" or found.call_id.startswith(b"wsinv.")
    assert found.to is not None
    assert found.to.tag == b"1918181833n"
    assert found.to.uri_text == b"sip:vivekg@chair-dnrc.example.com"
    assert found.from_ is not None
    assert found.from_.display == rb'"J Rosenberg \\\""'
    assert found.from_.tag == b"98asjd8"
    assert found.number(b"max-forwards") == 68
    assert [via.host for via in found.vias] == [
        b"192.0.2.2", b"spindle.example.com", b"192.168.255.111",
    ]  # fmt: skip
    assert found.vias[0].branch == b"390skdjuw"
    assert found.vias[1].branch == b"z9hG4bK9ikj8"
    assert found.contacts is not None
    assert found.contacts[0].display == rb'"Quoted string \"\""'
    assert found.contacts[0].parameter(b"newparam") == b"newvalue"
    assert found.contacts[0].parameter(b"q") == b"0.33"
    assert len(found.body) == 150


def test_percent_escapes_are_not_decoded() -> None:
    found = message("esc01.dat")
    assert found.uri_text == b"sip:sips%3Auser%40example.com@example.net"
    assert found.uri is not None
    assert (found.uri.user, found.uri.host) == (b"sips%3Auser%40example.com", b"example.net")
    assert message("esc02.dat").method == b"RE%47IST%45R"


def test_semicolons_belong_to_the_user_part() -> None:
    uri = message("semiuri.dat").uri
    assert uri is not None
    assert (uri.user, uri.host) == (b"user;par=u%40example.net", b"example.com")
    assert uri.parameters == b""


def test_octets_behind_the_body_are_dropped() -> None:
    found = message("dblreq.dat")
    assert found.body == b""
    assert (found.method, found.cseq[1]) == (b"REGISTER", b"REGISTER")


def test_five_vias_of_all_transports() -> None:
    assert [via.transport for via in message("transports.dat").vias] == [
        b"UDP", b"SCTP", b"TLS", b"UNKNOWN", b"TCP",
    ]  # fmt: skip


def test_an_ambiguous_port_is_part_of_the_address() -> None:
    ambiguous, unambiguous = message("port-ambiguous.dat").uri, message("port-unambiguous.dat").uri
    assert ambiguous is not None
    assert unambiguous is not None
    assert (ambiguous.host, ambiguous.port) == (b"[2001:db8::10:5070]", 0)
    assert (unambiguous.host, unambiguous.port) == (b"[2001:db8::10]", 5070)


@pytest.mark.parametrize("name", ["with", "no"])
def test_received_of_ipv6(name: str) -> None:
    via = message(f"via-received-param-{name}-delim.dat").top_via
    assert via is not None
    assert (via.parameter(b"received") or b"").strip(b"[]") == b"2001:db8::9:255"


def test_reasons_keep_their_bytes() -> None:
    assert message("unreason.dat").reason.startswith(b"= 2**3 * 5**2 ")
    assert message("noreason.dat").reason == b""
    assert message("noreason.dat").status == 100


def test_contact_and_uri_parameters_are_told_apart() -> None:
    header, within = message("cparam01.dat").contacts, message("cparam02.dat").contacts
    assert header is not None
    assert within is not None
    assert header[0].parameter(b"unknownparam") == b""
    assert header[0].uri_text.endswith(b"example.net")
    assert within[0].parameter(b"unknownparam") is None
    assert within[0].uri_text.endswith(b";unknownparam")


def test_a_body_without_content_length_is_the_rest_of_the_datagram() -> None:
    found = message("inv2543.dat")
    assert b"content-length" not in found.index
    assert found.body.startswith(b"v=0\r\n")
