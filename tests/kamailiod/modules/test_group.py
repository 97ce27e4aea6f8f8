from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.group import Group
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import authorize, invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls


@pytest.fixture
def tables(tmp_path: Path) -> SqliteTables:
    made = SqliteTables(tmp_path, "grp", "re_grp")
    made.insert("grp", username="alice", domain="example.com", grp="ld")
    for expression, group in (
        ("^sip:al", 1), ("@EXAMPLE\\.com$", 2), ("^sip:zed", 3), ("[[:digit:]]{3}@", 4),
    ):  # fmt: skip
        made.insert("re_grp", reg_exp=expression, group_id=group)
    return made


def loaded(services: FakeServices, tables: SqliteTables, **params: object) -> Group:
    module: Group = services.load(Group, db_url=tables.url, **params)
    services.start()
    return module


@pytest.mark.parametrize(
    ("uri", "group", "use_domain", "result"),
    [
        ("sip:alice@example.com", "ld", 0, 1),
        ("sip:alice@example.org", "ld", 0, 1),
        ("sip:alice@example.org", "ld", 1, -6),
        ("sip:alice@example.com", "ld", 1, 1),
        ("sip:alice@example.com", "int", 0, -6),
        ("sip:bob@example.com", "ld", 0, -6),
        ("sip:example.com", "ld", 0, -1),
        ("", "ld", 0, -1),
        ("sip:alice@example.com", "", 0, -1),
        ("what", "ld", 0, -1),
    ],
)
def test_members(
    services: FakeServices, tables: SqliteTables, uri: str, group: str, use_domain: int, result: int
) -> None:
    calls = LuaCalls(services, [loaded(services, tables, use_domain=use_domain)])
    assert calls(invite(), f'return KSR.group.is_user_in("{uri}", "{group}")') == result


def test_a_broken_database(services: FakeServices, tables: SqliteTables) -> None:
    calls = LuaCalls(services, [loaded(services, tables)])
    tables.break_down()
    assert calls(invite(), 'return KSR.group.is_user_in("sip:alice@example.com", "ld")') == -5


NATIVE = """
loadmodule "group"
request_route {
    is_user_in("Request-URI", "ld"); $var(ruri) = $rc;
    is_user_in("From", "ld"); $var(from) = $rc;
    is_user_in("To", "ld"); $var(to) = $rc;
    is_user_in("Credentials", "ld"); $var(credentials) = $rc;
    $avp(uri) = "sip:alice@example.com";
    is_user_in("$avp(uri)", "ld"); $var(avp) = $rc;
    is_user_in("$avp(none)", "ld"); $var(none) = $rc;
    get_user_group("From", "$avp(groups)"); $var(groups) = $rc;
    get_user_group("Request-URI", "$avp(others)"); $var(others) = $rc;
    get_user_group("$avp(none)", "$avp(others)"); $var(nobody) = $rc;
}
"""


def test_whose_membership(services: FakeServices, tables: SqliteTables, tmp_path: Path) -> None:
    module = loaded(services, tables, re_table="re_grp")
    calls = NativeCalls(services, [module], tmp_path, NATIVE)
    context = calls.run(invite("sip:carol@nowhere.org"))
    assert context.variables == {
        b"ruri": -6, b"from": 1, b"to": -6, b"credentials": -1, b"avp": 1, b"none": -1,
        b"groups": 2, b"others": -1, b"nobody": -1,
    }  # fmt: skip
    # The expression of the last row is looked at first, so that of the first one ends on top.
    assert context.shared.avps[b"groups"] == [1, 2]


def test_the_user_of_the_credentials(
    services: FakeServices, tables: SqliteTables, tmp_path: Path
) -> None:
    calls = NativeCalls(services, [loaded(services, tables, use_domain=1)], tmp_path, NATIVE)
    by_realm = authorize(invite(), b"alice", b"example.com")
    assert calls.run(by_realm).variables[b"credentials"] == 1
    by_domain = authorize(invite(), b"alice@example.org", b"example.com")
    assert calls.run(by_domain).variables[b"credentials"] == -6


def test_one_group_only(services: FakeServices, tables: SqliteTables, tmp_path: Path) -> None:
    module = loaded(services, tables, re_table="re_grp", multiple_gid=0)
    context = NativeCalls(services, [module], tmp_path, NATIVE).run(invite("sip:x123@y"))
    assert context.shared.avps == {
        b"uri": [b"sip:alice@example.com"], b"groups": [2], b"others": [4],
    }  # fmt: skip


def test_expressions_that_cannot_be_read(
    services: FakeServices, tables: SqliteTables, tmp_path: Path
) -> None:
    tables.insert("re_grp", reg_exp="((", group_id=9)
    module = loaded(services, tables, re_table="re_grp")
    assert any("not an expression" in line for line in services.lines)
    context = NativeCalls(services, [module], tmp_path, NATIVE).run(invite())
    assert context.variables[b"groups"] == 2


def test_without_the_table_of_expressions(services: FakeServices, tables: SqliteTables) -> None:
    loaded(services, tables, re_table="no_table")
    assert any("cannot read no_table" in line for line in services.lines)
