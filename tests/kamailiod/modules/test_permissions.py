"""permissions from Lua and by its commands, with the values that Kamailio 5.6.3 gave."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.permissions import Permissions
from kamailiod.script.context import Branch, Context
from kamailiod.script.module import RpcFault
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

ADDRESSES = [
    (1, "127.0.0.1", 32, 0, "tagA"), (2, "10.0.0.0", 8, 0, "ten"),
    (2, "10.1.0.0", 16, 5080, None), (3, "gw.example.com", 32, 0, "dom"),
    (4, "10.1.2.0", 24, 0, "x24"), (5, "::1", 128, 0, "six"), (5, "2001:db8::", 32, 0, "six32"),
    (6, "1.2.3.4", 0, 5060, "m0"), (7, "[2001:db8:1::5]", 128, 0, None),
    (9, "127.0.0.1", 32, 0, "again"), (4, "gw.example.com", 32, 5070, "dom4"),
]  # fmt: skip
TRUSTED = [
    ("127.0.0.1", "udp", "^sip:alice@.*", None, "t1", 0),
    ("127.0.0.1", "any", None, "^sip:9.*", "t2", 5),
    ("127.0.0.2", "tcp", None, None, "t3", 0),
    ("127.0.0.3", "none", None, None, "t4", 0),
    ("127.0.0.4", "any", None, None, None, 1),
]


def request(
    source: bytes = b"127.0.0.1", sender: bytes = b"sip:alice@x", uri: bytes = b"sip:9@y",
    more: bytes = b"", to: bytes = b"sip:bob@y",
) -> Context:  # fmt: skip
    return context_of(
        b"REGISTER %b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"
        b"From: <%b>;tag=1\r\nTo: <%b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n%b\r\n"
        % (uri, sender, to, more),
        source=(source, 5080),
    )


class Server:
    """permissions over a SQLite file with both tables, and rule files in its folder."""

    def __init__(self, services: FakeServices, folder: Path, **params: object) -> None:
        self.folder = folder
        self.services = services
        services.config_file = str(folder / "kamailio.cfg")
        self.file = folder / "permissions.db"
        create_tables(f"sqlite:///{self.file}", ["address", "trusted"])
        self.rows("address (grp, ip_addr, mask, port, tag)", ADDRESSES)
        names = "trusted (src_ip, proto, from_pattern, ruri_pattern, tag, priority)"
        self.rows(names, TRUSTED)
        params.setdefault("db_url", f"sqlite:///{self.file}")
        params.setdefault("peer_tag_avp", "$avp(tag)")
        params.setdefault("reload_delta", 0)
        self.module: Permissions = services.load(Permissions, **params)
        services.start()
        self.lua = LuaCalls(services, [self.module])

    def sql(self, statement: str) -> None:
        with sqlite3.connect(self.file) as connection:
            connection.execute(statement)
        connection.close()

    def rows(self, table: str, rows: list[Any]) -> None:
        marks = ", ".join("?" * len(rows[0]))
        with sqlite3.connect(self.file) as connection:
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        connection.close()

    def __call__(self, call: str, context: Context | None = None) -> object:
        return self.lua(context or request(), f"return KSR.permissions.{call}")

    def tagged(self, call: str, context: Context) -> tuple[object, list[bytes | int]]:
        return self(call, context), context.shared.avps.get(b"tag", [])

    def run(self, work: Coroutine[Any, Any, object]) -> object:
        with asyncio.Runner() as runner:
            self.services.loop = runner.get_loop()
            try:
                return runner.run(work)
            finally:
                self.services.loop = None


@pytest.fixture
def server(services: FakeServices, tmp_path: Path) -> Server:
    return Server(services, tmp_path, db_mode=1)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("allow_source_address(1)", 1),
        ("allow_source_address(9)", 1),
        ("allow_source_address(2)", -1),
        ("allow_source_address(0)", -1),
        ("allow_source_address()", 1),
        ('allow_address(2, "10.5.5.5", 5060)', 1),
        ('allow_address(2, "10.1.5.5", 5061)', 1),
        ('allow_address(4, "10.1.2.3", 1)', 1),
        ('allow_address(4, "10.1.3.3", 1)', -1),
        ('allow_address(3, "gw.example.com", 5060)', 1),
        ('allow_address(3, "GW.example.com", 5060)', -1),
        ('allow_address(4, "gw.example.com", 5070)', 1),
        ('allow_address(4, "gw.example.com", 5071)', -1),
        ('allow_address(5, "::1", 5)', 1),
        ('allow_address(5, "[::1]", 5)', 1),
        ('allow_address(5, "2001:db8::77", 5)', 1),
        ('allow_address(6, "1.2.3.4", 5060)', 1),
        ('allow_address(6, "1.2.3.4", 5061)', -1),
        ('allow_address(6, "1.2.3.4", 0)', -1),
        ('allow_address(7, "2001:db8:1::5", 0)', 1),
        ('allow_address(6, "", 0)', -1),
        ('allow_address(6, "1.2.3.4", 70000)', -1),
        ("allow_source_address_group()", 9),
        ('allow_address_group("10.1.2.3", 5080)', 2),
        ('allow_address_group("127.0.0.1", 1)', 9),
        ('allow_address_group("gw.example.com", 1)', 3),
        ('allow_address_group("gw.example.com", 5070)', 4),
        ('allow_address_group("nope", 1)', -1),
    ],
)
def test_addresses(server: Server, call: str, expected: int) -> None:
    assert server(call) == expected


def test_tags_of_addresses(server: Server) -> None:
    context = request()
    assert server.tagged("allow_source_address(1)", context) == (1, [b"tagA"])
    assert server.tagged('allow_address(3, "gw.example.com", 1)', context) == (1, [b"dom", b"tagA"])
    assert server.tagged('allow_address(7, "2001:db8:1::5", 1)', request()) == (1, [])
    assert server.tagged("allow_source_address_group()", request()) == (9, [b"again"])


@pytest.mark.parametrize("mode", [0, 1])
def test_trusted_peers(services: FakeServices, tmp_path: Path, mode: int) -> None:
    server = Server(services, tmp_path, db_mode=mode)
    # Kamailio orders by falling priority when it caches, else as the database does.
    first = b"t2" if mode else b"t1"

    def trusted(**given: bytes) -> tuple[object, list[bytes | int]]:
        return server.tagged("allow_trusted()", request(**given))

    assert trusted() == (1, [first])
    assert trusted(sender=b"sip:carl@x") == (1, [b"t2"])
    assert trusted(uri=b"sip:8@y") == (1, [b"t1"])
    assert trusted(sender=b"sip:carl@x", uri=b"sip:8@y") == (-1, [])
    assert trusted(source=b"127.0.0.2") == trusted(source=b"127.0.0.3") == (-1, [])
    assert trusted(source=b"127.0.0.4") == (1, [])
    assert trusted(source=b"127.0.0.5") == (-1, [])


def test_all_tags_of_trusted_peers(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, db_mode=1, peer_tag_mode=1)
    assert server.tagged("allow_trusted()", request()) == (2, [b"t1", b"t2"])


def test_trusted_peers_of_the_native_language(server: Server) -> None:
    def trusted(source: bytes, protocol: bytes, sender: bytes = b"") -> object:
        context = request(sender=b"sip:z@x", uri=b"sip:1@y")
        return server.module.allow_trusted_peer(context, source, protocol, sender)

    assert trusted(b"127.0.0.1", b"UDP", b"sip:alice@q") == 1
    assert trusted(b"127.0.0.1", b"udp") == -1
    assert trusted(b"127.0.0.2", b"any") == trusted(b"127.0.0.2", b"tcp") == 1
    assert trusted(b"127.0.0.1", b"foo") == trusted(b"127.0.0.3", b"none") == -1


def test_reload_is_seen_by_every_process(server: Server) -> None:
    read, write = os.pipe()
    answer, told = os.pipe()
    child = os.fork()
    if not child:
        server("allow_source_address(1)")
        os.read(read, 1)
        result = server('allow_address(33, "10.9.9.9", 1)')
        os.write(told, b"1" if result == 1 else b"0")
        os._exit(0)
    server.sql("INSERT INTO address (grp, ip_addr, mask) VALUES (33, '10.9.9.0', 24)")
    assert server('allow_address(33, "10.9.9.9", 1)') == -1
    assert server.run(server.module.address_reload()) == "Reload OK"
    assert server('allow_address(33, "10.9.9.9", 1)') == 1
    os.write(write, b"x")
    assert os.read(answer, 1) == b"1"
    os.waitpid(child, 0)


def failed(server: Server, work: Coroutine[Any, Any, object]) -> str:
    with pytest.raises(RpcFault) as caught:
        server.run(work)
    assert caught.value.code == 500
    return caught.value.message


def test_a_bad_table_changes_nothing(server: Server) -> None:
    server.sql("INSERT INTO address (grp, ip_addr, mask) VALUES (5, '5.5.5.5', 33)")
    server.sql("DELETE FROM address WHERE grp = 1")
    assert failed(server, server.module.address_reload()) == "Reload failed."
    assert "mask 33" in server.services.lines[-1]
    assert server("allow_source_address(1)") == 1
    server.sql("UPDATE trusted SET proto = 'smok'")
    assert failed(server, server.module.trusted_reload()) == "Reload failed."
    assert server("allow_trusted()") == 1
    server.file.unlink()
    assert failed(server, server.module.address_reload()) == "Reload failed."
    assert server("allow_source_address(1)") == 1


def test_trusted_rules_are_reloaded(server: Server) -> None:
    server.sql("DELETE FROM trusted")
    assert server.run(server.module.trusted_reload()) == "Reload OK"
    assert server("allow_trusted()") == -1


def test_reloads_keep_a_distance(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, reload_delta=60)
    assert server.run(server.module.address_reload()) == "Reload OK"
    assert failed(server, server.module.address_reload()) == "ongoing reload"
    assert failed(server, server.module.trusted_reload()) == "ongoing reload"


def test_without_tables(services: FakeServices) -> None:
    module: Permissions = services.load(Permissions, reload_delta=0)
    services.start()
    lua = LuaCalls(services, [module])
    assert lua(request(), "return KSR.permissions.allow_source_address(1)") == -1
    assert lua(request(), "return KSR.permissions.allow_trusted()") == -1
    with pytest.raises(RpcFault, match="Reload failed"):
        asyncio.run(module.address_reload())
    with pytest.raises(RpcFault, match="No trusted table"):
        module.dump_trusted()


def test_the_server_starts_without_its_database(services: FakeServices) -> None:
    services.load(Permissions, db_url="sqlite:////nowhere/at/all.db", db_mode=1)
    services.start()
    assert len([line for line in services.lines if "it is empty" in line]) == 2


def test_backends_can_be_left_out(services: FakeServices, tmp_path: Path) -> None:
    server = Server(services, tmp_path, db_mode=1, load_backends=2)
    assert server("allow_source_address(1)") == -1
    assert server("allow_trusted()") == 1


def test_an_address_file_goes_before_the_table(services: FakeServices, tmp_path: Path) -> None:
    (tmp_path / "addr.list").write_text("1 10.0.0.10\n2 192.168.1.0 24 0 tag2\n")
    server = Server(services, tmp_path, address_file="addr.list")
    assert server("allow_source_address(1)") == -1
    assert server.tagged('allow_address(2, "192.168.1.7", 1)', request()) == (1, [b"tag2"])
    (tmp_path / "addr.list").write_text("1 127.0.0.1\n")
    assert server.run(server.module.address_reload()) == "Reload OK"
    assert server("allow_source_address(1)") == 1
    (tmp_path / "addr.list").write_text("1 127.0.0.1 77\n")
    assert failed(server, server.module.address_reload()) == "Reload failed."
    (tmp_path / "addr.list").unlink()
    assert failed(server, server.module.address_reload()) == "Reload failed."


@pytest.mark.parametrize(
    "params", [{"db_mode": 2}, {"peer_tag_avp": "$var(x)"}, {"address_file": "nope"}]
)
def test_bad_modparams(services: FakeServices, params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"permissions|nope"):
        services.load(Permissions, **params)
        services.start()


def test_dumps(server: Server) -> None:
    module = server.module
    assert module.dump_subnets() == [
        {"id": 0, "group": 2, "item": {"ip": "10.0.0.0", "mask": 8, "port": 0, "tag": "ten"}},
        {"id": 1, "group": 2, "item": {"ip": "10.1.0.0", "mask": 16, "port": 5080, "tag": ""}},
        {"id": 2, "group": 4, "item": {"ip": "10.1.2.0", "mask": 24, "port": 0, "tag": "x24"}},
        {"id": 3, "group": 5, "item": {"ip": "2001:db8::", "mask": 32, "port": 0, "tag": "six32"}},
    ]
    addresses, domains, trusted = (
        module.dump_addresses(), module.dump_domains(), module.dump_trusted(),
    )  # fmt: skip
    assert isinstance(addresses, list)
    assert isinstance(domains, list)
    assert isinstance(trusted, list)
    seven = {"ip": "2001:db8:1::5", "port": 0, "tag": "NULL"}
    assert {"table": 0, "group": 7, "item": seven} in addresses
    assert len(addresses) == 5
    dom = {"domain_name": "gw.example.com", "port": 0, "tag": "dom"}
    assert {"table": 0, "group": 3, "item": dom} in domains
    assert trusted[0]["item"] == {
        "ip": "127.0.0.1", "proto": 0, "pattern": "NULL", "ruri_pattern": "^sip:9.*", "tag": "t2",
        "priority": 5,
    }  # fmt: skip
    assert len(trusted) == 4


@pytest.fixture
def ruled(services: FakeServices, tmp_path: Path) -> Server:
    (tmp_path / "base.allow").write_text('"^sip:alice@" : "^sip:9"\n"broken\n')
    (tmp_path / "base.deny").write_text("ALL : ALL\n")
    (tmp_path / "permissions.deny").write_text('"^sip:evil" : ALL\nALL : "^sip:7"\n')
    (tmp_path / "reg.deny").write_text('ALL : "^sip:361[0-9]*@gw.com", "192\\.168"\n')
    (tmp_path / "port.deny").write_text('ALL : "5070"\n')
    return Server(services, tmp_path)


def test_routing(ruled: Server) -> None:
    module = ruled.module
    assert module.allow_routing(request()) is True
    assert module.allow_routing(request(uri=b"sip:7@y")) is False
    assert module.allow_routing(request(sender=b"sip:evil@y")) is False
    assert module.allow_routing_by(request(), b"base") is True
    assert module.allow_routing_by(request(sender=b"sip:bob@y"), b"base") is False
    assert module.allow_routing_by(request(), b"none.allow", b"base.deny") is False
    assert module.allow_routing_by(request(), b"none") is True
    assert module.allow_routing_by(request(uri=b"sip:9@y:5070"), b"port") is True, "a plain URI"
    assert any("base.allow:2" in line for line in ruled.services.lines)


def test_branches_are_checked_too(services: FakeServices, ruled: Server, tmp_path: Path) -> None:
    context = request()
    context.branches.append(Branch(b"sip:7@z"))
    assert ruled.module.allow_routing(context) is False
    first_only: Permissions = services.load(Permissions, check_all_branches=0)
    first_only.mod_init()
    assert first_only.allow_routing(context) is True
    context.set_uri(b"sip:7@y")
    assert first_only.allow_routing(context) is False


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (b"", True),
        (b"Contact: <sip:3612@gw.com>\r\n", False),
        (b"Contact: <sip:1@ok>\r\n", True),
        (b"Contact: *\r\n", True),
        (b"Contact: <sip:1@ok>, <sip:1@192.168.0.1>\r\n", False),
        (b'Contact: "x" <sip:1@1.2.3.4:5060;p=1>\r\n', True),
        (b"Contact: <<<\r\n", False),
    ],
)
def test_registrations(ruled: Server, contact: bytes, expected: bool) -> None:
    context = request(more=contact)
    assert ruled.module.allow_register(context, b"reg") is expected
    assert ruled.module.allow_register(context, b"reg.allow", b"reg.deny") is expected


def test_registrations_by_port(ruled: Server) -> None:
    context = request(more=b"Contact: <sip:1@ok:5070;x>\r\n")
    assert ruled.module.allow_register(context, b"port") is True
    assert ruled.module.allow_register_include_port(context, b"port") is False


def test_uris(ruled: Server) -> None:
    assert ruled.module.allow_uri(request(), b"base", b"sip:9@x") is True
    assert ruled.module.allow_uri(request(), b"base", b"sip:5@x") is False
    assert ruled.module.allow_uri(request(), b"port", b"sip:9@x:5070") is False


def test_trying_uris(ruled: Server) -> None:
    assert ruled.module.test_uri("base", "sip:alice@x", "sip:9@x") == "Allowed"
    assert ruled.module.rpc_allow_uri("base", "sip:bob@x", "sip:9@x") == "Denied"
    assert ruled.module.test_uri("none", "sip:bob@x", "sip:9@x") == "Denied"
    assert ruled.module.test_uri("port", "sip:bob@x", "sip:9@x") == "Allowed"
