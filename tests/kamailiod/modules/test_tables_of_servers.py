"""The modules that read tables, over a PostgreSQL and a MariaDB server in place of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kamailiod.modules.alias_db import AliasDb
from kamailiod.modules.domain import Domain
from kamailiod.modules.group import Group
from kamailiod.modules.mtree import Mtree
from kamailiod.modules.speeddial import Speeddial
from kamailiod.modules.uri_db import UriDb
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite

ROWS = (
    ("dbaliases", {"alias_username": "bob", "alias_domain": "d", "username": "u", "domain": "d"}),
    ("speed_dial", {"username": "alice", "sd_username": "bob", "new_uri": "sip:x@y"}),
    ("domain", {"domain": "example.com", "did": "one"}),
    ("domain_attrs", {"did": "one", "name": "max", "type": 0, "value": "5"}),
    ("grp", {"username": "alice", "domain": "example.com", "grp": "ld"}),
    ("re_grp", {"reg_exp": "^sip:al", "group_id": 1}),
    ("subscriber", {"username": "bob", "domain": "example.com"}),
    ("mtrees", {"tname": "t", "tprefix": "49", "tvalue": "de"}),
)
TABLES = [table for table, _ in ROWS]


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def url(services: FakeServices, request: pytest.FixtureRequest) -> Iterator[str]:
    found: str = request.getfixturevalue(request.param)
    create_tables(found, TABLES)
    database = services.databases.database(found)
    for table, values in ROWS:
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        assert database.execute_blocking(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
    yield found
    for table in TABLES:
        database.execute_blocking(f"DROP TABLE {table}", {})


def test_all_of_them(services: FakeServices, url: str) -> None:
    modules = [
        services.load(kind, db_url=url, **params)
        for kind, params in (
            (AliasDb, {}), (Speeddial, {}), (Domain, {}), (Group, {"re_table": "re_grp"}),
            (UriDb, {"use_domain": 1}), (Mtree, {"mtree": ["name=t;dbtable=mtrees;multi=1"]}),
        )
    ]  # fmt: skip
    services.start()
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        lua = LuaCalls(services, modules)
        context = invite()
        assert lua(context, 'return KSR.uri_db.does_uri_exist()') == 1
        assert lua(context, 'return KSR.group.is_user_in("sip:alice@x", "ld")') == 1
        assert lua(context, 'return KSR.domain.lookup_domain("example.com")') == 1
        assert lua(context, 'return KSR.mtree.mt_match("t", "4930", 0)') == 1
        assert context.shared.avps == {b"did": [b"one"], b"max": [5], b"tvalue": [b"de"]}
        assert lua(invite(), 'return KSR.alias_db.lookup("dbaliases")') == 1
        assert lua(context, 'return KSR.speeddial.lookup("speed_dial")') == 1
        assert context.uri == b"sip:x@y"
        assert lua(context, 'return KSR.alias_db.lookup("no_table")') == -1
        runner.run(services.modules[Domain].rpc_reload())  # type: ignore[attr-defined]  # by class
        runner.run(services.modules[Mtree].rpc_reload())  # type: ignore[attr-defined]  # by class
        runner.run(services.databases.database(url).close())  # type: ignore[attr-defined]  # a server
    assert services.modules[Group].get_user_group(  # type: ignore[attr-defined]  # by class
        invite(), b"From", b"$avp(g)"
    ) == 1  # fmt: skip
