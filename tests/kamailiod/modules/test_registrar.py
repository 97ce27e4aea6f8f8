"""save() and lookup() against what Debian's Kamailio 5.6.3 answered to the same messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kamailiod.modules.registrar import Registrar
from kamailiod.modules.usrloc import Usrloc
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.modules.registering import Phone, answer, request

TORTURE = Path(__file__).parents[2] / "messages" / "torture"
MakePhone = Callable[..., Phone]


@pytest.fixture
def phone_of(services: FakeServices) -> MakePhone:
    def make(usrloc: dict[str, object] | None = None, **params: object) -> Phone:
        services.load(Usrloc, **(usrloc or {}))
        registrar = services.load(Registrar, **params)
        services.start()
        return Phone(services, registrar)

    return make


@pytest.fixture
def phone(phone_of: MakePhone) -> Phone:
    return phone_of()


def test_contacts_are_listed_best_q_first_then_oldest(phone: Phone) -> None:
    assert phone.register() == (4, "200 OK", "")
    one = "<sip:alice@10.0.0.1:5060>;expires=3600"
    assert phone.register("<sip:alice@10.0.0.1:5060>") == (1, "200 OK", one)
    one = "<sip:alice@10.0.0.1:5060>;expires=100"
    assert phone.register("<sip:alice@10.0.0.1:5060>;expires=100") == (2, "200 OK", one)
    two = '<sip:alice@10.0.0.2:5060;ob>;q=0.7;expires=200;+sip.instance="<urn:uuid:x>"'
    asked = '"A" <sip:alice@10.0.0.2:5060;ob>;q=0.7;expires=200;+sip.instance="<urn:uuid:x>";foo=b'
    assert phone.register(asked) == (1, "200 OK", f"{two}, {one}")
    three = "<sip:alice@10.0.0.3>;expires=120"
    found = phone.register("sip:alice@10.0.0.3;foo", headers=["Expires: 120"])
    assert found == (1, "200 OK", f"{two}, {one}, {three}")
    three = "<sip:alice@10.0.0.3>;expires=60"
    found = phone.register("sip:alice@10.0.0.3", headers=["Expires: 5"])
    assert found == (2, "200 OK", f"{two}, {one}, {three}")
    assert phone.register() == (4, "200 OK", f"{two}, {one}, {three}")


def test_many_contacts_in_one_header(phone: Phone) -> None:
    result, _, contacts = phone.register("<sip:a@10.0.0.4>;q=0.1,<sip:a@10.0.0.5>;q=1.0")
    assert result == 1
    assert contacts == "<sip:a@10.0.0.5>;q=1;expires=3600, <sip:a@10.0.0.4>;q=0.1;expires=3600"
    assert phone.register("<sip:a@10.0.0.5>;expires=0")[::2] == (
        3, "<sip:a@10.0.0.4>;q=0.1;expires=3600",
    )  # fmt: skip


def test_a_lower_cseq_of_the_same_call_id_aborts(phone: Phone) -> None:
    phone.register("<sip:a@h>", cseq=10)
    result, status, contacts = phone.register("<sip:a@h>;expires=99", "<sip:b@h>", cseq=9)
    assert (result, status, contacts) == (-1, "400 Bad Request", "<sip:a@h>;expires=3600")
    assert answer(phone.services)[1]["P-Registrar-Error"] == "Invalid CSeq number"
    assert phone.register("<sip:a@h>;expires=99", cseq=9, call_id="other")[0] == 2


def test_a_retransmission_changes_nothing(phone: Phone) -> None:
    phone.register("<sip:a@h>;expires=200", cseq=10)
    found = phone.register("<sip:a@h>;expires=100", cseq=10)
    assert found == (1, "200 OK", "<sip:a@h>;expires=200")


def test_a_contact_twice_in_one_request_is_the_latter(phone: Phone) -> None:
    assert phone.register("<sip:a@h>", "<sip:a@h>;q=0.5")[2] == "<sip:a@h>;q=0.5;expires=3600"


def test_a_refused_request_changes_none_of_its_contacts(phone: Phone) -> None:
    phone.register("<sip:a@h>", cseq=10, call_id="x")
    phone.register("<sip:b@h>", cseq=5)
    found = phone.register("<sip:b@h>;expires=0", "<sip:a@h>", cseq=9, call_id="x")
    both = "<sip:a@h>;expires=3600, <sip:b@h>;expires=3600"
    assert found == (-1, "400 Bad Request", both)
    assert phone.register()[2] == both


def test_a_late_equal_cseq_aborts(phone_of: MakePhone) -> None:
    phone = phone_of({"cseq_delay": -1})
    phone.register("<sip:a@h>", cseq=10)
    assert phone.register("<sip:a@h>", cseq=10)[:2] == (-1, "400 Bad Request")


STAR_TEXT = "* used in contact and expires is not zero"


def test_star_removes_all(phone: Phone) -> None:
    phone.register("<sip:a@h>", "<sip:b@h>")
    for headers in ([], ["Expires: 10"], ["Expires: x"]):
        assert phone.register("*", headers=headers)[:2] == (-1, "400 Bad Request")
        assert answer(phone.services)[1]["P-Registrar-Error"] == STAR_TEXT
    assert phone.register("*", "<sip:c@h>", headers=["Expires: 0"])[0] == -1
    text = answer(phone.services)[1]["P-Registrar-Error"]
    assert text == "* used in contact and more than 1 contact"
    assert phone.register("*", headers=["Expires: 0"]) == (3, "200 OK", "")
    assert phone.register() == (4, "200 OK", "")


def test_star_does_not_remove_what_a_later_request_of_its_call_id_made(phone: Phone) -> None:
    phone.register("<sip:a@h>", cseq=10)
    assert phone.register("*", headers=["Expires: 0"], cseq=9)[:2] == (-1, "400 Bad Request")
    assert phone.register("*", headers=["Expires: 0"], cseq=9, call_id="x")[0] == 3


@pytest.mark.parametrize(
    ("given", "shown"),
    [("0.1234", "0.123"), ("0.55", "0.55"), ("0", "0"), (".5", "0.5"), ("1.000", "1"), ("1", "1")],
)
def test_q_values(phone: Phone, given: str, shown: str) -> None:
    assert phone.register(f"<sip:a@h>;q={given}")[2] == f"<sip:a@h>;q={shown};expires=3600"


@pytest.mark.parametrize("q", ["1.5", "abc", "-1", "2", ""])
def test_bad_q_values(phone: Phone, q: str) -> None:
    assert phone.register(f"<sip:a@h>;q={q}")[:2] == (-1, "400 Bad Request")
    assert answer(phone.services)[1]["P-Registrar-Error"] == "Invalid q param in contact"
    assert phone.services.statistics.counts["registrar:rejected_regs"] == 1


@pytest.mark.parametrize("value", ["abc", "", "-5"])
def test_a_bad_expiry_is_the_default(phone: Phone, value: str) -> None:
    assert phone.register(f"<sip:a@h>;expires={value}")[2] == "<sip:a@h>;expires=3600"
    assert phone.register("<sip:b@h>", headers=[f"Expires: {value}"])[2].endswith("expires=3600")


def test_an_enormous_expiry_is_cut(phone: Phone) -> None:
    assert phone.register(f"<sip:a@h>;expires={'9' * 40}")[2] == "<sip:a@h>;expires=4294967295"


def test_min_expires_refuses_and_max_expires_cuts(phone_of: MakePhone) -> None:
    phone = phone_of(min_expires_mode=1, max_expires=1000, default_q=500)
    kept = "<sip:a@h>;q=0.5;expires=1000"
    assert phone.register("<sip:a@h>") == (1, "200 OK", kept)
    assert phone.register("<sip:b@h>;expires=30") == (-1, "423 Interval Too Brief", kept)
    headers = answer(phone.services)[1]
    assert headers["Min-Expires"] == "60"
    assert headers["P-Registrar-Error"] == "Interval too brief"
    assert phone.register("<sip:a@h>;expires=0") == (3, "200 OK", "")


def test_expiry_may_vary_unless_flag_8(phone_of: MakePhone) -> None:
    phone = phone_of(expires_range=50)
    for _ in range(20):
        left = int(phone.register("<sip:a@h>;expires=1000")[2].rpartition("=")[2])
        assert 500 <= left <= 1000
    assert phone.register("<sip:a@h>;expires=1000", flags=8)[2].endswith("=1000")


def test_max_contacts(phone_of: MakePhone) -> None:
    phone = phone_of(max_contacts=2, retry_after=30)
    phone.register("<sip:a@h>")
    both = phone.register("<sip:b@h>")[2]
    assert phone.register("<sip:c@h>") == (-2, "503 Service Unavailable", both)
    headers = answer(phone.services)[1]
    assert headers["P-Registrar-Error"] == "Too many registered contacts"
    assert headers["Retry-After"] == "30"
    assert phone.register("<sip:a@h>")[0] == 2
    assert phone.register("<sip:c@h>", "<sip:a@h>;expires=0")[0] == 3
    assert phone.register("<sip:x@h>", "<sip:y@h>", "<sip:z@h>", flags=4)[0] == -2
    assert phone.register("<sip:x@h>", flags=4)[2] == "<sip:x@h>;expires=3600"


@pytest.mark.parametrize(
    ("contact", "text"),
    [
        ("<sip:alice@10.0.0.4", "Contact parse error"),
        ("<sip:>", "Contact parse error"),
        ("<foo>", "Contact parse error"),
        (f"<sip:{'a' * 600}@10.0.0.4>", "Contact/received too long"),
    ],
)
def test_contacts_that_cannot_be_used(phone: Phone, contact: str, text: str) -> None:
    assert phone.register(contact) == (-1, "400 Bad Request", "")
    assert answer(phone.services)[1]["P-Registrar-Error"] == text


@pytest.mark.parametrize("to", ["<sip:%61LICE@example.com>", "<sips:Alice:pw@other.org;x=y>"])
def test_spellings_of_one_user(phone: Phone, to: str) -> None:
    phone.register("<sip:a@h>")
    assert phone.register(to=to)[2] == "<sip:a@h>;expires=3600"


def test_the_domain_counts_if_asked(phone_of: MakePhone) -> None:
    phone = phone_of({"use_domain": 1}, realm_prefix="sip.")
    phone.register("<sip:a@h>")
    assert phone.register(to="<sip:alice@other.org>")[2] == ""
    assert phone.register(to="<sip:alice@SIP.example.com>")[2] == "<sip:a@h>;expires=3600"


def test_users_without_name_do_not_share_contacts(phone: Phone) -> None:
    phone.register("<sip:a@h>", to="<sip:one.com>")
    assert phone.register(to="<sip:two.com>")[2] == ""


PATH = ["Path: <sip:p1.example.com:5099;lr>, <sip:p2;lr>", "Path: <sip:p3;lr>"]
VECTOR = "<sip:p1.example.com:5099;lr>, <sip:p2;lr>,<sip:p3;lr>"


@pytest.mark.parametrize(
    ("mode", "supported", "status", "answered"),
    [
        (0, True, "200 OK", False), (0, False, "200 OK", False),
        (1, True, "200 OK", True), (1, False, "200 OK", False),
        (2, True, "200 OK", True), (2, False, "420 Bad Extension", True),
    ],
)  # fmt: skip
def test_path_modes(
    phone_of: MakePhone, mode: int, supported: bool, status: str, answered: bool
) -> None:
    phone = phone_of(use_path=1, path_mode=mode)
    headers = [*PATH, "Supported: 100rel, path"] if supported else PATH
    assert phone.register("<sip:a@h>", headers=headers)[1] == status
    got = answer(phone.services)[1]
    assert got.get("Path") == (VECTOR if answered else None)
    assert got.get("Unsupported") == ("path" if status.startswith("420") else None)


def test_lookup_goes_by_the_path(phone_of: MakePhone) -> None:
    phone = phone_of(use_path=1, path_mode=0, path_use_received=1)
    received = "Path: <sip:p1;lr;received=sip:9.9.9.9:99%3btransport=tcp>"
    contact = phone.register("<sip:a@h>", headers=[received])[2]
    assert contact == '<sip:a@h>;expires=3600;received="sip:9.9.9.9:99;transport=tcp"'
    context = request(method="INVITE", uri="sip:alice@example.com")
    assert phone.registrar.lookup(context, b"location") == 1
    assert context.uri == b"sip:a@h"
    assert context.destination == b"sip:p1;lr;received=sip:9.9.9.9:99%3btransport=tcp"
    assert context.path == received.removeprefix("Path: ").encode()
    assert phone.register("<sip:a@h>", headers=["Path: foo<"])[1] == "400 Bad Request"


def test_received_of_a_variable_goes_to_lookup(phone_of: MakePhone) -> None:
    phone = phone_of(received_avp="$avp(rcv)")
    context = request(["<sip:a@h>"])
    context.shared.avps[b"rcv"] = [b"sip:7.7.7.7:77;transport=tcp"]
    assert phone.registrar.save(context, b"location") == 1
    assert 'received="sip:7.7.7.7:77;transport=tcp"' in answer(phone.services)[1]["Contact"]
    call = request(method="INVITE", uri="sip:alice@example.com")
    phone.registrar.lookup(call, b"location")
    assert call.destination == b"sip:7.7.7.7:77;transport=tcp"


def test_lookup_makes_branches_by_q(phone: Phone) -> None:
    phone.register("<sip:a@h>", "<sip:b@h>;q=0.2", "<sip:c@h>;q=0.9", headers=["User-Agent: ua"])
    context = request(method="INVITE", uri="sip:alice@example.com")
    context.destination = b"sip:old"
    assert phone.registrar.lookup(context, b"location") == 1
    assert (context.uri, context.destination) == (b"sip:c@h", b"")
    assert context.socket is phone.services.network.sockets[0]
    assert context.location_ua == b"ua"
    assert context.ruid.startswith(b"uloc-")
    assert [(b.uri, b.q) for b in context.branches] == [(b"sip:b@h", 200), (b"sip:a@h", -1)]
    assert len({context.ruid, *(b.ruid for b in context.branches)}) == 3


def test_lookup_without_branches_and_by_method(phone_of: MakePhone) -> None:
    phone = phone_of(append_branches=0, method_filtering=1)
    phone.register("<sip:a@h>", headers=["Allow: INVITE, ACK"])
    phone.register('<sip:b@h>;methods="INVITE, OPTIONS"', headers=["Allow: INVITE, ACK"])
    found = {}
    for method in ("INVITE", "OPTIONS", "MESSAGE"):
        context = request(method=method, uri="sip:alice@example.com")
        found[method] = (phone.registrar.lookup(context, b"location"), context.uri)
        assert context.branches == []
    assert found["INVITE"] == (1, b"sip:a@h")
    assert found["OPTIONS"] == (1, b"sip:b@h")
    assert found["MESSAGE"] == (-2, b"sip:alice@example.com")


@pytest.mark.parametrize(
    ("uri", "expected"), [("sip:nobody@example.com", -1), ("isbn:1234", -3), ("tel:+1", -1)]
)
def test_lookup_finds_none(phone: Phone, uri: str, expected: int) -> None:
    assert phone.registrar.lookup(request(method="INVITE", uri=uri), b"location") == expected
    assert phone.registrar.registered(request(method="INVITE", uri=uri), b"location") == -1


def test_expired_contacts_are_gone_at_once(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.register("<sip:a@h>;expires=60")
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    call = request(method="INVITE", uri="sip:alice@example.com")
    assert phone.registrar.lookup(call, b"location") == -1
    assert phone.register("<sip:b@h>") == (1, "200 OK", "<sip:b@h>;expires=3600")


def test_other_functions(phone: Phone) -> None:
    registrar = phone.registrar
    alice = b"sip:alice@example.com"
    phone.register("<sip:a@127.0.0.1:5080>", "<sip:b@h>")
    call = request(method="INVITE", uri="sip:bob@example.com")
    assert registrar.registered_uri(call, b"location", alice) == 1
    assert registrar.reg_from_user(call, b"location", alice, 0) == 1
    elsewhere = request(method="INVITE", source=(b"127.0.0.1", 999))
    assert registrar.reg_from_user(elsewhere, b"location", alice, 0) == -1
    assert registrar.reg_from_user(elsewhere, b"location", alice, 1) == 1
    assert registrar.lookup_to_dset(call, b"location", alice) == 1
    assert (call.uri, len(call.branches)) == (b"sip:bob@example.com", 2)
    assert registrar.lookup_uri(call, b"location", alice) == 1
    assert call.uri == b"sip:a@127.0.0.1:5080"
    assert registrar.unregister_ruid(call, b"location", alice, call.ruid) == 1
    assert registrar.unregister_ruid(call, b"location", alice, call.ruid) == -3
    assert phone.register()[2] == "<sip:b@h>;expires=3600"
    assert registrar.unregister(call, b"location", alice) == 1
    assert registrar.unregister(call, b"location", alice) == 1, "also when there is nobody"
    assert registrar.unregister(call, b"location", b"isbn:1") == -1


def test_save_uri_q_override_and_a_reply_of_the_scripts_own(phone: Phone) -> None:
    registrar = phone.registrar
    context = request(["<sip:a@h>;q=0.1"])
    assert registrar.set_q_override(context, b"abc") == -1
    assert registrar.set_q_override(context, b"0.8") == 1
    assert registrar.save_uri(context, b"location", 2 | 16, b"sip:carol@example.com") == 1
    assert phone.services.network.sent == []
    assert context.shared.reply_lines == [b"Contact: <sip:a@h>;q=0.8;expires=3600"]
    context.shared.reply_lines.clear()
    assert registrar.reg_send_reply(context) == 1
    assert answer(phone.services)[1]["Contact"] == "<sip:a@h>;q=0.8;expires=3600"
    assert registrar.reg_send_reply(context) == -1


@pytest.mark.parametrize(
    ("name", "status", "contacts"),
    [
        ("escnull", "200 OK", "<sip:%00@host5.example.com>;expires=3600, "
                              "<sip:%00%00@host5.example.com>;expires=3600"),
        ("cparam01", "200 OK", "<sip:+19725552222@gw1.example.net>;expires=3600"),
        ("cparam02", "200 OK", "<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600"),
        ("regescrt", "200 OK",
         "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"),
        ("regbadct", "200 OK",
         "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"),
        ("unksm2", "400 Bad Request", ""),
        ("regaut01", "200 OK", ""),
        ("ipv6-good", "200 OK", "<sip:caller@[2001:db8::1]>;expires=3600"),
        ("port-ambiguous", "200 OK", "<sip:caller@[2001:db8::1]>;expires=3600"),
        ("port-unambiguous", "200 OK", "<sip:caller@[2001:db8::1]>;expires=3600"),
        ("dblreq", "200 OK", "<sip:j.user@host.example.com>;expires=3600"),
    ],
)  # fmt: skip
def test_torture(phone: Phone, name: str, status: str, contacts: str) -> None:
    context = context_of((TORTURE / f"{name}.dat").read_bytes())
    assert context.message.fault is None
    phone.registrar.save(context, b"location")
    got, headers = answer(phone.services)
    assert (got, headers.get("Contact", "")) == (status, contacts)


def test_a_users_name_is_not_cut_at_an_escaped_null(phone: Phone) -> None:
    phone.register("<sip:a@h>", to="<sip:null-%00-null@example.com>")
    assert phone.register(to="<sip:null-@example.com>")[2] == ""
    assert phone.register(to="<sip:null-%00-null@example.com>")[2] == "<sip:a@h>;expires=3600"
