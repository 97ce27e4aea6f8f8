"""Outbound (RFC 5626) and GRUU (RFC 5627) against what Debian's Kamailio 5.6.3 answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kamailiod.modules.registrar import Registrar
from kamailiod.modules.usrloc import Usrloc
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.registering import Phone, answer, request

UUID = "urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF"
FLOW = f'<sip:alice@10.0.0.1:5060;transport=udp>;+sip.instance="<{UUID}>";reg-id=1'
SHOWN = f'<sip:alice@10.0.0.1:5060;transport=udp>;expires=3600;+sip.instance="<{UUID}>"'
OUTBOUND = ["Supported: outbound, path"]
SECOND_VIA = "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx"
MakePhone = Callable[..., Phone]


@pytest.fixture
def phone_of(services: FakeServices) -> MakePhone:
    def make(**params: object) -> Phone:
        services.load(Usrloc)
        registrar = services.load(Registrar, **params)
        services.start()
        return Phone(services, registrar)

    return make


def lines(phone: Phone) -> tuple[str | None, ...]:
    headers = answer(phone.services)[1]
    return tuple(headers.get(name) for name in ("Supported", "Require", "Flow-Timer"))


def test_without_outbound_a_flow_is_a_contact(phone_of: MakePhone) -> None:
    phone = phone_of()
    assert phone.register(FLOW, headers=OUTBOUND) == (1, "200 OK", SHOWN)
    assert lines(phone) == (None, None, None)
    assert phone.register(FLOW, headers=["Require: outbound"])[:2] == (-1, "420 Bad Extension")
    assert answer(phone.services)[1]["Unsupported"] == "outbound"


def test_outbound_when_it_is_asked_for(phone_of: MakePhone) -> None:
    phone = phone_of(outbound_mode=1, flow_timer=25)
    assert phone.register("<sip:plain@10.0.0.7>")[0] == 1
    assert lines(phone) == ("outbound", None, None)
    assert phone.register("<sip:plain@10.0.0.7>;expires=0")[0] == 3
    assert phone.register(FLOW, headers=OUTBOUND) == (1, "200 OK", f"{SHOWN};reg-id=1")
    assert lines(phone) == ("outbound", "outbound", "25")
    moved = FLOW.replace("10.0.0.1", "10.0.0.2")
    shown = SHOWN.replace("10.0.0.1", "10.0.0.2") + ";reg-id=1"
    assert phone.register(moved, headers=OUTBOUND) == (2, "200 OK", shown), "the flow's new place"
    second = FLOW.replace("10.0.0.1", "10.0.0.3").replace("reg-id=1", "reg-id=2")
    result, _, contacts = phone.register(second, headers=OUTBOUND)
    assert (result, contacts.count("+sip.instance"), contacts.count("reg-id=2")) == (1, 2, 1)


def test_outbound_that_is_demanded(phone_of: MakePhone) -> None:
    phone = phone_of(outbound_mode=2)
    assert phone.register(FLOW, headers=["Supported: gruu"])[:2] == (-1, "421 Extension Required")
    assert lines(phone) == ("outbound", "outbound", None)
    error = answer(phone.services)[1]["P-Registrar-Error"]
    assert error == "No support for Outbound indicated"
    assert phone.register(FLOW, headers=OUTBOUND)[:2] == (1, "200 OK")


def test_the_first_hop_must_know_outbound(phone_of: MakePhone) -> None:
    phone = phone_of(outbound_mode=1, use_path=1, path_mode=0)
    for path in ([], ["Path: <sip:p;lr>"], ["Path: <sip:p;lr;ob>, <sip:edge;lr>"]):
        result = phone.register(FLOW, headers=[SECOND_VIA, *OUTBOUND, *path])
        assert result == (-1, "439 First Hop Lacks Outbound Support", "")
    good = "Path: <sip:p;lr>, <sip:edge;lr;ob>"
    assert phone.register(FLOW, headers=[SECOND_VIA, *OUTBOUND, good])[:2] == (1, "200 OK")


def test_reg_id_without_outbound(phone_of: MakePhone) -> None:
    phone = phone_of(regid_mode=1)
    assert phone.register(FLOW)[2] == f"{SHOWN};reg-id=1"


def test_an_instance_that_moved_is_one_contact(phone_of: MakePhone) -> None:
    phone = phone_of()
    phone.register(FLOW)
    result, _, contacts = phone.register(FLOW.replace("10.0.0.1", "10.0.0.2"))
    assert (result, contacts) == (2, SHOWN.replace("10.0.0.1", "10.0.0.2"))


def test_instances_are_ignored_without_gruu(phone_of: MakePhone) -> None:
    phone = phone_of(gruu_enabled=0)
    assert phone.register(FLOW)[2] == "<sip:alice@10.0.0.1:5060;transport=udp>;expires=3600"


def test_gruus_in_the_answer_and_looked_up(phone_of: MakePhone) -> None:
    phone = phone_of()
    phone.register("<sip:alice@10.0.0.8>")
    contacts = phone.register(FLOW, headers=["Supported: gruu"])[2]
    public = f"sip:alice@example.com;gr={UUID}"
    assert f';pub-gruu="{public}";temp-gruu="sip:uloc-' in contacts
    temporary = contacts.partition('temp-gruu="')[2].partition('"')[0]
    assert temporary.endswith("@example.com;gr")
    for uri in (public, temporary):
        call = request(method="INVITE", uri=uri)
        assert phone.registrar.lookup(call, b"location") == 1
        assert (call.uri, call.branches) == (b"sip:alice@10.0.0.1:5060;transport=udp", [])
    for uri in (f"{public}0", temporary.replace("uloc", "x"), "sip:x@example.com;gr"):
        call = request(method="INVITE", uri=uri)
        assert phone.registrar.lookup(call, b"location") == -1
    plain = phone.register(FLOW)[2]
    assert "gruu" not in plain


def test_gruus_are_plain_users_when_turned_off(phone_of: MakePhone) -> None:
    phone = phone_of(gruu_enabled=0)
    phone.register("<sip:alice@10.0.0.8>")
    call = request(method="INVITE", uri="sip:alice@example.com;gr=urn:x")
    assert phone.registrar.lookup(call, b"location") == 1


@pytest.mark.parametrize("params", [{"outbound_mode": 3}, {"flow_timer": 25}, {"flow_timer": -1}])
def test_params_that_do_not_fit(services: FakeServices, params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="registrar: "):
        services.load(Registrar, **params).mod_init()
