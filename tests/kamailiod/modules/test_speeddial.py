from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.speeddial import Speeddial
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls


def loaded(services: FakeServices, folder: Path, **params: object) -> Speeddial:
    tables = SqliteTables(folder, "speed_dial")
    for domain, number, uri in (
        ("example.com", "11", "sip:bob@b.org"),
        ("sip.other.org", "12", "carol@c.org"),
    ):
        tables.insert(
            "speed_dial", username="me", domain=domain, sd_username=number, sd_domain="d.org",
            new_uri=uri,
        )  # fmt: skip
    module: Speeddial = services.load(Speeddial, db_url=tables.url, **params)
    services.start()
    return module


def dial(number: bytes, host: bytes = b"d.org") -> Context:
    return invite(f"sip:{number.decode()}@{host.decode()}", from_="sip:me@sip.example.com")


@pytest.mark.parametrize(
    ("params", "number", "host", "uri"),
    [
        ({}, b"11", b"d.org", b"sip:bob@b.org"),
        ({}, b"12", b"anywhere", b"sip:carol@c.org"),
        ({}, b"13", b"d.org", None),
        ({"use_domain": 1}, b"11", b"d.org", None),
        ({"use_domain": 1, "domain_prefix": "sip."}, b"11", b"anywhere", b"sip:bob@b.org"),
        ({"use_domain": 1, "domain_prefix": "sip."}, b"12", b"d.org", None),
        ({"use_domain": 2, "domain_prefix": "sip."}, b"11", b"SIP.d.org", b"sip:bob@b.org"),
        ({"use_domain": 2, "domain_prefix": "sip."}, b"11", b"e.org", None),
    ],
)
def test_lookup(
    services: FakeServices, tmp_path: Path, params: dict[str, object], number: bytes, host: bytes,
    uri: bytes | None,
) -> None:  # fmt: skip
    calls = LuaCalls(services, [loaded(services, tmp_path, **params)])
    context = dial(number, host)
    before = context.uri
    result = calls(context, 'return KSR.speeddial.lookup("speed_dial")')
    assert (result, context.uri) == ((1, uri) if uri else (-1, before))


def test_another_owner(services: FakeServices, tmp_path: Path) -> None:
    calls = LuaCalls(services, [loaded(services, tmp_path, use_domain=1)])
    context = dial(b"12")
    asked = 'return KSR.speeddial.lookup_owner("speed_dial", "%s")'
    assert calls(context, asked % "sip:me@sip.other.org") == 1
    assert context.uri == b"sip:carol@c.org"
    assert calls(dial(b"12"), asked % "sip:you@sip.other.org") == -1
    assert calls(dial(b"12"), asked % "no uri") == -1
    assert calls(dial(b"12"), 'return KSR.speeddial.lookup("")') == -1
    assert calls(dial(b"12"), 'return KSR.speeddial.lookup("no_table")') == -1


def test_native(services: FakeServices, tmp_path: Path) -> None:
    module = loaded(services, tmp_path)
    text = """
loadmodule "speeddial"
request_route {
    $var(u) = $ru;
    if (sd_lookup("speed_dial")) $var(own) = $ru;
    $ru = $var(u);
    if (!sd_lookup("speed_dial", "sip:other@$fd")) $var(other) = $rc;
}
"""
    context = NativeCalls(services, [module], tmp_path, text).run(dial(b"11"))
    assert context.variables[b"own"] == b"sip:bob@b.org"
    assert context.variables[b"other"] == -1
