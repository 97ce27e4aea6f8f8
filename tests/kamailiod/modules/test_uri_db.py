from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.uri_db import UriDb
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import authorize, invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls


@pytest.fixture
def tables(tmp_path: Path) -> SqliteTables:
    made = SqliteTables(tmp_path, "subscriber", "uri")
    made.insert("subscriber", username="bob", domain="example.com")
    made.insert("uri", username="alice", domain="realm", uri_user="sales")
    return made


def calls(services: FakeServices, tables: SqliteTables, **params: object) -> LuaCalls:
    module: UriDb = services.load(UriDb, db_url=tables.url, **params)
    services.start()
    return LuaCalls(services, [module])


def alice(**options: str) -> Context:
    return authorize(invite(**options), b"ALICE", b"realm")  # type: ignore[arg-type]  # text only


def test_users_against_the_credentials(services: FakeServices, tables: SqliteTables) -> None:
    lua = calls(services, tables)
    assert lua(alice(), "return KSR.uri_db.check_from()") == 1
    assert lua(alice(), "return KSR.uri_db.check_to()") == -10
    assert lua(alice(to="sip:alice@x"), "return KSR.uri_db.check_to()") == 1
    assert lua(alice(to="sip:x"), "return KSR.uri_db.check_to()") == -4
    assert lua(invite(), "return KSR.uri_db.check_from()") == -2
    assert lua(invite(from_="sip:"), "return KSR.uri_db.check_from()") == -1
    assert lua(alice(), 'return KSR.uri_db.check_uri("sip:alice@y")') == 1
    assert lua(alice(), 'return KSR.uri_db.check_uri("sip:bob@y")') == -10
    assert lua(invite(), 'return KSR.uri_db.check_uri("sip:bob@y")') == -2
    assert lua(alice(), 'return KSR.uri_db.check_uri("what")') == -1
    assert lua(invite(), 'return KSR.uri_db.check_uri_realm("sip:bob@y", "Bob", "r")') == 1
    assert lua(invite(), 'return KSR.uri_db.check_uri_realm("sip:bob@y", "eve", "r")') == -10


def test_users_against_the_table(services: FakeServices, tables: SqliteTables) -> None:
    lua = calls(services, tables, use_uri_table=1, db_table="uri")
    own = authorize(invite(), b"alice", b"realm")
    assert lua(own, 'return KSR.uri_db.check_uri("sip:sales@y")') == 1
    assert lua(own, "return KSR.uri_db.check_from()") == -9
    assert lua(own, 'return KSR.uri_db.check_uri_realm("sip:sales@y", "alice", "r")') == -9
    tables.run("DROP TABLE uri")
    assert lua(own, "return KSR.uri_db.check_from()") == -8


def test_who_exists(services: FakeServices, tables: SqliteTables) -> None:
    lua = calls(services, tables)
    asked = "return KSR.uri_db.does_uri_exist()"
    assert lua(invite("sip:bob@anywhere"), asked) == 1
    assert lua(invite("sip:eve@example.com"), asked) == -5
    assert lua(invite("sip:"), asked) == -1
    tables.break_down()
    assert lua(invite("sip:bob@anywhere"), asked) == -4


def test_who_exists_by_domain(services: FakeServices, tables: SqliteTables) -> None:
    lua = calls(services, tables, use_domain=1)
    asked = "return KSR.uri_db.does_uri_exist()"
    assert lua(invite("sip:bob@example.com"), asked) == 1
    assert lua(invite("sip:bob@anywhere"), asked) == -5


def test_who_exists_by_the_uri_table(services: FakeServices, tables: SqliteTables) -> None:
    lua = calls(services, tables, use_uri_table=1, db_table="uri")
    asked = "return KSR.uri_db.does_uri_exist()"
    assert lua(invite("sip:sales@x"), asked) == 1
    assert lua(invite("sip:alice@x"), asked) == -5


def test_native(services: FakeServices, tables: SqliteTables, tmp_path: Path) -> None:
    calls(services, tables)
    text = """
loadmodule "uri_db"
request_route {
    check_from(); $var(from) = $rc;
    check_to(); $var(to) = $rc;
    check_uri("$tu"); $var(uri) = $rc;
    check_uri("$tu", "bob", "r"); $var(given) = $rc;
    does_uri_exist(); $var(exists) = $rc;
}
"""
    native = NativeCalls(services, [services.modules[UriDb]], tmp_path, text)
    assert native.run(alice()).variables == {
        b"from": 1, b"to": -10, b"uri": -10, b"given": 1, b"exists": 1,
    }  # fmt: skip
