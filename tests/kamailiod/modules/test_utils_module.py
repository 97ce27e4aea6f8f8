"""utils.xcap_auth_status: what rule documents say of watchers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from kamailiod.modules.utils import Utils
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls

RULES = """<?xml version="1.0" encoding="UTF-8"?>
<cr:ruleset xmlns="urn:ietf:params:xml:ns:pres-rules"
            xmlns:cr="urn:ietf:params:xml:ns:common-policy">
  <cr:rule id="{name}"><cr:conditions>{conditions}</cr:conditions>
    <cr:actions><sub-handling>{handling}</sub-handling></cr:actions></cr:rule>
</cr:ruleset>"""
ALICE = '<cr:identity><cr:one id="sip:alice@a.org"/></cr:identity>'
EXCEPT = '<cr:many><cr:except domain="b.org"/><cr:except id="sip:eve@a.org"/></cr:many>'
SPAN = "<cr:validity><cr:from>{}-01-01T00:00:00Z</cr:from><cr:until>{}-01-01T00:00:00Z</cr:until>\
</cr:validity>"


class World:
    """A presence database in SQLite where bob's rules are what a test says."""

    def __init__(self, services: FakeServices, folder: Path) -> None:
        self.path = folder / "presence.db"
        self.run("CREATE TABLE xcap (username TEXT, domain TEXT, doc_type INTEGER, doc BLOB)")
        self.module: Utils = services.load(Utils, pres_db_url=f"sqlite:///{self.path}")
        services.start()
        self.lua = LuaCalls(services, [self.module])

    def run(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)

    def rules(self, document: str) -> None:
        self.run("INSERT INTO xcap VALUES ('bob', 'a.org', 2, ?)", document.encode())

    def status(self, watcher: str = "sip:alice@a.org", presentity: str = "sip:bob@a.org") -> object:
        call = f'return KSR.utils.xcap_auth_status("{watcher}", "{presentity}")'
        return self.lua(invite(), call)


@pytest.fixture
def world(services: FakeServices, tmp_path: Path) -> World:
    return World(services, tmp_path)


@pytest.mark.parametrize(
    ("handling", "status"),
    [("allow", 1), ("polite-block", 1), ("confirm", 2), ("block", 3), ("nonsense", -1)],
)
def test_handlings(world: World, handling: str, status: int) -> None:
    world.rules(RULES.format(name="a", conditions=ALICE, handling=handling))
    assert world.status() == status
    assert world.status("sip:carol@a.org") == 2


@pytest.mark.parametrize(
    ("identity", "allowed"),
    [
        ('<cr:many/>', {"alice@a.org", "eve@a.org", "dan@b.org"}),
        ('<cr:many domain="a.org"/>', {"alice@a.org", "eve@a.org"}),
        (EXCEPT, {"alice@a.org"}),
    ],
)
def test_identities(world: World, identity: str, allowed: set[str]) -> None:
    conditions = f"<cr:identity>{identity}</cr:identity>"
    world.rules(RULES.format(name="a", conditions=conditions, handling="allow"))
    everyone = ("alice@a.org", "eve@a.org", "dan@b.org")
    assert {who for who in everyone if world.status(f"sip:{who}") == 1} == allowed


@pytest.mark.parametrize(("years", "status"), [((2000, 2999), 1), ((2000, 2001), 2)])
def test_validity(world: World, years: tuple[int, int], status: int) -> None:
    conditions = SPAN.format(*years) + ALICE
    world.rules(RULES.format(name="a", conditions=conditions, handling="allow"))
    assert world.status() == status


def test_who_has_no_rules_is_pending(world: World) -> None:
    assert world.status(presentity="sip:nobody@a.org") == 2


def test_what_cannot_be_read(world: World) -> None:
    assert world.status("nothing") == -1
    assert world.status(presentity="nothing") == -1
    world.rules("<no xml")
    assert world.status() == -1


def test_without_a_database(services: FakeServices) -> None:
    module = services.load(Utils)
    services.start()
    lua = LuaCalls(services, [module])
    assert lua(invite(), 'return KSR.utils.xcap_auth_status("sip:a@b", "sip:b@b")') == -1


def test_a_bad_url_is_refused(services: FakeServices) -> None:
    services.load(Utils, pres_db_url="nothing")
    with pytest.raises(ValueError, match="utils: "):
        services.start()


def test_the_native_function(services: FakeServices, tmp_path: Path) -> None:
    world = World(services, tmp_path)
    world.rules(RULES.format(name="a", conditions=ALICE, handling="block"))
    context = NativeCalls(services, [world.module], tmp_path, """
request_route {
    xcap_auth_status("sip:alice@a.org", "sip:bob@a.org");
    $var(rc) = $rc;
}
""").run(invite())  # fmt: skip
    assert context.variables[b"rc"] == 3
