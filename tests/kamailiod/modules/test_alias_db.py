from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.alias_db import AliasDb, without_prefix
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls


class World:
    """alias_db over a table where sales is alice, bob and carol."""

    def __init__(self, services: FakeServices, folder: Path, **params: object) -> None:
        self.services = services
        self.tables = SqliteTables(folder, "dbaliases")
        for user, domain in (("alice", "a.org"), ("bob", "b.org"), ("carol", "c.org")):
            self.alias("sales", "example.com", user, domain)
        self.module: AliasDb = services.load(AliasDb, db_url=self.tables.url, **params)
        services.start()

    def alias(self, name: str, domain: str, user: str, user_domain: str) -> None:
        self.tables.insert(
            "dbaliases", alias_username=name, alias_domain=domain, username=user,
            domain=user_domain,
        )  # fmt: skip

    def call(self, text: str, uri: bytes = b"sip:sales@example.com") -> tuple[object, Context]:
        context = invite()
        context.set_uri(uri)
        return LuaCalls(self.services, [self.module])(context, f"return {text}"), context


def test_the_first_address_replaces_the_uri(services: FakeServices, tmp_path: Path) -> None:
    result, context = World(services, tmp_path).call('KSR.alias_db.lookup("dbaliases")')
    assert (result, context.uri, context.branches) == (1, b"sip:alice@a.org", [])


def test_the_others_become_branches(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path, append_branches=1)
    result, context = world.call('KSR.alias_db.lookup("dbaliases")')
    assert (result, context.uri) == (1, b"sip:alice@a.org")
    added = [(branch.uri, branch.q) for branch in context.branches]
    assert added == [(b"sip:bob@b.org", 0), (b"sip:carol@c.org", 0)]
    services.settings.max_branches = 2
    result, context = world.call('KSR.alias_db.lookup("dbaliases")')
    assert (result, len(context.branches)) == (-1, 1)


def test_what_is_no_alias_stays(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path)
    for uri in (b"sip:nobody@example.com", b"sip:example.com", b"nothing"):
        result, context = world.call('KSR.alias_db.lookup("dbaliases")', uri)
        assert (result, context.uri) == (-1, uri)
    assert world.call('KSR.alias_db.lookup("no_table")')[0] == -1
    assert world.call('KSR.alias_db.lookup("a; b")')[0] == -1


def test_flags(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path, use_domain=1, domain_prefix="sip.")
    elsewhere = b"sip:sales@example.org"
    assert world.call('KSR.alias_db.lookup("dbaliases")', elsewhere)[0] == -1
    assert world.call('KSR.alias_db.lookup("dbaliases")', b"sip:sales@SIP.example.com")[0] == 1
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "d")', elsewhere)[0] == 1
    result, context = world.call('KSR.alias_db.lookup_ex("dbaliases", "r")', b"sip:bob@b.org")
    assert (result, context.uri) == (1, b"sip:sales@example.com")
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "RD")', b"sip:bob@x")[0] == 1
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "r")', b"sip:bob@x")[0] == -1


def test_flag_u_asks_for_the_domain(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path)
    elsewhere = b"sip:sales@example.org"
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "")', elsewhere)[0] == 1
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "u")', elsewhere)[0] == -1
    assert world.call('KSR.alias_db.lookup_ex("dbaliases", "x")', elsewhere)[0] == 1
    assert any("unsupported flag 'x'" in line for line in services.lines)


@pytest.mark.parametrize("append", [0, 1])
def test_native(services: FakeServices, tmp_path: Path, append: int) -> None:
    world = World(services, tmp_path, append_branches=append)
    calls = NativeCalls(services, [world.module], tmp_path, """
loadmodule "alias_db"
request_route {
    $avp(in) = "sip:bob@b.org";
    alias_db_find("dbaliases", "$ru", "$avp(out)");
    $var(found) = $rc;
    alias_db_find("dbaliases", "$avp(in)", "$var(alias)", "r");
    alias_db_find("dbaliases", "$avp(none)", "$avp(out)");
    $var(bad) = $rc;
    alias_db_lookup("dbaliases", "d");
}
""")
    context = invite("sip:sales@example.com")
    calls.run(context)
    values = context.shared.avps[b"out"]
    # The last one set is the first read, as in Kamailio.
    assert values[-1] == b"sip:alice@a.org"
    assert len(values) == (3 if append else 1)
    assert context.variables[b"alias"] == b"sip:sales@example.com"
    assert (context.variables[b"found"], context.variables[b"bad"]) == (1, -1)
    assert context.uri == b"sip:alice@a.org"


def test_a_locked_database_is_waited_for(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path)
    text = 'request_route { if (alias_db_lookup("dbaliases")) $var(ok) = 1; }'
    calls = NativeCalls(services, [world.module], tmp_path, f'loadmodule "alias_db"\n{text}')
    context = invite("sip:sales@example.com")
    with world.tables.locked() as writer:
        calls.on_wait = lambda: writer.execute("COMMIT")
        calls.run(context)
    assert (calls.waits, context.uri) == (1, b"sip:alice@a.org")
    assert context.variables[b"ok"] == 1


def test_a_broken_database_is_an_error(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path)
    world.tables.break_down()
    text = 'loadmodule "alias_db"\nrequest_route { alias_db_lookup("dbaliases"); $var(c) = $rc; }'
    calls = NativeCalls(services, [world.module], tmp_path, text)
    assert calls.run(invite("sip:sales@example.com")).variables[b"c"] == -1


def test_prefixes_of_hosts() -> None:
    assert without_prefix(b"SIP.example.com", b"sip.") == b"example.com"
    assert without_prefix(b"sip.", b"sip.") == b"sip."
    assert without_prefix(b"example.com", b"") == b"example.com"
