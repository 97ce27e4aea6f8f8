from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.domain import Domain
from kamailiod.modules.domains.domain_table import DomainError, DomainTable, plain
from kamailiod.rpc.dispatcher import to_json
from kamailiod.script.context import Branch, Route
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.modules.sqlite_tables import SqliteTables
from tests.kamailiod.native_calls import NativeCalls

ATTRIBUTES = (("one", "max", 0, "5"), ("one", "label", 2, "first"), ("one", "label", 2, "second"))


@pytest.fixture
def tables(tmp_path: Path) -> SqliteTables:
    made = SqliteTables(tmp_path, "domain", "domain_attrs")
    for domain, did in (("Example.com", "one"), ("example.net", None), ("third.org", "ONE")):
        made.insert("domain", domain=domain, did=did)
    for did, name, kind, value in ATTRIBUTES:
        made.insert("domain_attrs", did=did, name=name, type=kind, value=value)
    return made


def loaded(services: FakeServices, tables: SqliteTables, **params: object) -> Domain:
    module: Domain = services.load(Domain, db_url=tables.url, **params)
    services.start()
    return module


def run(services: FakeServices, work: Any) -> Any:
    with asyncio.Runner() as runner:
        services.loop = runner.get_loop()
        return runner.run(work)


def test_what_is_local(services: FakeServices, tables: SqliteTables) -> None:
    lua = LuaCalls(services, [loaded(services, tables)])
    local = 'return KSR.domain.is_domain_local("%s")'
    assert lua(invite(), local % "EXAMPLE.com") == 1
    assert lua(invite(), local % "example.org") == -1
    assert lua(invite(), local % "") == -1
    assert lua(invite(from_="sip:a@third.org"), "return KSR.domain.is_from_local()") == 1
    assert lua(invite(from_="sip:a@fourth.org"), "return KSR.domain.is_from_local()") == -1
    assert lua(invite(from_="sip:"), "return KSR.domain.is_from_local()") == -2


def test_the_domain_of_the_request_uri(services: FakeServices, tables: SqliteTables) -> None:
    lua = LuaCalls(services, [loaded(services, tables)])
    asked = "return KSR.domain.is_uri_host_local()"
    assert lua(invite("sip:a@example.net"), asked) == 1
    assert lua(invite("sip:a@example.org"), asked) == -1
    assert lua(invite("sip:a@example.net", route=Route.ONREPLY), asked) == -1
    failed = invite("sip:a@example.net", route=Route.FAILURE)
    assert lua(failed, asked) == -1
    failed.branches.append(Branch(b"sip:b@example.com"))
    assert lua(failed, asked) == 1


def test_attributes(services: FakeServices, tables: SqliteTables) -> None:
    lua = LuaCalls(services, [loaded(services, tables)])
    context = invite()
    assert lua(context, 'return KSR.domain.lookup_domain("third.org")') == 1
    assert context.shared.avps == {
        b"max": [5], b"label": [b"first", b"second"], b"did": [b"ONE"],
    }  # fmt: skip
    context = invite()
    assert lua(context, 'return KSR.domain.lookup_domain_prefix("example.net", "to_")') == 1
    assert context.shared.avps == {b"to_did": [b"example.net"]}
    assert lua(context, 'return KSR.domain.lookup_domain("example.org")') == -1


def test_native(services: FakeServices, tables: SqliteTables, tmp_path: Path) -> None:
    text = """
loadmodule "domain"
request_route {
    is_from_local(); $var(from) = $rc;
    is_uri_host_local(); $var(uri) = $rc;
    is_domain_local("$td"); $var(to) = $rc;
    lookup_domain("$fd", "f_"); $var(did) = $avp(f_did);
    lookup_domain("example.net"); $var(plain) = $avp(did);
}
"""
    native = NativeCalls(services, [loaded(services, tables)], tmp_path, text)
    assert native.run(invite(to="sip:x@elsewhere.org")).variables == {
        b"from": 1, b"uri": 1, b"to": -1, b"did": b"one", b"plain": b"example.net",
    }  # fmt: skip


def test_a_domain_can_be_this_server(services: FakeServices, tables: SqliteTables) -> None:
    loaded(services, tables)
    assert not services.network.is_myself(b"third.org")
    loaded(services, tables, register_myself=1)
    assert services.network.is_myself(b"third.org", 5060)
    assert not services.network.is_myself(b"fourth.org")


def test_reload_is_seen_at_once(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    tables.insert("domain", domain="new.org")
    assert not module.is_local(b"new.org")
    run(services, module.rpc_reload())
    assert module.is_local(b"new.org")


def test_a_bad_reload_changes_nothing(services: FakeServices, tables: SqliteTables) -> None:
    module = loaded(services, tables)
    tables.insert("domain", domain="new.org")
    tables.insert("domain_attrs", did="x", name="y", type=0, value="no number")
    with pytest.raises(RpcFault, match="Reload of domain tables failed"):
        run(services, module.rpc_reload())
    assert module.is_local(b"third.org") and not module.is_local(b"new.org")
    tables.break_down()
    with pytest.raises(RpcFault):
        run(services, module.rpc_reload())
    assert module.is_local(b"third.org")


def test_dump(services: FakeServices, tables: SqliteTables) -> None:
    dump = loaded(services, tables).rpc_dump()
    assert to_json(dump) == to_json({
        "domains": [
            {"domain": "Example.com", "did": "one"},
            {"domain": "example.net", "did": "example.net"},
            {"domain": "third.org", "did": "ONE"},
        ],
        "attributes": [{"did": "one", "attrs": ["label", "label", "max"]}],
    })  # fmt: skip


def test_start_without_the_database(services: FakeServices, tables: SqliteTables) -> None:
    tables.break_down()
    module = loaded(services, tables)
    assert any("no domain is local until domain.reload" in line for line in services.lines)
    assert module.rpc_dump() == {"domains": [], "attributes": []}


def test_rows() -> None:
    table = DomainTable(plain([("A.org", None)], [("a.ORG", "n", 2, "")]))
    assert table.did(b"a.org") == b"A.org"
    assert table.attributes(b"A.ORG") == [(b"n", b"")]
    for domains, attributes in (
        ([("", "x")], []), ([(None, "x")], []), ([("a", "")], []), ([], [("", "n", 0, "1")]),
        ([], [("a", "", 0, "1")]), ([], [("a", "n", 1, "1")]), ([], [("a", "n", 0, None)]),
        ([], [("a", "n", 0, "x")]), ([], [("a", "n", None, "1")]),
    ):  # fmt: skip
        with pytest.raises(DomainError):
            plain(domains, attributes)
