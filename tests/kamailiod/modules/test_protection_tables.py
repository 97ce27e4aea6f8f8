"""The tables of permissions and pipelimit in PostgreSQL and MariaDB, with the same statements."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kamailiod.modules.permissions import Permissions
from kamailiod.modules.pipelimit import Pipelimit
from kamailiod.script.database import Database
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls

TABLES = ("address", "trusted", "pl_pipes")
ROWS = (
    "INSERT INTO address (grp, ip_addr, mask, port, tag) VALUES (1, '127.0.0.0', 8, 0, 'tagA')",
    "INSERT INTO trusted (src_ip, proto, tag, priority) VALUES ('127.0.0.1', 'any', 't1', 0)",
    "INSERT INTO pl_pipes (pipeid, algorithm, plimit) VALUES ('one', 'TAILDROP', 1)",
)


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def url(request: pytest.FixtureRequest, services: FakeServices) -> Iterator[str]:
    found: str = request.getfixturevalue(request.param)
    create_tables(found, TABLES)
    database = services.databases.database(found)
    for row in ROWS:
        assert database.execute_blocking(row, {}) == 1
    yield found
    for table in TABLES:
        database.execute_blocking(f"DROP TABLE {table}", {})


def test_tables_are_read_at_the_start(services: FakeServices, url: str) -> None:
    modules = [
        services.load(Permissions, db_url=url, db_mode=1),
        services.load(Pipelimit, db_url=url, timer_interval=86400),
    ]
    services.start()
    lua, context = LuaCalls(services, modules), services.faked_context()
    assert lua(context, "return KSR.permissions.allow_source_address(1)") == 1
    assert lua(context, "return KSR.permissions.allow_trusted()") == 1
    calls = [lua(context, 'return KSR.pipelimit.pl_check("one")') for _ in range(2)]
    assert calls == [1, -1]


def test_reload_and_a_query_for_each_request(services: FakeServices, url: str) -> None:
    permissions: Permissions = services.load(
        Permissions, db_url=url, reload_delta=0, peer_tag_avp="$avp(tag)"
    )
    services.start()
    database: Database = services.databases.database(url)
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        lua, context = LuaCalls(services, [permissions]), services.faked_context()
        assert lua(context, "return KSR.permissions.allow_trusted()") == 1
        assert context.shared.avps == {b"tag": [b"t1"]}
        change = "UPDATE address SET grp = 2"
        assert runner.run(database.execute(change, {})) == 1
        assert runner.run(permissions.address_reload()) == "Reload OK"
        assert permissions.allow_source_address_group(context) == 2
    services.loop = None
