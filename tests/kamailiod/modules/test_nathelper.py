"""nathelper from Lua; values and texts are Kamailio 5.6.3's unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kamailiod.modules.nathelper import Nathelper
from kamailiod.modules.registration.contact import plain_contact
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context, Route
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

CONTACT = b'"Al" <sip:alice@10.0.0.9:5066;ob>;expires=30'
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 10.0.0.9\r\n"
)
FIXED = SDP.replace(b"10.0.0.9", b"127.0.0.1")
SIGN = b"alias=127.0.0.1~5080~1"


def message(
    contact: bytes = CONTACT, host: bytes = b"10.0.0.9", port: int = 5066, more: bytes = b"",
    uri: bytes = b"sip:bob@example.com", method: bytes = b"INVITE", sdp: bytes = SDP,
    listen: ListenAddress | None = None, source: tuple[bytes, int] = (b"127.0.0.1", 5080),
) -> Context:  # fmt: skip
    data = (
        b"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKn\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: nat\r\nCSeq: 1 %s\r\n%s%s"
        b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s"
        % (method, uri, host, port, method, b"Contact: %s\r\n" % contact if contact else b"", more,
           len(sdp), sdp)
    )  # fmt: skip
    if listen is not None:
        return context_of(data, source=source, listen=listen)
    return context_of(data, source=source)


@pytest.fixture
def lua(services: FakeServices) -> LuaCalls:
    return LuaCalls(services, [services.load(Nathelper, received_avp="$avp(rcv)")])


def sent(context: Context, name: bytes) -> list[bytes]:
    lines = context.edits.apply(context.message).split(b"\r\n")
    return [line.partition(b": ")[2] for line in lines if line.startswith(name + b": ")]


PUBLIC = {"contact": b"<sip:a@5.6.7.8:5066>", "host": b"5.6.7.8",
          "sdp": SDP.replace(b"10.0.0.9", b"5.6.7.8")}  # fmt: skip
HERE = {"contact": b"<sip:a@127.0.0.1:5080>", "host": b"127.0.0.1", "port": 5080, "sdp": FIXED}


@pytest.mark.parametrize(
    ("bit", "private", "public", "here"),
    [
        (1, 1, -1, -1), (2, 1, 1, -1), (4, 1, -1, -1), (8, 1, -1, -1), (16, 1, 1, -1),
        (32, -1, -1, -1), (64, -1, -1, -1), (128, 1, 1, -1), (256, 1, 1, -1), (512, -1, -1, -1),
        (1023, 1, 1, -1), (0, -1, -1, -1),
    ],
)  # fmt: skip
def test_uac_tests(lua: LuaCalls, bit: int, private: int, public: int, here: int) -> None:
    call = f"return KSR.nathelper.nat_uac_test({bit})"
    assert lua(message(), call) == private
    assert lua(message(**PUBLIC), call) == public  # type: ignore[arg-type]  # keyword by keyword
    assert lua(message(**HERE), call) == here  # type: ignore[arg-type]  # keyword by keyword


def test_uac_tests_of_source_transport_and_contact(lua: LuaCalls) -> None:
    call = "return KSR.nathelper.nat_uac_test({})"
    assert lua(message(source=(b"192.168.1.1", 5060)), call.format(32)) == 1
    websocket = ListenAddress(0, b"ws", b"127.0.0.1", 8080)
    assert lua(message(listen=websocket), call.format(64)) == 1
    assert lua(message(contact=b""), call.format(1 | 128)) == -1
    assert lua(message(sdp=b""), call.format(8 | 256)) == -1
    assert lua(message(contact=b"<sip:a@5.6.7.8>", source=(b"5.6.7.8", 5060)), call.format(128)) < 0


@pytest.mark.parametrize(
    ("uri", "destination", "result"),
    [
        (b"sip:example.com", b"sip:9.9.9.9:99", 1), (b"sip:example.com", b"sip:example.com", -1),
        (b"sip:example.com", b"sip:example.com:5061", 1), (b"sip:example.com;transport=ws", b"", 1),
        (b"sip:example.com", b"sip:example.com;transport=ws", 1), (b"sip:example.com", b"", -1),
    ],
)  # fmt: skip
def test_uac_test_of_the_target(
    lua: LuaCalls, uri: bytes, destination: bytes, result: int
) -> None:
    context = message(uri=uri)
    context.destination = destination
    assert lua(context, "return KSR.nathelper.nat_uac_test(512)") == result


def test_uac_test_of_a_replys_target(lua: LuaCalls) -> None:
    reply = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1, SIP/2.0/UDP %s;"
        b"branch=z9hG4bK2\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\n"
        b"CSeq: 1 BYE\r\n\r\n"
    )
    call = "return KSR.nathelper.nat_uac_test(512)"
    for via, result in (
        (b"1.1.1.1", -1), (b"1.1.1.1;received=2.2.2.2", 1), (b"1.1.1.1;received=1.1.1.1", -1),
        (b"1.1.1.1;rport=5060", -1), (b"1.1.1.1;rport=5061", 1),
    ):  # fmt: skip
        assert lua(context_of(reply % via, Route.REPLY), call) == result


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("10.1.1.1", 1), ("172.15.1.1", -1), ("172.16.1.1", 1), ("172.31.255.255", 1),
        ("172.32.0.1", -1), ("192.168.3.3", 1), ("100.64.0.1", 1), ("100.128.0.1", -1),
        ("192.0.0.254", 1), ("192.0.1.1", -1), ("127.0.0.1", -1), ("8.8.8.8", -1), ("foo", -1),
        ("::1", -1), ("1.2.3", -1), ("", -1),
    ],
)  # fmt: skip
def test_private_addresses(
    services: FakeServices, lua: LuaCalls, address: str, result: int
) -> None:
    assert lua(message(), f'return KSR.nathelper.is_rfc1918("{address}")') == result


def test_only_default_blocks(services: FakeServices) -> None:
    strict: Nathelper = services.load(Nathelper, nat_addr_mode=0)
    assert strict.is_rfc1918(message(), b"192.0.0.7") == 1
    assert strict.is_rfc1918(message(), b"192.0.0.9") == -1


CONTACTS = [
    ("fix_nated_contact()", CONTACT, 1, b'"Al" <sip:alice@127.0.0.1:5080;ob>;expires=30'),
    ("fix_nated_contact()", b"sip:alice@10.0.0.9:5066;expires=30", 1,
     b"sip:alice@127.0.0.1:5080;expires=30"),
    ("fix_nated_contact()", b"<sip:a@[::1]:5066>", 1, b"<sip:a@127.0.0.1:5080>"),
    ("fix_nated_contact()", b"<sip:a@h?x=1>", 1, b"<sip:a@127.0.0.1:5080?x=1>"),
    ("fix_nated_contact()", CONTACT + b", <sip:z@10.0.0.8>", 1,
     CONTACT + b", <sip:z@127.0.0.1:5080>"),
    ("fix_nated_contact()", b"*", -1, b"*"),
    ("set_contact_alias()", CONTACT, 1,
     b'"Al" <sip:alice@10.0.0.9:5066;ob;' + SIGN + b">;expires=30"),
    ("set_contact_alias()", b"sip:al@h;expires=30", 1, b"<sip:al@h;" + SIGN + b">;expires=30"),
    ("set_contact_alias()", b"<sip:al@h;alias=1.1.1.1~1~1;x=1>", 1,
     b"<sip:al@h;alias=1.1.1.1~1~1;x=1;" + SIGN + b">"),
    ("set_contact_alias_trim()", b"<sip:al@h;alias=1.1.1.1~1~1;x=1>", 1,
     b"<sip:al@h;x=1;" + SIGN + b">"),
    ("set_contact_alias_trim()", b"*", -1, b"*"),
    ("add_contact_alias()", CONTACT, 1,
     b'"Al" <sip:alice@10.0.0.9:5066;' + SIGN + b";ob>;expires=30"),
    ("add_contact_alias()", b"<sip:al@127.0.0.1:5080>", 1,
     b"<sip:al@127.0.0.1:5080;" + SIGN + b">"),
    ("add_contact_alias()", b"<sip:al@127.0.0.1:5080;transport=udp>", 2,
     b"<sip:al@127.0.0.1:5080;transport=udp>"),
    ("add_contact_alias()", b"*", -1, b"*"),
    ('add_contact_alias_addr("1.2.3.4", "5", "tcp")', b"<sip:al@h;ob>", 1,
     b"<sip:al@h;alias=1.2.3.4~5~2;ob>"),
    ('add_contact_alias_addr("1.2.3.4", "5", "zzz")', CONTACT, -1, CONTACT),
    ('add_contact_alias_addr("host", "5", "udp")', CONTACT, -1, CONTACT),
    ('add_contact_alias_addr("1.2.3.4", "x", "udp")', CONTACT, -1, CONTACT),
    ("add_rcv_param(0)", CONTACT, 1, CONTACT + b';received="sip:127.0.0.1:5080"'),
    ("add_rcv_param(0)", b"<sip:a@h>, sip:b@h", 1,
     b'<sip:a@h>;received="sip:127.0.0.1:5080", sip:b@h;received="sip:127.0.0.1:5080"'),
    ("add_rcv_param(1)", CONTACT, 1,
     b'"Al" <sip:alice@10.0.0.9:5066;ob;received=sip:127.0.0.1:5080>;expires=30'),
    ("add_rcv_param(1)", b"sip:b@h;expires=3", 1, b"sip:b@h;received=sip:127.0.0.1:5080;expires=3"),
    ("add_rcv_param(1)", b"*", 1, b"*"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "contact", "result", "becomes"), CONTACTS)
def test_contacts(
    lua: LuaCalls, call: str, contact: bytes, result: int, becomes: bytes
) -> None:
    context = message(contact=contact)
    assert lua(context, f"return KSR.nathelper.{call}") == result
    assert sent(context, b"Contact") == [becomes]
    assert context.message.header(b"contact") == contact


def test_without_a_contact(lua: LuaCalls) -> None:
    for call, result in (
        ("fix_nated_contact()", -1), ("set_contact_alias()", -1), ("set_contact_alias_trim()", -1),
        ("add_contact_alias()", 2), ("add_rcv_param(0)", 1),
    ):  # fmt: skip
        assert lua(message(contact=b""), f"return KSR.nathelper.{call}") == result


def test_who_saves_contacts_sees_the_new_one(lua: LuaCalls) -> None:
    invite = message()
    lua(invite, "KSR.nathelper.set_contact_alias()")
    (contact,) = invite.message.contacts or ()
    assert contact.uri_text == b"sip:alice@10.0.0.9:5066;ob;" + SIGN
    register = message(contact=b"<sip:al@10.0.0.9>", method=b"REGISTER")
    assert lua(register, "return KSR.nathelper.fix_nated_contact()") == 1
    saved = plain_contact(register.message)
    assert saved is not None
    assert saved.uri_text == b"sip:al@127.0.0.1:5080"
    assert sent(register, b"Contact") == [b"<sip:al@127.0.0.1:5080>"]


@pytest.mark.parametrize(
    ("parameters", "mode", "result", "left", "destination"),
    [
        (b";alias=1.2.3.4~5~1", 0, 1, b"", b"sip:1.2.3.4:5"),
        (b";x=1;alias=1.2.3.4~5~2;y=2", 0, 1, b";x=1;y=2", b"sip:1.2.3.4:5;transport=tcp"),
        (b";alias=1.2.3.4~5~1;alias=4.3.2.1~6~3", 0, 1, b";alias=4.3.2.1~6~3", b"sip:1.2.3.4:5"),
        (b";alias=1.2.3.4~5~1;alias=4.3.2.1~6~3", 1, 1, b";alias=1.2.3.4~5~1",
         b"sip:4.3.2.1:6;transport=tls"),
        (b";alias=[::1]~5~6?x=y", 0, 1, b"?x=y", b"sip:[::1]:5;transport=ws"),
        (b"", 0, 2, b"", b""), (b";alias", 0, 2, b";alias", b""),
        (b";alias=1.2.3.4", 0, -1, b";alias=1.2.3.4", b""),
        (b";alias=1.2.3.4~5~9", 0, -1, b";alias=1.2.3.4~5~9", b""),
        (b";alias=1.2.3.4~x~1", 0, -1, b";alias=1.2.3.4~x~1", b""),
    ],
)  # fmt: skip
def test_alias_of_the_request_uri(
    lua: LuaCalls, parameters: bytes, mode: int, result: int, left: bytes, destination: bytes
) -> None:
    context = message(uri=b"sip:bob@example.com" + parameters)
    assert lua(context, f"return KSR.nathelper.handle_ruri_alias_mode({mode})") == result
    assert (context.uri, context.destination) == (b"sip:bob@example.com" + left, destination)
    if mode == 0:
        again = message(uri=b"sip:bob@example.com" + parameters)
        assert lua(again, "return KSR.nathelper.handle_ruri_alias()") == result
        assert again.destination == destination


def test_alias_to_a_variable(services: FakeServices, lua: LuaCalls) -> None:
    call = 'return KSR.nathelper.set_alias_to_pv("$avp(al)")'
    context = message(contact=b"<sip:a@b;alias=3.3.3.3~33~1>")
    assert lua(context, call) == 1
    assert services.variables.accessors[b"$avp(al)"].get(context) == b"sip:3.3.3.3:33;transport=udp"
    for contact in (b"<sip:a@b>", b"*", b"<sip:a@b;alias=x>, <sip:c@d>", b""):
        assert lua(message(contact=contact), call) == -1


def test_register(services: FakeServices, lua: LuaCalls) -> None:
    context = message(method=b"REGISTER")
    assert lua(context, "return KSR.nathelper.fix_nated_register()") == 1
    assert services.variables.accessors[b"$avp(rcv)"].get(context) == b"sip:127.0.0.1:5080"
    bare: Nathelper = services.load(Nathelper)
    assert bare.fix_nated_register(context) == -1
    over_tls = message(listen=ListenAddress(0, b"tls", b"::1", 5061), source=(b"::1", 7))
    assert lua(over_tls, "return KSR.nathelper.fix_nated_register()") == 1
    found = services.variables.accessors[b"$avp(rcv)"].get(over_tls)
    assert found == b"sip:[::1]:7;transport=tls"


OLD = b"a=oldmediaip:10.0.0.9\r\n"
ONLY_MEDIA = FIXED.replace(b"o=- 1 1 IN IP4 127.0.0.1", b"o=- 1 1 IN IP4 10.0.0.9")
ONLY_ORIGIN = FIXED.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 10.0.0.9")


@pytest.mark.parametrize(
    ("call", "result", "body"),
    [
        ("fix_nated_sdp(0)", 2, None), ("fix_nated_sdp(16)", 2, None),
        ("fix_nated_sdp(1)", 2, SDP + b"a=direction:active\r\n"),
        ("fix_nated_sdp(2)", 1, ONLY_MEDIA + OLD * 2),
        ("fix_nated_sdp(4)", 2, SDP + b"a=nortpproxy:yes\r\n"),
        ("fix_nated_sdp(8)", 1, ONLY_ORIGIN + OLD * 2),
        ("fix_nated_sdp(10)", 1, FIXED + OLD * 3),
        ('fix_nated_sdp_ip(10, "7.7.7.7")', 1, SDP.replace(b"10.0.0.9", b"7.7.7.7") + OLD * 3),
    ],
)
def test_sdp(lua: LuaCalls, call: str, result: int, body: bytes | None) -> None:
    context = message()
    assert lua(context, f"return KSR.nathelper.{call}") == result
    assert context.edits.body == body


def test_sdp_that_needs_nothing(services: FakeServices, lua: LuaCalls) -> None:
    assert lua(message(sdp=b""), "return KSR.nathelper.fix_nated_sdp(3)") == -1
    assert lua(message(sdp=FIXED), "return KSR.nathelper.fix_nated_sdp(10)") == 2
    held = message(sdp=b"v=0\r\nc=IN IP4 0.0.0.0\r\n")
    assert lua(held, "return KSR.nathelper.fix_nated_sdp(2)") == 2
    marked = message(sdp=SDP + b"a=nortpproxy:yes\r\n")
    assert lua(marked, "return KSR.nathelper.fix_nated_sdp(4)") == 2
    assert marked.edits.body is None
    quiet: Nathelper = services.load(Nathelper, append_sdp_oldmediaip=0)
    context = message(source=(b"2001:db8::1", 5060))
    assert quiet.fix_nated_sdp_ip(context, 2) == 1
    assert b"c=IN IP6 2001:db8::1\r\n" in (context.edits.body or b"")
    assert b"oldmediaip" not in (context.edits.body or b"")


def test_record_routes_are_counted(services: FakeServices, lua: LuaCalls) -> None:
    def counts(more: bytes) -> tuple[object, object]:
        context = message(more=more)
        read: Callable[[bytes], object] = lambda n: services.variables.accessors[n].get(context)  # noqa: E731  # short
        return read(b"$rr_count"), read(b"$rr_top_count")

    double = b"Record-Route: <sip:1.1.1.1;lr;r2=on>, <sip:1.1.1.2;lr;r2=on>\r\n"
    single = b"Record-Route: <sip:3.3.3.3;lr>\r\n"
    assert counts(b"") == (0, 0)
    assert counts(single) == (1, 1)
    assert counts(double + single) == (3, 2)
