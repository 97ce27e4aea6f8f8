"""Transformations: what Kamailio 5.6.3 gives, or its documentation where that is broken."""

from __future__ import annotations

import pytest

from kamailiod.net.address import ListenAddress, Source
from kamailiod.script import transformations
from kamailiod.script.context import Context, Value
from kamailiod.script.transformations.hashing import core_hash
from kamailiod.sip.message import parse

LIST = b'a=1;b="x y";c=3;lr'
SIP = b"sip:alice:pw@example.com:5070;transport=TCP;lr;r2=on;method=INVITE?Subject=x&a=b"
NAMED = b'"Bob B" <sip:bob@[::1]:5062;lr>;tag=xyz;a=1'
LINES = b"line1\r\nabc\r\nlast"

CASES: list[tuple[bytes, bytes, Value]] = [
    (b"{s.len}", b"abc", 3),
    (b"{s.int}", b"-17", -17),
    (b"{s.int}", b"12abc", None),
    (b"{s.md5}", b"abcabc", b"440ac85892ca43ad26d44c7ad9d47d3e"),
    (b"{s.crc32}", b"abc", b"891568578"),
    (b"{s.trim}", b"  a b\t", b"a b"),
    (b"{s.rm,a}", b"abcabc", b"bcbc"),
    (b"{s.rmws}", b" a b\tc ", b"abc"),
    (b"{s.numeric}", b"+1 (23) x4", b"1234"),
    (b"{s.substr,2,3}", b"abcabc", b"cab"),
    (b"{s.substr,2,0}", b"abcabc", b"cabc"),
    (b"{s.substr,-3,2}", b"abcabc", b"ab"),
    (b"{s.substr,100,1}", b"abcabc", None),
    (b"{s.substr,1,-2}", b"abcabc", None),
    (b"{s.select,1,:}", b"a:b:c", b"b"),
    (b"{s.select,-1,:}", b"a:b:c", b"c"),
    (b"{s.select,9,:}", b"a:b:c", b""),
    (b"{s.select,2,,}", b"a,b,,c", b""),
    (b"{s.select,3,,}", b"a,b,,c", b"c"),
    (b"{s.strip,2}", b"abc", b"c"),
    (b"{s.striptail,9}", b"abc", b""),
    (b"{s.stripto,b}", b"abc", b"bc"),
    (b"{s.prefixes,2}", b"abc", b"a,ab"),
    (b"{s.prefixes.quoted}", b"ab", b"'a','ab'"),
    (b"{s.replace,a,XX}", b"abca", b"XXbcXX"),
    (b"{s.replace,a,}", b"abca", b"bc"),
    (b"{s.before,:}", b"a:b:c", b"a"),
    (b"{s.after,:}", b"a:b:c", b"b:c"),
    (b"{s.rbefore,:}", b"a:b:c", b"a:b"),
    (b"{s.rafter,:}", b"a:b:c", b"c"),
    (b"{s.before,~}", b"abc", b"abc"),
    (b"{s.after,~}", b"abc", b""),
    (b"{s.count,a}", b"abca", 2),
    (b"{s.unquote}", b'"q"', b"q"),
    (b"{s.unbracket}", b"<b>", b"b"),
    (b"{s.corehash}", b"a:b:c", b"1831746644"),
    (b"{s.corehash,8}", "été".encode(), b"1"),
    (b"{s.encode.hexa}", b"abc", b"616263"),
    (b"{s.decode.hexa}", b"616263", b"abc"),
    (b"{s.encode.7bit}", b"12345", b"31D98C5603"),
    (b"{s.decode.7bit}", b"31D98C5603", b"12345"),
    (b"{s.decode.base58}{s.encode.base58}", b"JxF12TrwUP45BMd", b"JxF12TrwUP45BMd"),
    (b"{s.decode.base58}", b"JxF12TrwUP45BMd", b"Hello World"),
    (b"{s.decode.base64}", b"aGVsbG8=", b"hello"),
    (b"{s.decode.base64t}", b"aGVsbG8", b"hello"),
    (b"{s.decode.base64}", b"aGVsbG8", None),
    (b"{s.encode.base64urlt}", b"\xff\xfe", b"__4"),
    (b"{s.escape.common}", b"a'b\"c\\", b"a\\'b\\\"c\\\\"),
    (b"{s.unescape.common}", b"a\\'b", b"a'b"),
    (b"{s.escape.user}", b"a b&c=d/e@f;g?", b"a%20b&c=d%2fe%40f;g?"),
    (b"{s.escape.param}", b"a=1;b", b"a%3d1%3bb"),
    (b"{s.escape.csv}", b'a"b', b'"a""b"'),
    (b"{s.urlencode.param}", b"a b&c", b"a%20b%26c"),
    (b"{s.urldecode.param}", b"%41%20b+c", b"A b c"),
    (b"{s.fmtlines,4,1}", b"abcdef", b"abcd\r\n ef"),
    (b"{uri.user}", SIP, b"alice"),
    (b"{uri.passwd}", SIP, b"pw"),
    (b"{uri.port}", SIP, 5070),
    (b"{uri.port}", b"sip:h.org", 0),
    (b"{uri.param,transport}", SIP, b"TCP"),
    (b"{uri.rmparam,lr}", b"sip:a@h;lr;x=1", b"sip:a@h;x=1"),
    (b"{uri.headers}", SIP, b"Subject=x&a=b"),
    (b"{uri.saor}", SIP, b"sip:alice@example.com"),
    (b"{uri.suri}", SIP, b"sip:alice@example.com:5070;transport=TCP"),
    (b"{uri.duri}", SIP, b"sip:example.com:5070;transport=TCP"),
    (b"{uri.host}", b"not a uri", None),
    (b"{nameaddr.name}", NAMED, b'"Bob B" '),
    (b"{nameaddr.uri}", NAMED, b"sip:bob@[::1]:5062;lr"),
    (b"{nameaddr.len}", NAMED, 31),
    (b"{tobody.tag}", NAMED, b"xyz"),
    (b"{tobody.user}", NAMED, b"bob"),
    (b"{tobody.params}", NAMED, b"tag=xyz;a=1"),
    (b"{tobody.uri}", b"12345", None),
    (b"{param.value,b}", LIST, b"x y"),
    (b"{param.value,z}", LIST, b""),
    (b"{param.value,c,&}", b"a=1&c=3", b"3"),
    (b"{param.in,lr}", LIST, 1),
    (b"{param.name,-1}", LIST, b"lr"),
    (b"{param.valueat,0}", LIST, b"1"),
    (b"{param.count}", LIST, 4),
    (b"{line.count}", LINES, b"3"),
    (b"{line.at,1}", LINES, b"abc"),
    (b"{line.at,-1}", LINES, b"last"),
    (b"{line.sw,la}", LINES, b"last"),
    (b"{urialias.encode}", b"sip:10.0.0.1:5080", b"10.0.0.1~5080~1"),
    (b"{urialias.decode}", b"10.0.0.1~5080~2", b"sip:10.0.0.1:5080;transport=tcp"),
    (b"{val.json}", b'a"b\n', b'a\\"b\\n'),
    (b"{num.fdigit}", b"789", 7),
    (b"{num.ldigit}", b"789", 9),
    (b"{re.subst,/a/X/g}", b"abcabc", b"XbcXbc"),
    (b"{re.subst,/A/[\\0]/i}", b"abca", b"[a]bca"),
    (b"{re.subst,/^(.)(.)/\\2\\1/}", b"abc", b"bac"),
    (b"{re.subst,/^(.{2})(.)/\\2/}", b"abc", b"c"),
    (b"{url.path}", b"/p/q?a=b", b"/p/q"),
    (b"{url.querystring}", b"/p/q?a=b", b"a=b"),
    (b"{sock.port}", b"tls:[::1]:5061", 5061),
    (b"{sock.touri}", b"udp:127.0.0.1:5060", b"sip:127.0.0.1:5060;transport=udp"),
]


@pytest.fixture(scope="module")
def context() -> Context:
    message = parse(b"OPTIONS sip:h SIP/2.0\r\n\r\n")
    return Context(message, Source(ListenAddress(0, b"udp", b"::1", 5060), b"::1", 1, 0, 0.0))


def length_of_uri(spec: bytes) -> object:
    return (lambda context: len(context.uri)) if spec == b"$var(n)" else None


@pytest.mark.parametrize(("source", "value", "expected"), CASES)
def test_value(context: Context, source: bytes, value: bytes, expected: Value) -> None:
    run = transformations.compile(source, lambda spec: None)
    assert run is not None
    assert run(value, context) == expected


def test_nothing_stays_nothing(context: Context) -> None:
    for name in sorted(transformations.OPERATIONS):
        operation = transformations.OPERATIONS[name]
        source = b",".join((name, *[b"1"] * operation.fewest))
        run = transformations.compile(b"{%s}" % source, lambda spec: None)
        assert run is not None, name
        if not operation.takes_nothing:
            assert run(None, context) is None, name
        assert isinstance(run(b"\xff;\0", context), (bytes, int, type(None))), name
    number = transformations.compile(b"{val.n0}", lambda spec: None)
    assert number is not None
    assert number(None, context) == 0


def test_parameters_may_be_variables(context: Context) -> None:
    run = transformations.compile(b"{s.strip,$var(n)}", length_of_uri)  # type: ignore[arg-type]  # a stand-in
    assert run is not None
    assert run(b"abcdefgh", context) == b"fgh"


@pytest.mark.parametrize(
    "source",
    [
        b"{s.nope}",
        b"{s.len",
        b"{s.substr,1}",
        b"{s.len}x",
        b"{re.subst,/a/}",
        b"{s.strip,$var(unknown)}",
    ],
)
def test_malformed(source: bytes) -> None:
    assert transformations.compile(source, lambda spec: None) is None


def test_core_hash_stays_below_its_size() -> None:
    assert all(core_hash(b"%d" % number, 16) < 16 for number in range(100))
