"""The plain form of a Contact, against the whole grammar."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kamailiod.modules.registration.contact import plain_contact
from kamailiod.sip.message import SipMessage, parse

HEAD = (
    b"REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:u@h>;tag=1\r\n"
    b"To: <sip:u@h>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n%sContent-Length: 0\r\n\r\n"
)
PIECES = st.sampled_from(
    b'< > sip: sips: SIP: u @ h :5060 :99999 : ;transport=tcp ;ob ;+sip.instance="<urn:x>" ;q=0.5'
    b' ;expires=60 = ; , " \\ [::1] ? % * -'.split(b" ")
)


def message(*contacts: bytes) -> SipMessage:
    return parse(HEAD % b"".join(b"Contact: %b\r\n" % contact for contact in contacts))


@pytest.mark.parametrize(
    "text",
    [
        b"<sip:alice@192.0.2.1>",
        b"<sips:alice@192.0.2.1:5061;transport=tcp;ob>;expires=60;q=0.5",
        b'<sip:a.b+c@h;x=1>;+sip.instance="<urn:uuid:0-1>";reg-id=1',
    ],
)
def test_what_phones_send_is_plain_and_reads_as_the_grammar_has_it(text: bytes) -> None:
    request = message(text)
    plain = plain_contact(request)
    assert plain is not None
    assert request.contacts is not None
    [whole] = request.contacts
    assert (plain.uri_text, plain.parameters) == (whole.uri_text, whole.parameters)
    assert whole.uri is not None


@pytest.mark.parametrize(
    "contacts",
    [(), (b"*",), (b"<sip:a@h>", b"<sip:b@h>"), (b"<sip:a@h>, <sip:b@h>",), (b"<sip:a@h:99999>",)],
)
def test_anything_else_is_left_to_the_grammar(contacts: tuple[bytes, ...]) -> None:
    assert plain_contact(message(*contacts)) is None


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=9).map(b"".join))
@example(b'<sip:u@h>;x="a,b"')
@example(b"<sip:u@h>;q=0.5;expires=60")
def test_nothing_is_plain_that_the_grammar_reads_otherwise(text: bytes) -> None:
    for contact in (text, b"<sip:u@h" + text, b"<sip:u@h>" + text):
        request = message(contact)
        plain = plain_contact(request)
        if plain is not None:
            assert request.contacts is not None
            [whole] = request.contacts
            assert (plain.uri_text, plain.parameters) == (whole.uri_text, whole.parameters)
            assert whole.uri is not None
