"""siputils; return values are Kamailio 5.6.3's."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from kamailiod.modules.authentication.check import NOTE, find_authorization
from kamailiod.modules.siputils import Siputils
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()
REPLY = OPTIONS.replace(b"OPTIONS sip:joe;x=1@a.example:99;x=1 SIP/2.0", b"SIP/2.0 200 OK")


@pytest.fixture
def siputils(services: FakeServices) -> Siputils:
    module: Siputils = services.load(Siputils)
    services.start()
    return module


@pytest.fixture
def context() -> Context:
    return context_of(OPTIONS)


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("has_totag", (), -1), ("is_request", (), 1), ("is_reply", (), -1),
        ("is_first_hop", (), 1), ("is_sip", (), 1), ("is_http", (), -1),
        ("is_uri", (b"sip:a@b",), 1), ("is_uri", (b"xx",), -1), ("is_uri", (b"tel:+1",), 1),
        ("is_user", (b"joe",), -1), ("uri_param", (b"tag",), -1), ("uri_param", (b"x",), -1),
        ("uri_param_value", (b"x", b"1"), 1), ("uri_param_value", (b"x", b"2"), -1),
        ("uri_param_any", (b"x",), 1), ("uri_param_any", (b"q",), -1),
        ("is_tel_number", (b"+123",), 1), ("is_tel_number", (b"12a",), -2),
        ("is_tel_number", (b"",), -2), ("is_numeric", (b"123",), 1), ("is_numeric", (b"+1",), -2),
        ("is_numeric", (b"",), -2), ("is_alphanum", (b"a1",), 1), ("is_alphanum", (b"a-",), -3),
        ("is_alphanumex", (b"a-", b"-"), 1), ("is_alphanumex", (b"a_", b"-"), -3),
        ("cmp_uri", (b"sip:a@b", b"sip:a@B"), 1), ("cmp_uri", (b"sip:a@b", b"sip:a@b:5060"), -1),
        ("cmp_uri", (b"sip:a@b", b"sip:c@b"), -1), ("cmp_uri", (b"sip:%61@b", b"sip:a@b;x=1"), 1),
        ("cmp_uri", (b"sip:a@b;transport=tcp", b"sip:a@b"), -1),
        ("cmp_aor", (b"sip:a@b", b"sip:a@b;x=1"), 1), ("cmp_aor", (b"sip:a@b", b"sip:a@b:5060"), 1),
        ("cmp_aor", (b"sip:a@b", b"sip:c@b"), -1), ("cmp_hdr_name", (b"From", b"f"), 1),
        ("cmp_hdr_name", (b"From", b"To"), -1), ("cmp_hdr_name", (b"X-a", b"x-A"), 1),
        ("is_gruu", (), -1), ("is_gruu", (b"sip:a@b;gr=urn:x",), 2),
        ("is_gruu", (b"sip:a@b;gr",), 1),
        ("hdr_date_check", (10,), -1), ("contact_param_check", (b"x",), -1),
    ],
)  # fmt: skip
def test_answers(
    siputils: Siputils,
    context: Context,
    function: str,
    arguments: tuple[object, ...],
    result: int,
) -> None:
    assert getattr(siputils, function)(context, *arguments) == result


def test_replies_and_dialogs(siputils: Siputils) -> None:
    reply = context_of(REPLY.replace(b"<sip:bob@b.example>", b"<sip:bob@b.example>;tag=2"))
    assert siputils.has_totag(reply) == 1
    assert (siputils.is_request(reply), siputils.is_reply(reply)) == (-1, 1)


def test_a_second_via_is_no_first_hop(siputils: Siputils) -> None:
    via = b"Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKabc\r\n"
    assert siputils.is_first_hop(context_of(OPTIONS.replace(via, via + via))) == -1
    other = context_of(OPTIONS, source=(b"192.0.2.1", 1))
    assert (siputils.is_first_hop(other), siputils.is_first_hop_mode(other, 1)) == (1, -1)


def test_parameters_of_the_request_uri(siputils: Siputils, context: Context) -> None:
    context.set_uri(b"sip:a@h:77;p=1?x=y")
    assert siputils.add_uri_param(context, b"z=9") == 1
    assert context.uri == b"sip:a@h:77;p=1;z=9?x=y"
    assert siputils.uri_param_rm(context, b"P") == 1
    assert context.uri == b"sip:a@h:77;z=9?x=y"
    assert siputils.uri_param_rm(context, b"nn") == -1


def test_only_checked_credentials_say_who_the_user_is(siputils: Siputils) -> None:
    line = b'Authorization: Digest username="joe", realm="r", nonce="n", uri="sip:r", response="0"'
    context = context_of(OPTIONS.replace(b"X-C: 3", line))
    found = find_authorization(context.message, b"authorization", b"r", b"")
    assert found is not None
    context.shared.notes[NOTE] = found
    assert siputils.is_user(context, b"joe") == -1
    found.authorized = True
    assert siputils.is_user(context, b"joe") == 1
    assert siputils.is_user(context, b"ann") == -1


def test_date_check(siputils: Siputils) -> None:
    def dated(date: str) -> Context:
        return context_of(OPTIONS.replace(b"X-C: 3", b"Date: " + date.encode()))

    assert siputils.hdr_date_check(dated(formatdate(usegmt=True)), 60) == 1
    assert siputils.hdr_date_check(dated("Sat, 13 Nov 2010 23:29:00 GMT"), 60) == -3
    assert siputils.hdr_date_check(dated("yesterday"), 60) == -2


def contact(context: Context) -> bytes:
    data = context.edits.apply(context.message)
    return next(line for line in data.split(b"\r\n") if line.startswith(b"Contact"))


def test_a_packed_contact_is_restored(siputils: Siputils, context: Context) -> None:
    assert siputils.encode_contact(context, b"pre", b"proxy.example") == 1
    assert contact(context) == b"Contact: <sip:pre*me**1.1.1.1**@proxy.example>"
    back = context_of(context.edits.apply(context.message))
    assert siputils.decode_contact_header(back) == 1
    assert contact(back) == b"Contact: <sip:me@1.1.1.1>"
    back.set_uri(b"sip:pre*me*pw*1.1.1.1*5070*tcp@proxy.example")
    assert siputils.decode_contact(back) == 1
    assert back.uri == b"sip:me:pw@1.1.1.1:5070;transport=tcp"
    assert siputils.decode_contact(back) == -1


def test_an_encoded_contact_is_restored(siputils: Siputils, context: Context) -> None:
    assert siputils.contact_param_encode(context, b"ori", b"sip:gw.example") == 1
    assert contact(context).startswith(b"Contact: <sip:gw.example;ori=")
    back = context_of(context.edits.apply(context.message))
    assert siputils.contact_param_check(back, b"ori") == 1
    back.set_uri(contact(context)[10:-1])
    assert siputils.contact_param_decode_ruri(back, b"ori") == 1
    assert back.uri == b"sip:me@1.1.1.1"
    assert siputils.contact_param_decode(back, b"ori") == 1
    assert contact(back) == b"Contact: <sip:me@1.1.1.1>"
    again = context_of(context.edits.apply(context.message))
    assert siputils.contact_param_rm(again, b"ori") == 1
    assert contact(again) == b"Contact: <sip:gw.example>"
    assert siputils.contact_param_decode(context_of(OPTIONS), b"ori") == -1


def test_options_reply(siputils: Siputils, services: FakeServices, context: Context) -> None:
    assert siputils.options_reply(context) == -1
    assert not services.network.sent
    context.set_uri(b"sip:127.0.0.1")
    assert siputils.options_reply(context) == 1
    reply = services.network.sent[0][1]
    assert reply.startswith(b"SIP/2.0 200 OK\r\n")
    assert b"\r\nAccept: */*\r\n" in reply
