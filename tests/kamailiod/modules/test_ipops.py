"""ipops from Lua; return values are Kamailio 5.6.3's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamailiod.modules.address_operations.queries import DnsQueries
from kamailiod.modules.ipops import Ipops, listed_address
from kamailiod.script.context import Context, Value
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.name_server import name_server

ZONE = [
    ("_sip._udp.example.test.", "SRV", ["20 0 5062 c.test.", "10 1 5061 b.test.",
                                        "10 9 5060 a.test."]),
    ("example.test.", "NAPTR", ['20 5 "s" "SIP+D2T" "" _sip._tcp.example.test.',
                                '10 5 "s" "SIP+D2U" "" _sip._udp.example.test.']),
    ("1.2.0.192.in-addr.arpa.", "PTR", ["gw.test."]),
]  # fmt: skip


@pytest.fixture
def ipops(services: FakeServices) -> Ipops:
    found: Ipops = services.load(Ipops)
    return found


@pytest.fixture
def lua(services: FakeServices, ipops: Ipops) -> LuaCalls:
    return LuaCalls(services, [ipops])


@pytest.fixture
def context(services: FakeServices) -> Context:
    return services.faked_context()


@pytest.fixture
def answered(ipops: Ipops) -> Iterator[None]:
    with name_server(ZONE) as server:
        ipops.queries = DnsQueries(2.0, [server])
        yield


TEXTS = (
    "1.2.3.4", "256.1.1.1", "01.2.3.4", "1.2.3", "::1", "[::1]", "1080::8:800:200C:417A",
    "::ffff:1.2.3.4", "[1.2.3.4]", "foo", ":::1", "[::1", "fe80::1%eth0", "", "1.2.3.4 ",
)  # fmt: skip


@pytest.mark.parametrize(
    ("function", "true"),
    [
        ("is_ip", ("1.2.3.4", "::1", "[::1]", "1080::8:800:200C:417A", "::ffff:1.2.3.4")),
        ("is_pure_ip", ("1.2.3.4", "::1", "1080::8:800:200C:417A", "::ffff:1.2.3.4")),
        ("is_ip4", ("1.2.3.4",)), ("is_ip6", ("::1", "1080::8:800:200C:417A", "::ffff:1.2.3.4")),
        ("is_ip6_reference", ("[::1]",)), ("is_ip_rfc1918", ()),
    ],
)  # fmt: skip
def test_literals(lua: LuaCalls, context: Context, function: str, true: tuple[str, ...]) -> None:
    for text in TEXTS:
        expected = 1 if text in true else -1
        assert lua(context, f'return KSR.ipops.{function}("{text}")') == expected, text


def test_types(lua: LuaCalls, context: Context) -> None:
    for text, number in (("1.2.3.4", 1), ("::1", 2), ("[::1]", 3), ("foo", -1)):
        assert lua(context, f'return KSR.ipops.ip_type("{text}")') == number


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("0.0.0.1", "PRIVATE"), ("10.1.1.1", "PRIVATE"), ("100.64.1.1", "SHARED"),
        ("127.0.0.1", "LOOPBACK"), ("169.254.1.1", "LINK-LOCAL"), ("172.16.1.1", "PRIVATE"),
        ("192.0.0.9", "RESERVED"), ("192.0.2.1", "TEST-NET"), ("192.88.99.1", "6TO4-RELAY"),
        ("192.168.1.1", "PRIVATE"), ("198.18.0.1", "RESERVED"), ("198.51.100.1", "TEST-NET"),
        ("203.0.113.1", "TEST-NET"), ("224.0.0.1", "MULTICAST"), ("240.0.0.1", "RESERVED"),
        ("255.255.255.255", "BROADCAST"), ("8.8.8.8", "PUBLIC"), ("::", "UNSPECIFIED"),
        ("::1", "LOOPBACK"), ("::ffff:1.2.3.4", "IPV4MAP"), ("::1.2.3.4", "RESERVED"),
        ("100::1", "DISCARD"), ("100:0:0:1::1", "RESERVED"), ("2001::1", "TEREDO"),
        ("2001:2::1", "BMWG"), ("2001:db8::1", "DOCUMENTATION"), ("2001:10::1", "ORCHID"),
        ("2001:20::1", "GLOBAL-UNICAST"), ("2002::1", "6TO4"), ("2400::1", "GLOBAL-UNICAST"),
        ("4000::1", "RESERVED"), ("fd00::1", "UNIQUE-LOCAL-UNICAST"),
        ("febf::1", "LINK-LOCAL-UNICAST"), ("fec0::1", "RESERVED"), ("ff02::1", "MULTICAST"),
        ("64:ff9b::1", "RESERVED"), ("[2001:db8::1]", "DOCUMENTATION"),
    ],
)  # fmt: skip
def test_detailed_types(
    services: FakeServices, lua: LuaCalls, context: Context, address: str, kind: str
) -> None:
    family = "ipv6" if ":" in address else "ipv4"
    other = "ipv4" if ":" in address else "ipv6"
    read = services.variables.accessors[b"$avp(kind)"].get
    for name in ("detailed_ip_type", f"detailed_{family}_type"):
        context.shared.avps.clear()
        assert lua(context, f'return KSR.ipops.{name}("{address}", "$avp(kind)")') == 1
        assert read(context) == kind.encode()
    call = f'return KSR.ipops.detailed_{other}_type("{address}", "$avp(kind)")'
    assert lua(context, call) == -1
    assert lua(context, 'return KSR.ipops.detailed_ip_type("foo", "$avp(kind)")') == -1


@pytest.mark.parametrize(
    ("one", "other", "same", "pure"),
    [
        ("1.2.3.4", "1.2.3.4", 1, 1), ("1.2.3.4", "1.2.3.5", -1, -1), ("::1", "[::1]", 1, -1),
        ("[::1]", "[0::1]", 1, -1), ("::1", "0:0::1", 1, 1), ("foo", "foo", -1, -1),
    ],
)  # fmt: skip
def test_comparing(
    lua: LuaCalls, context: Context, one: str, other: str, same: int, pure: int
) -> None:
    assert lua(context, f'return KSR.ipops.compare_ips("{one}", "{other}")') == same
    assert lua(context, f'return KSR.ipops.compare_pure_ips("{one}", "{other}")') == pure


@pytest.mark.parametrize(
    ("address", "subnets", "result"),
    [
        ("10.0.123.123", "10.0.123.1/24", 1), ("10.0.1.1", "10.0.123.0/24", -1),
        ("192.168.0.7", "10.0.0.0/16, 192.168.0.0/24", 1), ("1.2.3.4", "1.2.3.4", 1),
        ("1.2.3.4", "1.2.3.4/33", -1), ("1.2.3.4", "foo", -1), ("foo", "1.2.3.0/24", -1),
        ("2001:db8::1", "2001:db8::/32", 1), ("[2001:db8::1]", "2001:db8::/32", -1),
        ("::1", "1.2.3.0/24", -1), ("1.2.3.4", "0.0.0.0/0", 1),
        ("1.2.3.4", "bad/24,1.2.3.0/24", 1),
    ],
)  # fmt: skip
def test_subnets(
    lua: LuaCalls, context: Context, address: str, subnets: str, result: int
) -> None:
    for name in ("is_in_subnet", "ip_is_in_subnet"):
        assert lua(context, f'return KSR.ipops.{name}("{address}", "{subnets}")') == result


def test_private_addresses(lua: LuaCalls, context: Context) -> None:
    for address, result in (
        ("10.0.0.1", 1), ("172.31.9.9", 1), ("172.32.0.1", -1), ("192.168.1.1", 1),
        ("100.64.0.1", -1),
    ):  # fmt: skip
        assert lua(context, f'return KSR.ipops.is_ip_rfc1918("{address}")') == result


def test_hosts(services: FakeServices, lua: LuaCalls, context: Context) -> None:
    def read(name: bytes) -> Value:
        return services.variables.accessors[name].get(context)  # type: ignore[no-any-return]  # a value

    assert lua(context, 'return KSR.ipops.dns_query("localhost", "x")') == 1
    assert read(b"$dns(x=>addr)") in (b"127.0.0.1", b"::1")
    assert lua(context, 'return KSR.ipops.dns_query("127.0.0.2", "x")') == 1
    assert [read(b"$dns(x=>%s)" % key) for key in (
        b"count", b"ipv4", b"ipv6", b"addr", b"addr[0]", b"type[0]", b"addr[-1]", b"addr[5]", b"zz"
    )] == [1, 1, 0, b"127.0.0.2", b"127.0.0.2", 4, b"127.0.0.2", None, None]  # fmt: skip
    assert read(b"$dns(y=>count)") is None
    assert lua(context, 'return KSR.ipops.dns_query("[", "x")') == -4
    assert read(b"$dns(x=>count)") is None


def test_matching(lua: LuaCalls, context: Context) -> None:
    for name in ("dns_sys_match_ip", "dns_int_match_ip"):
        for host, address, result in (
            ("localhost", "127.0.0.2", -1), ("localhost", "zz", -3), ("127.0.0.1", "127.0.0.1", 1),
            ("[", "127.0.0.2", -4), ("127.0.0.1", "127.0.0.2", -1),
        ):  # fmt: skip
            assert lua(context, f'return KSR.ipops.{name}("{host}", "{address}")') == result


def test_services(
    services: FakeServices, lua: LuaCalls, context: Context, answered: None
) -> None:
    def read(name: bytes) -> Value:
        return services.variables.accessors[name].get(context)  # type: ignore[no-any-return]  # a value

    assert read(b"$srvquery(x=>count)") == 0
    assert lua(context, 'return KSR.ipops.srv_query("_sip._udp.example.test", "x")') == 1
    assert [read(b"$srvquery(x=>target[%d])" % n) for n in range(3)] == [
        b"a.test", b"b.test", b"c.test",
    ]  # fmt: skip
    assert [read(b"$srvquery(x=>%s)" % k) for k in (
        b"count", b"port[0]", b"priority[2]", b"weight[1]", b"port[3]"
    )] == [3, 5060, 20, 1, None]  # fmt: skip
    assert lua(context, 'return KSR.ipops.srv_query("_sip._tcp.example.test", "x")') == -3
    assert read(b"$srvquery(x=>count)") == 0


def test_pointers_and_names(
    services: FakeServices, lua: LuaCalls, context: Context, answered: None
) -> None:
    def read(name: bytes) -> Value:
        return services.variables.accessors[name].get(context)  # type: ignore[no-any-return]  # a value

    assert lua(context, 'return KSR.ipops.naptr_query("example.test", "n")') == 1
    assert [read(b"$naptrquery(n=>%s)" % k) for k in (
        b"count", b"order[0]", b"pref[0]", b"flags[0]", b"services[0]", b"regex[0]", b"replace[0]",
        b"services[1]",
    )] == [2, 10, 5, b"s", b"SIP+D2U", b"", b"_sip._udp.example.test", b"SIP+D2T"]  # fmt: skip
    assert lua(context, 'return KSR.ipops.naptr_query("nobody.test", "n")') == -3
    assert lua(context, 'return KSR.ipops.ptr_query("192.0.2.1", "p")') == 1
    assert read(b"$ptrquery(p=>hostname)") == b"gw.test"
    assert lua(context, 'return KSR.ipops.ptr_query("192.0.2.2", "p")') == -3
    assert lua(context, 'return KSR.ipops.ptr_query("foo", "p")') == -1


def test_own_name(services: FakeServices, lua: LuaCalls, context: Context, tmp_path: Path) -> None:
    import socket

    name = socket.gethostname().encode()
    read = services.variables.accessors
    assert read[b"$HN(f)"].get(context) == name
    assert read[b"$HN(n)"].get(context) == name.partition(b".")[0]
    assert read[b"$HN(x)"].get(context) is None
    hosts = tmp_path / "hosts"
    hosts.write_text("# none\n192.0.2.1 gw gw.test # gateway\n")
    assert listed_address("gw.test", str(hosts)) == b"192.0.2.1"
    assert listed_address("gateway", str(hosts)) is None
    assert lua(context, "return KSR.ipops.dns_set_local_ttl(10)") == 1
