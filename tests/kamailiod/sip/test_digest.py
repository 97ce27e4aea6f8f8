from __future__ import annotations

import pytest

from kamailiod.sip.digest import (
    Credentials,
    first_hash,
    known_algorithm,
    matches,
    parse_credentials,
    response,
)


def credentials(**fields: str) -> Credentials:
    return Credentials({name.encode(): value.encode() for name, value in fields.items()})


MUFASA = {
    "username": "Mufasa",
    "realm": "testrealm@host.com",
    "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    "uri": "/dir/index.html",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "0a4f113b",
}


def test_the_example_of_rfc_2617_section_3_5() -> None:
    ha1 = first_hash(b"MD5", b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    found = response(credentials(**MUFASA), b"MD5", ha1, b"GET")
    assert found == b"6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (b"MD5", b"8ca523f5e9506fed4657c9700eebdbec"),
        (b"SHA-256", b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_section_3_9_1(algorithm: bytes, expected: bytes) -> None:
    given = credentials(
        username="Mufasa",
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        uri="/dir/index.html",
        qop="auth",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    ha1 = first_hash(algorithm, b"Mufasa", b"http-auth@example.org", b"Circle of Life")
    assert response(given, algorithm, ha1, b"GET") == expected


def test_auth_int_covers_the_body_and_sess_the_nonces() -> None:
    given = credentials(**{**MUFASA, "qop": "auth-int"})
    ha1 = first_hash(b"MD5", b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    assert response(given, b"MD5", ha1, b"GET", b"a") != response(given, b"MD5", ha1, b"GET", b"b")
    assert response(given, b"MD5-sess", ha1, b"GET") != response(given, b"MD5", ha1, b"GET")
    assert known_algorithm(b"sha-512-256-sess") and not known_algorithm(b"whirlpool")
    assert len(first_hash(b"SHA-512-256", b"a", b"b", b"c")) == 64


def test_a_response_matches_whatever_its_case_and_no_other() -> None:
    ha1 = first_hash(b"", b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    right = credentials(**MUFASA, response="6629FAE49393A05397450978507C4EF1")
    wrong = credentials(**MUFASA, response="6629fae49393a05397450978507c4ef2")
    short = credentials(**MUFASA, response="66")
    assert matches(right, b"MD5", ha1, b"GET")
    assert not matches(right, b"MD5", ha1, b"PUT")
    assert not matches(wrong, b"MD5", ha1, b"GET")
    assert not matches(short, b"MD5", ha1, b"GET")


def test_credentials_are_read_in_any_order_spacing_and_quoting() -> None:
    found = parse_credentials(
        b'dIGEST  realm = "a \\"b\\", c" ,USERNAME="bob@biloxi.com",uri="sip:a,b", nc=00000001,'
        b'\r\n response="ff", algorithm=MD5, qop=AUTH, nonce="n=="'
    )
    assert found is not None
    assert found.realm == b'a "b", c'
    assert (found.username, found.user, found.domain) == (b"bob@biloxi.com", b"bob", b"biloxi.com")
    assert (found.uri, found.nonce, found.qop, found.nc) == (
        b"sip:a,b",
        b"n==",
        b"auth",
        b"00000001",
    )
    assert not found.complete, "qop without cnonce"


@pytest.mark.parametrize(
    "body",
    [b"Basic YTpi", b"NoOneKnowsThisScheme opaque-data=here", b"Digest username", b"", b"Digest",
     b'Digest username="a', b'Digest realm="x" username="y"'],
)  # fmt: skip
def test_other_schemes_and_broken_ones_are_none(body: bytes) -> None:
    assert parse_credentials(body) is None
