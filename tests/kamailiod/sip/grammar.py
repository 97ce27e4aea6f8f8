"""Strategies for SIP texts: what the grammar of RFC 3261 25.1 allows, and what it does not."""

from __future__ import annotations

from hypothesis import strategies as st

TOKEN = b"abcXYZ019-.!%*_+`'~"
USER = b"abcXYZ019-_.!~*'()&=+$,;?/%41"


def of(alphabet: bytes, least: int = 1, most: int = 10) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(list(alphabet)), min_size=least, max_size=most).map(bytes)


tokens = of(TOKEN)
hosts = st.one_of(
    of(b"abcz09-.", 1, 12).filter(lambda host: host.strip(b"-.") != b""),
    st.sampled_from([b"192.0.2.1", b"[2001:db8::1]", b"[::ffff:192.0.2.1]", b"a", b"x.example."]),
)
ports = st.sampled_from([0, 1, 80, 5060, 5061, 65535])
quoted = st.lists(
    st.one_of(of(b"abc ,;:<>@=", 1, 3), st.sampled_from([rb"\"", rb"\\", b"\xc3\xa9"])), max_size=4
).map(lambda parts: b'"' + b"".join(parts) + b'"')
parameter_values = st.one_of(st.just(b""), tokens.map(lambda v: b"=" + v))
uri_parameters = st.lists(
    st.builds(lambda n, v: b";" + n + v, tokens, parameter_values), max_size=3
).map(b"".join)
header_parameters = st.lists(
    st.builds(
        lambda n, v: b";" + n + v, tokens,
        st.one_of(parameter_values, quoted.map(lambda v: b"=" + v)),
    ),
    max_size=3,
).map(b"".join)  # fmt: skip


@st.composite
def sip_uris(draw: st.DrawFn) -> bytes:
    user = draw(st.one_of(st.just(b""), of(USER)))
    password = draw(st.sampled_from([b"", b"", b":secret"])) if user else b""
    port = draw(ports)
    headers = draw(st.sampled_from([b"", b"", b"?subject=a&to=b"]))
    return b"".join((
        draw(st.sampled_from([b"sip:", b"sips:", b"SIP:"])),
        user + password + b"@" if user else b"",
        draw(hosts),
        b":%d" % port if port else b"",
        draw(uri_parameters),
        headers,
    ))  # fmt: skip


displays = st.one_of(
    st.just(b""), quoted, st.lists(of(b"abcXYZ019-.!*"), min_size=1, max_size=3).map(b" ".join)
)


@st.composite
def name_addrs(draw: st.DrawFn) -> bytes:
    display = draw(displays)
    return b"%s%s<%s>%s" % (
        display, b" " if display else b"", draw(sip_uris()), draw(header_parameters),
    )  # fmt: skip


@st.composite
def vias(draw: st.DrawFn) -> bytes:
    port = draw(ports)
    return b"SIP/2.0/%s %s%s%s" % (
        draw(st.sampled_from([b"UDP", b"TCP", b"TLS", b"SCTP", b"x-new"])), draw(hosts),
        b":%d" % port if port else b"", draw(header_parameters),
    )  # fmt: skip


header_values = of(b"abc ,;:<>@=\"\\()\xc3\xa9", 0, 20).map(bytes.strip)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Any well-formed request or reply: odd spellings, folds, unknown headers, a body."""
    method = draw(st.one_of(st.sampled_from([b"INVITE", b"REGISTER", b"BYE"]), tokens))
    start = draw(st.sampled_from([
        b"%s %s SIP/2.0" % (method, draw(sip_uris())), b"SIP/2.0 200 OK", b"SIP/2.0 404 ",
    ]))  # fmt: skip
    body = draw(st.binary(max_size=40))
    spell = st.sampled_from([bytes, bytes.upper, bytes.lower])
    gap = st.sampled_from([b": ", b":", b" : ", b":\r\n ", b":\t"])

    def line(names: list[bytes], value: bytes) -> bytes:
        name = draw(spell)(draw(st.sampled_from(names)))
        return name + draw(gap) + value

    joined = draw(st.sampled_from([b", ", b",", b" ,\r\n\t"])).join(
        draw(st.lists(vias(), min_size=1, max_size=3))
    )
    lines = [
        line([b"Via", b"v"], joined),
        line([b"From", b"f"], draw(name_addrs())),
        line([b"To", b"t"], draw(name_addrs())),
        line([b"Call-ID", b"i"], draw(tokens)),
        line([b"CSeq"], b"%d %s" % (draw(st.integers(0, 2**31 - 1)), method)),
        *[b"X-%s: %s" % (n, v) for n, v in draw(
            st.lists(st.tuples(of(b"abcdef"), header_values), max_size=3))],
    ]  # fmt: skip
    if body or draw(st.booleans()):
        lines.append(line([b"Content-Length", b"l"], b"%d" % len(body)))
    order = draw(st.permutations(lines))
    return b"\r\n".join([start, *order, b"", body])
