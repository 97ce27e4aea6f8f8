"""corex and kex; return values are Kamailio 5.6.3's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.corex import Corex
from kamailiod.modules.kex import Kex
from kamailiod.net.address import ListenAddress
from kamailiod.net.resolver import Resolver
from kamailiod.script.context import Context
from kamailiod.script.log import DEBUG
from kamailiod.sip.uri import parse_uri
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()


@pytest.fixture
def context() -> Context:
    return context_of(OPTIONS)


def test_questions(services: FakeServices, context: Context) -> None:
    corex: Corex = services.load(Corex)
    assert corex.has_ruri_user(context) == 1
    context.set_uri(b"sip:127.0.0.1")
    assert corex.has_ruri_user(context) == -1
    assert corex.has_user_agent(context) == -1
    named = context_of(OPTIONS.replace(b"X-C: 3", b"User-Agent: ua"))
    assert corex.has_user_agent(named) == 1
    assert corex.is_faked_msg(context) == -1


def test_branches(services: FakeServices, context: Context) -> None:
    corex: Corex = services.load(Corex)
    context.destination = b"sip:192.0.2.1"
    context.branch_flags = 4
    assert corex.append_branch_uri(context, b"sip:z@z") == 1
    assert corex.append_branch_uri_q(context, b"sip:y@y", b"0.5") == 1
    assert corex.append_branch_uri_q(context, b"sip:y@y", b"2") == -1
    assert corex.append_branch_uri_q(context, b"sip:y@y", b"high") == -1
    assert (context.destination, context.branch_flags) == (b"sip:192.0.2.1", 4)
    assert corex.append_branch(context) == 1
    assert (context.destination, context.branch_flags) == (b"", 0)
    made = [(b.uri, b.destination, b.q, b.flags) for b in context.branches]
    assert made == [
        (b"sip:z@z", b"sip:192.0.2.1", -1, 4),
        (b"sip:y@y", b"sip:192.0.2.1", 500, 4),
        (b"sip:joe;x=1@a.example:99;x=1", b"sip:192.0.2.1", -1, 4),
    ]


def test_extended_flags(services: FakeServices, context: Context) -> None:
    corex: Corex = services.load(Corex)
    assert [corex.setxflag(context, flag) for flag in (3, 63, 64)] == [1, 1, -1]
    assert [corex.isxflagset(context, flag) for flag in (3, 4, 63, 64)] == [1, -1, 1, -1]
    assert corex.resetxflag(context, 63) == 1
    assert corex.isxflagset(context, 63) == -1


def test_sockets(services: FakeServices, context: Context) -> None:
    corex: Corex = services.load(Corex)
    named = ListenAddress(1, b"udp", b"192.0.2.1", 5070, name=b"outer")
    services.network.sockets = [*services.network.sockets, named]
    assert corex.set_send_socket(context, b"udp:127.0.0.1:1") == 1
    assert context.socket is None
    assert corex.set_send_socket_name(context, b"outer") == 1
    assert context.socket is named
    assert [corex.is_socket_name(context, n) for n in (b"outer", b"zz")] == [1, -1]
    assert corex.set_recv_socket(context, b"udp:192.0.2.1:5070") == 1
    assert context.source.local is named
    assert corex.set_recv_socket_name(context, b"zz") == -1
    assert corex.set_source_address(context, b"udp:192.0.2.9:99") == 1
    assert (context.source.host, context.source.port) == (b"192.0.2.9", 99)
    assert corex.set_source_address(context, b"192.0.2.9") == -1


def test_send_data(
    services: FakeServices, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    corex: Corex = services.load(Corex)
    assert corex.send_data(context, b"sip:unknown.example", b"x") == -1
    choices = [(b"udp", b"192.0.2.1", 9)]
    monkeypatch.setattr(services.network, "resolve", lambda uri: choices)
    assert corex.send_data(context, b"sip:192.0.2.1:9", b"data") == 1
    assert corex.sendx(context, b"sip:192.0.2.1:9", b"udp:nowhere:1", b"data") == -1
    ((target, data),) = services.network.sent
    assert (target.host, target.port, data) == (b"192.0.2.1", 9, b"data")


def test_files(services: FakeServices, context: Context, tmp_path: Path) -> None:
    corex: Corex = services.load(Corex)
    path = bytes(tmp_path / "notes")
    assert corex.file_read(context, path) == b""
    assert corex.native_file_read(context, path, b"$avp(f)") == -1
    assert corex.file_write(context, path, b"one ") == 1
    assert corex.file_write(context, path, b"two") == 1
    assert corex.file_read(context, path) == b"one two"
    assert corex.native_file_read(context, path, b"$avp(f)") == 1
    assert services.variables.compile(b"$avp(f)").get(context) == b"one two"
    assert corex.file_write(context, b"/nowhere/at/all", b"x") == -1


def test_static_records_reach_the_resolver(services: FakeServices, tmp_path: Path) -> None:
    (tmp_path / "dns").write_text("# ours\nname=b.example;type=AAAA;addr=::1\n")
    corex: Corex = services.load(
        Corex,
        dns_cache=["name=A.example.;type=A;addr=192.0.2.1;ttl=60", "name=a.example;addr=192.0.2.2",
                   "name=c.example;type=SRV;addr=x", "nonsense"],
        dns_file=[str(tmp_path / "dns"), "/nowhere"],
    )  # fmt: skip
    assert corex.static_records == {
        b"a.example": [b"192.0.2.1", b"192.0.2.2"], b"b.example": [b"::1"],
    }  # fmt: skip
    assert len(services.lines) == 3
    uri = parse_uri(b"sip:x@a.example:7")
    assert uri is not None
    resolver = Resolver()
    resolver.add_static(corex.static_records)
    assert resolver.resolve(uri, b"udp") == [
        (b"udp", b"192.0.2.1", 7), (b"udp", b"192.0.2.2", 7),
    ]  # fmt: skip


def test_alias_subdomains(services: FakeServices) -> None:
    corex: Corex = services.load(
        Corex, alias_subdomains=["a.example", "udp:b.example:5060", "c.example:7"]
    )
    assert corex.is_subdomain(b"x.y.A.example", 5070, b"tcp")
    assert corex.is_subdomain(b"a.example")
    assert not corex.is_subdomain(b"xa.example")
    assert corex.is_subdomain(b"x.b.example", 5060, b"udp")
    assert not corex.is_subdomain(b"x.b.example", 5060, b"tcp")
    assert not corex.is_subdomain(b"x.c.example", 8)


def test_kex(services: FakeServices, context: Context) -> None:
    kex: Kex = services.load(Kex)
    assert kex.setsflag(context, 2)
    assert context.script_flags == 4
    assert kex.setbflag(context, 1)
    assert kex.isbflagset(context, 1)
    assert kex.resetbflag(context, 1, 0)
    assert not kex.isbflagset(context, 1)
    assert kex.setdsturi(context, b"sip:h")
    assert kex.isdsturiset(context)
    assert kex.is_myself(context, b"sip:127.0.0.1")
    assert kex.is_myhost(context, b"sip:me@127.0.0.1:99")
    assert kex.pv_printf(context, b"$avp(x)", b"<$rm>") == 1
    assert services.variables.compile(b"$avp(x)").get(context) == b"<OPTIONS>"
    assert kex.setdebug(context, 0) == 1
    assert services.log.level == 0
    assert kex.resetdebug(context) == 1
    assert services.log.level == DEBUG
