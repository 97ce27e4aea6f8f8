from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.auth import Auth
from kamailiod.modules.auth_db import AuthDb, loaded_columns
from kamailiod.modules.db_sqlite import DbSqlite
from kamailiod.script.context import Context
from kamailiod.script.module import RpcFault, param_kinds
from kamailiod.sip.digest import first_hash
from lua import Wait
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.registering import request
from tests.kamailiod.modules.test_auth import REALM, authorization, challenge, nonce_of

TABLE = b"subscriber"


class Server:
    """auth_db over a SQLite file with alice (plain password) in it."""

    def __init__(self, services: FakeServices, folder: Path, **params: object) -> None:
        self.path = folder / "data" / "k.db"
        params.setdefault("calculate_ha1", 1)
        params.setdefault("password_column", "password")
        self.services = services
        self.module: AuthDb = services.load(AuthDb, db_url=f"sqlite:///{self.path}", **params)
        services.start()
        self.auth: Auth = services.module(Auth)
        self.nonce = nonce_of(challenge(services, self.auth))

    def run(self, work: Any) -> Any:
        """Run a coroutine on the server's loop."""
        with asyncio.Runner() as runner:
            self.services.loop = runner.get_loop()
            return runner.run(work)

    def request(self, **options: Any) -> Context:
        asked = {name: options.pop(name) for name in ("to", "method") if name in options}
        return request(headers=[authorization(self.nonce, **options)], **asked)

    def check(self, flags: int = 0, table: bytes = TABLE, **options: Any) -> int:
        result = self.module.auth_check(self.request(**options), REALM, table, flags)
        assert isinstance(result, int), "an embedded database needs no waiting"
        return result

    def sql(self, statement: str) -> list[Any]:
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows


@pytest.fixture
def server(services: FakeServices, tmp_path: Path) -> Server:
    made = Server(services, tmp_path)
    made.run(made.module.rpc_add("alice", "secret"))
    return made


def test_the_tables_are_kamailios(server: Server) -> None:
    versions = server.sql("SELECT table_name, table_version FROM version ORDER BY table_name")
    assert versions == [("subscriber", 7), ("version", 1)]
    columns = [row[1] for row in server.sql("PRAGMA table_info(subscriber)")]
    assert columns == ["id", "username", "domain", "password", "ha1", "ha1b"]
    server.module.mod_init()
    assert server.sql("SELECT count(*) FROM version") == [(2,)]


def test_codes(server: Server) -> None:
    assert server.check() == 1
    assert server.check(password="wrong") == -2
    assert server.check(username="zed") == -3
    assert server.check(realm="other") == -5
    assert server.check(username="alice@example.com") == 1
    assert server.check(flags=1) == 1
    assert server.check(flags=1, to="<sip:bob@example.com>") == -8
    assert server.check(flags=0, to="<sip:bob@example.com>") == 1
    assert server.check(table=b"nowhere; DROP TABLE subscriber") == -1
    assert server.module.auth_check(request(), REALM, TABLE, 0) == -5
    assert server.module.auth_check(request(), b"", TABLE, 0) == -1
    for method in ("ACK", "CANCEL"):
        assert server.module.auth_check(request(method=method), REALM, TABLE, 0) == 1


def test_one_password_is_good_for_any_realm(server: Server) -> None:
    assert server.auth.auth_challenge(request(), b"192.0.2.1") == 1
    context = server.request(realm="192.0.2.1")
    assert server.module.auth_check(context, b"192.0.2.1", TABLE, 1) == 1
    assert server.auth.consume_credentials(context) == 1


def test_which_header_counts(server: Server) -> None:
    assert server.module.www_authenticate(server.request(), REALM, TABLE) == 1
    assert server.module.proxy_authenticate(server.request(), REALM, TABLE) == -5
    other = server.module.www_authenticate_method(server.request(), REALM, TABLE, b"INVITE")
    assert other == -2


def test_an_invite_is_checked_by_its_proxy_authorization(server: Server) -> None:
    line = authorization(server.nonce, header="Proxy-Authorization", method="INVITE")
    context = request(headers=[line], method="INVITE")
    assert server.module.auth_check(context, REALM, TABLE, 1) == 1
    assert server.module.proxy_authenticate(context, REALM, TABLE) == 1


def test_stored_hashes(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, calculate_ha1=0, password_column="ha1")
    with pytest.raises(RpcFault, match="domain"):
        server.run(server.module.rpc_add("alice", "secret"))
    server.run(server.module.rpc_add("alice@example.com", "secret"))
    ha1 = first_hash(b"MD5", b"alice", REALM, b"secret").decode()
    assert server.sql("SELECT username, domain, ha1 FROM subscriber") == [
        ("alice", "example.com", ha1)
    ]
    assert server.check() == 1
    assert server.check(password="x") == -2
    assert server.check(username="alice@example.com") == 1, "by ha1b"


def test_the_domain_counts_if_asked(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, use_domain=1)
    server.run(server.module.rpc_add("alice", "secret", "example.com"))
    server.run(server.module.rpc_add("alice", "other", "example.org"))
    assert server.check() == 1
    assert server.check(username="alice@example.org", password="secret") == -2
    assert server.check(username="alice@example.org", password="other") == 1
    assert server.check(username="alice@example.net") == -3


def test_columns_are_loaded_into_variables(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, load_credentials="$avp(mail)=email_address;rpid;domain")
    server.run(server.module.rpc_add("alice", "secret"))
    server.sql("ALTER TABLE subscriber ADD COLUMN email_address VARCHAR(128)")
    server.sql("ALTER TABLE subscriber ADD COLUMN rpid VARCHAR(128)")
    server.sql("UPDATE subscriber SET rpid = 'sip:1@x', domain = 'd'")
    context = server.request()
    assert server.module.auth_check(context, REALM, TABLE, 0) == 1
    assert context.shared.avps == {b"rpid": [b"sip:1@x"], b"domain": [b"d"]}
    assert loaded_columns(" $avp(i:1) = a ; b;") == ((b"$avp(i:1)", "a"), (b"$avp(b)", "b"))


def test_a_database_that_must_be_awaited(server: Server) -> None:
    writer = sqlite3.connect(server.path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    result = server.module.auth_check(server.request(), REALM, TABLE, 0)
    assert isinstance(result, Wait)
    writer.execute("COMMIT")
    writer.close()

    async def awaited() -> object:
        return await result.awaitable_factory()

    assert server.run(awaited()) == 1


def test_a_dead_database_is_an_error(server: Server) -> None:
    server.path.write_bytes(b"no database at all" * 100)
    result = server.module.auth_check(server.request(), REALM, TABLE, 0)
    assert isinstance(result, Wait)

    async def awaited() -> object:
        return await result.awaitable_factory()

    assert server.run(awaited()) == -1
    assert not any("secret" in line for line in server.services.lines)


def test_the_server_starts_without_its_database(services: FakeServices, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    server = Server(services, tmp_path)
    assert any("cannot make the tables" in line for line in services.lines)
    assert isinstance(server.module.auth_check(server.request(), REALM, TABLE, 0), Wait)


def test_is_subscriber(server: Server) -> None:
    def found(uri: bytes, mode: int) -> object:
        return server.module.is_subscriber(request(), uri, TABLE, mode)

    assert found(b"sip:alice@anywhere", 0) == 1
    assert found(b"sip:alice@anywhere", 1) == -1
    assert found(b"sip:bob@anywhere", 0) == -1
    assert found(b"isbn:1", 0) == -1


def test_commands(server: Server) -> None:
    run, module = server.run, server.module
    assert run(module.rpc_add("bob@example.com", "b")) == ""
    assert run(module.rpc_add("alice", "new")) == ""
    assert server.check(password="new") == 1
    assert server.check(password="secret") == -2
    names = [{"username": "alice", "domain": ""}, {"username": "bob", "domain": "example.com"}]
    assert run(module.rpc_list()) == names
    assert run(module.rpc_rm("bob@example.com")) == ""
    with pytest.raises(RpcFault, match="no such subscriber"):
        run(module.rpc_rm("bob@example.com"))
    with pytest.raises(RpcFault, match="needed"):
        run(module.rpc_add("", "x"))


def test_commands_without_the_database(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path)
    run, module = server.run, server.module
    server.path.unlink()
    for work in (module.rpc_add("a", "b"), module.rpc_rm("a"), module.rpc_list()):
        with pytest.raises(RpcFault, match="database failed"):
            run(work)
    assert not server.path.exists(), "nothing is made in its place"


def test_db_sqlite_is_a_name() -> None:
    assert DbSqlite.name == "db_sqlite"
    assert set(param_kinds(DbSqlite.Params).values()) == {"list"}
