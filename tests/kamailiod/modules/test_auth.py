"""Challenges and checks, with the bytes and codes of Debian's Kamailio 5.6.3."""

from __future__ import annotations

import re
import time
from base64 import b64decode, b64encode

import pytest

from kamailiod.modules.auth import Auth
from kamailiod.script.context import Context
from kamailiod.sip.digest import Credentials, first_hash, response
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.registering import answer, request

REALM = b"example.com"


def load(services: FakeServices, **params: object) -> Auth:
    auth: Auth = services.load(Auth, **params)
    services.start()
    return auth


def challenge(services: FakeServices, auth: Auth, flags: int = 0, **options: object) -> str:
    assert auth.auth_challenge(request(**options), REALM, flags) == 1  # type: ignore[arg-type]
    headers = answer(services)[1]
    return headers.get("WWW-Authenticate") or headers["Proxy-Authenticate"]


def nonce_of(text: str) -> str:
    found = re.search('nonce="([^"]+)"', text)
    assert found
    return found[1]


def authorization(
    nonce: str, password: str = "secret", header: str = "Authorization", **changed: str
) -> str:
    fields = {"username": "alice", "realm": "example.com", "nonce": nonce, "uri": "sip:example.com"}
    method = changed.pop("method", "REGISTER")
    computed = changed.pop("computed", changed.get("algorithm", "MD5")).encode()
    fields |= changed
    given = Credentials({name.encode(): value.encode() for name, value in fields.items()})
    ha1 = first_hash(computed, given.username, given.realm, password.encode())
    fields["response"] = response(given, computed, ha1, method.encode()).decode()
    return f"{header}: Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


def check(auth: Auth, *headers: str, **options: object) -> tuple[int, Context]:
    context = request(headers=headers, **options)  # type: ignore[arg-type]
    return auth.pv_www_authenticate(context, REALM, b"secret", 0), context


@pytest.mark.parametrize(
    ("flags", "rest"),
    [
        (0, ""), (1, ', qop="auth"'), (2, ', qop="auth-int"'), (3, ', qop="auth-int"'), (4, ""),
        (16, ", stale=true"), (17, ', qop="auth", stale=true'),
    ],
)  # fmt: skip
def test_the_bytes_of_a_challenge(services: FakeServices, flags: int, rest: str) -> None:
    text = challenge(services, load(services), flags)
    assert text == f'Digest realm="example.com", nonce="{nonce_of(text)}"{rest}'
    assert answer(services)[0] == "401 Unauthorized"
    assert "=" not in nonce_of(text)


def test_algorithms_in_a_challenge(services: FakeServices) -> None:
    text = challenge(services, load(services, algorithm="SHA-256"), 1)
    assert text.endswith(', qop="auth", algorithm=SHA-256')


def test_two_algorithms_are_two_challenges_the_better_one_first(services: FakeServices) -> None:
    auth = load(services, algorithm="SHA-256, MD5")
    nonce = nonce_of(challenge(services, auth))
    sent = services.network.sent[-1][1]
    assert re.findall(rb"algorithm=(\S+)", sent) == [b"SHA-256", b"MD5"]
    for algorithm in ("SHA-256", "MD5"):
        assert check(auth, authorization(nonce, algorithm=algorithm))[0] == 1
    assert check(auth, authorization(nonce))[0] == 1


def test_an_unknown_algorithm_is_refused(services: FakeServices) -> None:
    with pytest.raises(ValueError, match="ROT13"):
        services.load(Auth, algorithm="ROT13").mod_init()


def test_other_requests_are_challenged_by_407(services: FakeServices) -> None:
    auth = load(services)
    challenge(services, auth, method="INVITE")
    status, headers = answer(services)
    assert status == "407 Proxy Authentication Required"
    assert headers["Proxy-Authenticate"].startswith('Digest realm="example.com", nonce="')
    assert auth.auth_challenge(request(), b"") == -1
    assert answer(services)[0] == "500 Internal Server Error"
    sent = len(services.network.sent)
    assert auth.auth_challenge(request(), b"", 4) == -1
    assert len(services.network.sent) == sent
    assert auth.auth_challenge(request(method="ACK"), REALM) < 0


def test_a_stateless_challenge(services: FakeServices) -> None:
    auth = load(services, force_stateless_reply=1)
    context = request()
    assert auth.auth_challenge(context, REALM) == 1
    assert "WWW-Authenticate" in answer(services)[1]
    assert context.shared.reply_lines == []


def test_right_and_wrong_credentials(services: FakeServices) -> None:
    auth = load(services)
    nonce = nonce_of(challenge(services, auth))
    assert check(auth, authorization(nonce))[0] == 1
    assert check(auth, authorization(nonce, password="x"))[0] == -2
    assert check(auth, authorization(nonce, realm="foo"))[0] == -5
    assert check(auth)[0] == -5
    assert check(auth, "Authorization: Basic YTpi")[0] == -5
    assert check(auth, 'Authorization: Digest username="alice"')[0] == -5
    assert check(auth, authorization(nonce, qop="auth"))[0] == -1
    assert check(auth, authorization(nonce, algorithm="SHA-256"))[0] == -2
    assert check(auth, authorization(nonce, algorithm="MD5-sess", cnonce="x"))[0] == 1
    assert check(auth, "Authorization: Basic YTpi", authorization(nonce))[0] == 1
    assert check(auth, method="ACK")[0] == 1
    assert check(auth, method="CANCEL")[0] == 1


def test_qop_with_and_without_body(services: FakeServices) -> None:
    auth = load(services)
    nonce = nonce_of(challenge(services, auth))
    for qop in ("auth", "auth-int"):
        extra = {"qop": qop, "nc": "00000001", "cnonce": "abc"}
        assert check(auth, authorization(nonce, **extra))[0] == 1
        assert check(auth, authorization(nonce, **extra).replace("00000001", "00000002"))[0] == -2


def test_foreign_nonces(services: FakeServices) -> None:
    auth = load(services)
    nonce = nonce_of(challenge(services, auth))
    data = bytearray(b64decode(nonce))
    data[3] ^= 1
    for foreign in ("abc", "", "%%%%", b64encode(data).decode(), nonce[:-4], nonce + "AAAA"):
        assert check(auth, authorization(foreign))[0] in (-1, -4, -5)
    other = FakeServices()
    assert check(load(other), authorization(nonce))[0] == -1


def test_nonces_of_servers_with_one_secret(services: FakeServices) -> None:
    nonce = nonce_of(challenge(services, load(services, secret="s3cret")))
    assert check(load(FakeServices(), secret="s3cret"), authorization(nonce))[0] == 1


def test_an_old_nonce_is_stale_and_the_next_challenge_says_so(
    services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = load(services, nonce_expire=10)
    header = authorization(nonce_of(challenge(services, auth)))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 9)
    assert check(auth, header)[0] == 1
    monkeypatch.setattr(time, "time", lambda: now + 12)
    result, context = check(auth, header)
    assert result == -4
    assert auth.auth_challenge(context, REALM) == 1
    assert answer(services)[1]["WWW-Authenticate"].endswith(", stale=true")
    monkeypatch.setattr(time, "time", lambda: now - 60)
    assert check(auth, header)[0] == -4, "from the future"


@pytest.mark.parametrize(
    ("checks", "options"),
    [(2, {"call_id": "other"}), (8, {"source": (b"10.9.9.9", 5060)})],
)
def test_nonces_bound_to_a_request(
    services: FakeServices, checks: int, options: dict[str, object]
) -> None:
    auth = load(services, auth_checks_register=checks)
    header = authorization(nonce_of(challenge(services, auth)))
    assert check(auth, header)[0] == 1
    assert check(auth, header, **options)[0] == -4


def test_the_uri_of_the_credentials(services: FakeServices) -> None:
    auth = load(services, auth_checks_register=1)
    nonce = nonce_of(challenge(services, auth))
    assert check(auth, authorization(nonce))[0] == 1
    assert check(auth, authorization(nonce, uri="sip:other.com"))[0] == -1


def test_a_nonce_count_is_good_once_and_must_rise(services: FakeServices) -> None:
    auth = load(services, nonce_count=1)
    nonce = nonce_of(challenge(services, auth, 1))
    assert nonce != nonce_of(challenge(services, auth, 1))

    def used(count: str) -> int:
        return check(auth, authorization(nonce, qop="auth", nc=count, cnonce="c"))[0]

    counts = ("00000001", "00000001", "00000003", "00000002", "0000000a", "zz")
    assert [used(count) for count in counts] == [1, -4, 1, -4, 1, -4]
    wrong = authorization(nonce, password="x", qop="auth", nc="0000000b", cnonce="c")
    assert check(auth, wrong)[0] == -2
    assert used("0000000b") == 1, "a wrong password uses no count up"


def test_one_time_nonces(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = load(services, one_time_nonce=1)
    header = authorization(nonce_of(challenge(services, auth)))
    assert [check(auth, header)[0] for _ in range(2)] == [1, -6]
    uses = auth._nonces._uses
    assert uses is not None and len(uses) == 1
    later = time.time() + 400
    monkeypatch.setattr(time, "time", lambda: later)
    auth._forget()
    assert len(uses) == 0


def test_pv_auth_check_compares_users(services: FakeServices) -> None:
    auth = load(services)
    nonce = nonce_of(challenge(services, auth))
    mine = request(headers=[authorization(nonce)])
    assert auth.pv_auth_check(mine, REALM, b"secret", 0, 1) == 1
    bobs = request(headers=[authorization(nonce)], to="<sip:bob@example.com>")
    assert auth.pv_auth_check(bobs, REALM, b"secret", 0, 0) == 1
    assert auth.pv_auth_check(bobs, REALM, b"secret", 0, 1) == -8
    hashed = first_hash(b"MD5", b"alice", REALM, b"secret")
    assert auth.pv_auth_check(mine, REALM, hashed.upper(), 1, 1) == 1
    call = authorization(nonce, header="Proxy-Authorization", method="INVITE")
    invite = request(headers=[call], method="INVITE")
    assert auth.pv_proxy_authenticate(invite, REALM, b"secret", 0) == 1
    assert auth.pv_www_authenticate(invite, REALM, b"secret", 0) == -5
    assert auth.pv_www_authenticate_method(mine, REALM, b"secret", 0, b"INVITE") == -2


def test_consuming_credentials(services: FakeServices) -> None:
    auth = load(services)
    nonce = nonce_of(challenge(services, auth))
    result, context = check(auth, authorization("", realm="other"), authorization(nonce))
    assert result == 1
    assert auth.has_credentials(context, REALM) == 1
    assert auth.has_credentials(context, b"nowhere") == -1
    assert auth.consume_credentials(context) == 1
    sent = context.edits.apply(context.message)
    assert b'realm="other"' in sent and b'realm="example.com"' not in sent
    wrong = check(auth, authorization(nonce, password="x"))[1]
    assert auth.consume_credentials(wrong) == -1
    assert auth.consume_credentials(request()) == -1


def test_a_challenge_into_a_variable(services: FakeServices) -> None:
    auth = load(services)
    context = request()
    assert auth.auth_get_www_authenticate(context, REALM, 1, b"$avp(c)") == 1
    value = context.shared.avps[b"c"][0]
    assert isinstance(value, bytes)
    assert re.match(rb'WWW-Authenticate: Digest realm="example.com", .*, qop="auth"\r\n\Z', value)
    assert services.network.sent == []
