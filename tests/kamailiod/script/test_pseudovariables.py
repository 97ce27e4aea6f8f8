"""Pseudo-variables: syntax, reading, writing, texts; values as Kamailio 5.6.3 gives them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from kamailiod.net.address import ListenAddress, Source
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.pseudovariables import CACHED, PseudoVariables
from kamailiod.script.variables.accessor import Accessor, Specification
from kamailiod.sip.message import parse

MESSAGES = Path(__file__).parents[2] / "messages"
LOCAL = ListenAddress(0, b"udp", b"127.0.0.1", 5060)
REPLY = (
    b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
    b"To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
)


class Script:
    """One request, its variables, and the lines logged."""

    def __init__(self, data: bytes) -> None:
        self.lines: list[str] = []
        self.variables = PseudoVariables(
            Log(DEBUG, write=lambda level, text: self.lines.append(text))
        )
        message = parse(data)
        assert message.fault is None
        self.context = Context(message, Source(LOCAL, b"192.0.2.7", 5099, 0, 0.0))

    def get(self, spec: bytes) -> Value:
        return self.variables.accessors[spec].get(self.context)

    def set(self, spec: bytes, value: Value) -> bool:
        return self.variables.accessors[spec].set(self.context, value)

    def unset(self, spec: bytes) -> bool:
        return self.variables.accessors[spec].unset(self.context)

    def expand(self, text: bytes) -> bytes:
        return self.variables.format(text).expand(self.context)


@pytest.fixture
def script() -> Script:
    return Script((MESSAGES / "pseudovariables.sip").read_bytes())


READ = {
    b"$rU": b"bob",
    b"$(rU)": b"bob",
    b" $rU ": b"bob",
    b"$rd": b"biloxi.com",
    b"$rp": b"5070",
    b"$rP": b"tcp",
    b"$rz": b"tel",
    b"$rUl": 3,
    b"$oU": b"bob",
    b"$du": None,
    b"$nh(U)": b"bob",
    b"$fu": b"sip:alice@atlanta.com;x=y",
    b"$from.user": b"alice",
    b"$fn": b'"Alice A"',
    b"$ft": b"1928301774",
    b"$tn": b"Bob X",
    b"$tt": None,
    b"$tts": 0,
    b"$rm": b"INVITE",
    b"$rmid": 1,
    b"$rs": None,
    b"$mt": 1,
    b"$ci": b"a84b4c76e66710@pc33",
    b"$cs": b"314159",
    b"$cT": b"application/sdp",
    b"$cl": 10,
    b"$bs": 10,
    b"$rb": b"v=0\r\no=-\r\n",
    b"$msg(hdrc)": 22,
    b"$hdr(Subject)": b"the subject",
    b"$hdr(s)": b"the subject",
    b"$(hdr(X-Multi)[1])": b"two, three",
    b"$(hdr(X-Multi)[-2])": b"one",
    b"$(hdr(X-Multi)[7])": None,
    b"$(hdr(X-Multi)[*])": b"one,two, three",
    b"$hdrc(X-Multi)": 2,
    b"$hdrc(Nope)": 0,
    b"$(hfl(Via)[1])": b"SIP/2.0/TCP second.com;branch=z9hG4bK2",
    b"$hflc(Via)": 3,
    b"$(hfl(Route)[1])": b"<sip:p2.example.com:5080;lr>",
    b"$rt": b"sip:ref@h.org",
    b"$dir": b"user-busy",
    b"$ai": b"sip:pai@h.org",
    b"$pU": b"ppi",
    b"$au": b"alice",
    b"$ar": b"atlanta.com",
    b"$adn": b"abc",
    b"$Au": b"alice@atlanta.com",
    b"$via0(port)": 5066,
    b"$via1(port)": 5060,
    b"$via1(protoid)": 2,
    b"$viaZ(received)": b"9.9.9.9",
    b"$expires(min)": 60,
    b"$expires(max)": 300,
    b"$route_uri": b"sip:p1.example.com;lr",
    b"$si": b"192.0.2.7",
    b"$sp": 5099,
    b"$su": b"sip:192.0.2.7:5099",
    b"$proto": b"udp",
    b"$prid": 1,
    b"$af(name)": b"IPv4",
    b"$Ras": b"udp:127.0.0.1:5060",
    b"$Rn": None,
    b"$conid": None,
    b"$K(TLS)": 3,
    b"$null": None,
    b"$$": b"$",
    b"$C(xy)": b"\x1b[0;39;43m",
    b"$En": b"\n",
    b"$err.class": None,
    b"$version(num)": b"5.6.3",
    b"$cnt($avp(x))": 0,
    b"$_s($fU and $null)": b"alice and <null>",
    b"$sel(via[1].host)": b"pc33.atlanta.com",
    b"$sel(via[2].host)": b"second.com",
    b"$sel(via[-1].host)": b"third.org",
    b"$sel(from.uri.user)": b"alice",
    b"$sel(ruri.params.transport)": b"tcp",
    b"$sel(cseq.num)": b"314159",
    b'$sel(hf_value["X-Multi"])': b"one",
    b"$(fU{s.len})": 5,
    b"$(fU{s.toupper}{s.substr,1,2})": b"LI",
    b"$(fU{s.strip,$hdrc(X-Multi)})": b"ice",
    b"$(du{s.len})": None,
}


@pytest.mark.parametrize("spec", READ)
def test_reading(script: Script, spec: bytes) -> None:
    assert script.get(spec) == READ[spec]
    assert script.lines == []


@pytest.mark.parametrize(
    "spec",
    [
        b"$nope",
        b"$nope(x)",
        b"x$fU",
        b"$fU.",
        b"$fU{s.len}",
        b"$(fU{s.nope})",
        b"$(fU",
        b"$msg(x)",
        b"",
    ],
)
def test_what_is_no_variable_is_nothing_and_logged_once(script: Script, spec: bytes) -> None:
    assert script.get(spec) is None
    assert not script.set(spec, b"x")
    assert script.variables.compile(spec) is None
    assert len(script.lines) == 1


def test_reply() -> None:
    script = Script(REPLY)
    script.context.uri = b"sip:request@uri"
    assert script.get(b"$rs") == 486
    assert script.get(b"$rr") == b"Busy Here"
    assert script.get(b"$rm") == b"INVITE"
    assert script.get(b"$ru") is None
    assert script.get(b"$rU") is None
    assert script.get(b"$mts") == b"rp"


def test_request_uri_is_written_at_once(script: Script) -> None:
    assert script.set(b"$rU", b"carol")
    assert script.set(b"$rd", b"h2.org")
    assert script.set(b"$rp", b"7777")
    assert script.context.uri == b"sip:carol:pw@h2.org:7777;transport=tcp;user=phone?Subject=hi"
    assert not script.set(b"$rU", 5)
    assert not script.set(b"$rp", 5060)
    assert script.set(b"$ru", b"bad uri")
    assert script.get(b"$ru") is None
    assert not script.set(b"$rU", b"x")
    assert script.set(b"$ru", b"sip:x@y.org")
    assert script.unset(b"$rU")
    assert script.get(b"$ru") == b"sip:y.org"
    assert script.get(b"$ou") != script.get(b"$ru")


def test_destination(script: Script) -> None:
    assert script.set(b"$du", b"sip:9.9.9.9:5099;transport=tcp")
    assert script.context.destination == b"sip:9.9.9.9:5099;transport=tcp"
    assert [script.get(b"$dd"), script.get(b"$dp"), script.get(b"$dP")] == [
        b"9.9.9.9",
        b"5099",
        b"tcp",
    ]
    assert script.get(b"$nh(d)") == b"9.9.9.9"
    assert script.unset(b"$du")
    assert script.get(b"$du") is None


def test_from_and_to_change_only_what_is_sent(script: Script) -> None:
    assert script.set(b"$fu", b"sip:new@from.org")
    assert script.set(b"$fU", b"user")
    assert script.set(b"$fn", b'"Dn"')
    assert script.set(b"$td", b"to.org")
    assert not script.set(b"$fU", 3)
    assert script.get(b"$fu") == b"sip:alice@atlanta.com;x=y"
    sent = script.get(b"$mbu")
    assert isinstance(sent, bytes)
    assert b'\r\nFrom: "Dn" <sip:user@from.org>;tag=1928301774\r\n' in sent
    assert b"\r\nTo: Bob X <sip:bob@to.org:5099>\r\n" in sent


def test_read_only_variables_take_everything_and_do_nothing(script: Script) -> None:
    assert script.set(b"$ci", b"x")
    assert script.set(b"$si", 1)
    assert script.get(b"$ci") == b"a84b4c76e66710@pc33"


def test_var_starts_as_zero(script: Script) -> None:
    assert script.get(b"$var(a)") == 0
    assert script.get(b"$vn(a)") is None
    script.set(b"$var(a)", b"7")
    assert script.get(b"$var(a)") == b"7"
    script.unset(b"$var(a)")
    assert script.get(b"$var(a)") == 0


def test_avp_is_a_stack(script: Script) -> None:
    for value in (b"one", b"two", 3):
        script.set(b"$avp(x)", value)
    assert script.get(b"$avp(s:x)") == 3
    assert script.get(b"$(avp(x)[*])") == b"3, two, one"
    assert script.get(b"$(avp(x)[1])") == b"two"
    assert script.get(b"$cnt($avp(x))") == 3
    script.set(b"$(avp(x)[1])", b"2")
    script.unset(b"$avp(x)")
    assert script.get(b"$(avp(x)[*])") == b"2, one"
    script.set(b"$(avp(x)[*])", b"all")
    assert script.get(b"$(avp(x)[*])") == b"all"
    script.unset(b"$(avp(x)[*])")
    assert script.get(b"$avp(x)") is None
    script.set(b"$avp(i:5)", b"five")
    assert script.get(b"$avp(i:5)") == b"five"
    assert script.get(b"$avp(5)") is None


def test_avps_belong_to_the_transaction(script: Script) -> None:
    script.set(b"$avp(x)", b"kept")
    later = script.context.derive(Route.FAILURE)
    assert script.variables.accessors[b"$avp(x)"].get(later) == b"kept"


def test_xavp(script: Script) -> None:
    script.set(b"$xavp(a=>b)", b"1")
    script.set(b"$xavp(a=>b)", b"2")
    assert script.get(b"$xavp(a=>b)") == b"2"
    assert script.get(b"$xavp(a[1]=>b)") == b"1"
    script.set(b"$xavp(a[0]=>c)", b"cc")
    script.set(b"$xavp(a[0]=>b)", b"22")
    assert [script.get(b"$xavp(a=>c)"), script.get(b"$xavp(a=>b[0])")] == [b"cc", b"22"]
    assert script.get(b"$cnt($xavp(a))") == 2
    script.unset(b"$xavp(a)")
    assert script.get(b"$xavp(a=>b)") == b"1"
    assert script.set(b"$xavp(z[0]=>c)", b"q")
    assert script.get(b"$xavp(z=>c)") is None
    script.unset(b"$xavp(a=>b)")
    assert script.get(b"$xavp(a=>b)") is None


def test_xavu_and_xavi(script: Script) -> None:
    script.set(b"$xavu(u)", b"1")
    script.set(b"$xavu(u)", b"2")
    script.set(b"$xavu(r=>s)", b"rs")
    script.set(b"$xavi(Aa=>Bb)", b"i")
    assert script.get(b"$xavu(u)") == b"2"
    assert script.get(b"$xavu(r=>s)") == b"rs"
    assert script.get(b"$xavi(aA=>bB)") == b"i"


def test_flags(script: Script) -> None:
    script.set(b"$mf", 5)
    assert [script.get(b"$mF"), script.get(b"$Mf(2)"), script.get(b"$Mf(1)")] == [b"00000005", 1, 0]
    script.set(b"$Mf(1)", 1)
    assert script.context.shared.flags == 7
    assert not script.set(b"$mf", b"9")
    script.set(b"$sf", 3)
    script.set(b"$bf", 4)
    assert (script.context.script_flags, script.context.branch_flags) == (3, 4)


def test_branches(script: Script) -> None:
    script.set(b"$br", b"sip:br1@h.org")
    script.set(b"$br", b"sip:br2@h.org")
    assert script.get(b"$br") == b"sip:br1@h.org"
    assert script.get(b"$(branch(uri)[1])") == b"sip:br2@h.org"
    assert script.set(b"$(branch(dst_uri)[0])", b"sip:z@z.org")
    assert script.context.branches[0].destination == b"sip:z@z.org"
    assert script.get(b"$branch(count)") == 2
    script.context.uri = b"sip:y.org"
    assert script.get(b"$ds") == b"Contact: <sip:y.org>, <sip:br1@h.org>, <sip:br2@h.org>"


def test_variables_inside_variables(script: Script) -> None:
    script.set(b"$var(n)", b"mf")
    script.set(b"$var(i)", 1)
    script.set(b"$avp(mf)", b"old")
    script.set(b"$avp($var(n))", b"new")
    assert script.get(b"$avp($var(n))") == b"new"
    assert script.get(b"$(avp(mf)[$var(i)])") == b"old"
    script.unset(b"$avp($var(n))")
    assert script.get(b"$avp(mf)") == b"old"


def test_time(script: Script) -> None:
    first = script.get(b"$Ts")
    assert first == script.get(b"$TV(s)")
    assert isinstance(first, int)
    assert script.get(b"$(Ts{s.ftime,%Y})") == script.get(b"$timef(%Y)")
    assert script.expand(b"$time(year)") == script.get(b"$timef(%Y)")


def test_text_with_variables(script: Script) -> None:
    assert script.expand(b"from $fU. $$5 or $5, $null") == b"from alice. $5 or $5, <null>"
    assert script.expand(b"$rmid$(fU{s.len})") == b"15"
    assert script.expand(b"plain") == b"plain"
    assert script.expand(b"") == b""
    assert script.variables.format(b"$fU") is script.variables.format(b"$fU")


@pytest.mark.parametrize("part", [b"$var(", b"$(var(", b"$", b"$(rU{", b"$_s("])
def test_nested_without_end_is_text(script: Script, part: bytes) -> None:
    text = part * 500
    assert script.get(text) is None
    assert len(script.expand(text)) <= len(text)
    assert script.get(b"$var(" * 12 + b"x" + b")" * 12) == 0
    assert script.get(b"$var(" * 400 + b"x" + b")" * 400) is None


def test_cache_is_bounded(script: Script) -> None:
    for number in range(CACHED + 10):
        script.get(b"$var(v%d)" % number)
    assert len(script.variables.accessors) <= CACHED


def test_registering_makes_known(script: Script) -> None:
    assert script.get(b"$mine(x)") is None

    def factory(specification: Specification) -> Accessor:
        return Accessor(lambda context: specification.inner)

    script.variables.register(b"mine", factory)
    assert script.get(b"$mine($rU!)") == b"bob!"
    script.variables.register(b"mine", factory, raw=True)
    assert script.get(b"$mine($rU!)") == b"$rU!"


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("torture/*.dat")), ids=lambda path: path.stem)
def test_no_message_makes_a_variable_raise(path: Path) -> None:
    variables = PseudoVariables(Log(-9))
    message = parse(path.read_bytes())
    context = Context(message, Source(LOCAL, b"::1", 5099, 3, 0.0))
    bare = (b"$" + name for name in variables.names())
    for spec in (*bare, *READ):
        value = variables.accessors[spec].get(context)
        assert value is None or isinstance(value, (bytes, int)), spec
    for spec in (b"$fU", b"$fn", b"$tu", b"$rU", b"$rd", b"$rp"):
        variables.accessors[spec].set(context, b"7")
    assert isinstance(variables.accessors[b"$mbu"].get(context), bytes)


def test_names_in_credentials() -> None:
    """As Kamailio: $au is the name, $aU all of it; only checked credentials are accounted."""
    line = b'Proxy-Authorization: Digest username="au@dom", realm="re", nonce="n"\r\n'
    request = (MESSAGES / "pseudovariables.sip").read_bytes()
    script = Script(re.sub(rb"Proxy-Authorization: .*\r\n", line, request))
    assert [script.get(b"$au"), script.get(b"$aU")] == [b"au", b"au@dom"]
    assert [script.get(b"$Au"), script.get(b"$AU")] == [b"alice@atlanta.com", b"alice"]
    checked = SimpleNamespace(username=b"au@dom", realm=b"re")
    script.context.shared.notes["auth"] = SimpleNamespace(authorized=True, credentials=checked)
    assert [script.get(b"$Au"), script.get(b"$AU")] == [b"au@dom", b"au"]
