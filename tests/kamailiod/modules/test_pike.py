"""Sources that send too much, as Kamailio 5.6.3 found them in the same sequences of requests."""

from __future__ import annotations

import os
import signal
import time
from itertools import groupby

import pytest

from kamailiod.modules.flooding.source_tree import SourceTree, Verdict
from kamailiod.modules.pike import Pike
from kamailiod.script.module import RpcFault
from shm import HashMap, Segment
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

REQUEST = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
)
FOREVER = 1 << 40
FIRST = 39
"""The request at which Kamailio blocks the first address of an empty tree, at a density of 30."""


def runs(values: list[int]) -> list[tuple[int, int]]:
    """Return (value, how many in a row)."""
    return [(value, len(list(group))) for value, group in groupby(values)]


def asked(lua: LuaCalls, source: bytes, times: int) -> list[tuple[int, int]]:
    context = context_of(REQUEST, source=(source, 5060))
    return runs([lua(context, "return KSR.pike.pike_check_req()") for _ in range(times)])


@pytest.fixture
def pike(services: FakeServices) -> Pike:
    module: Pike = services.load(Pike, sampling_time_unit=FOREVER)
    services.start()
    return module


@pytest.fixture
def lua(services: FakeServices, pike: Pike) -> LuaCalls:
    return LuaCalls(services, [pike])


def test_a_flood_is_detected_once_and_then_blocked(services: FakeServices, lua: LuaCalls) -> None:
    assert asked(lua, b"127.7.8.9", 60) == [(1, FIRST - 1), (-2, 1), (-1, 60 - FIRST)]
    assert services.statistics.total("pike:blocked_ips") == 1
    assert [line for line in services.lines if "BLOCKing ip 127.7.8.9" in line]


def test_neighbours_of_a_source_are_watched_sooner(lua: LuaCalls) -> None:
    asked(lua, b"127.7.8.9", 60)
    assert asked(lua, b"127.7.8.10", 60) == [(1, 30), (-2, 1), (-1, 29)]
    assert asked(lua, b"127.7.9.10", 60) == [(1, 31), (-2, 1), (-1, 28)]
    assert asked(lua, b"10.0.0.1", 5) == [(1, 5)]


def test_addresses_given_by_the_script(services: FakeServices, lua: LuaCalls) -> None:
    context = context_of(REQUEST)

    def check(address: str, times: int = 1) -> list[tuple[int, int]]:
        text = f'return KSR.pike.pike_check_ip("{address}")'
        return runs([lua(context, text) for _ in range(times)])

    assert check("no address") == [(-1, 1)]
    assert "not an IP address" in services.lines[-1]
    assert check("192.0.2.1", 50)[:2] == [(1, FIRST - 1), (-2, 1)]
    assert check("[2001:db8::1]", 120) == [(1, FIRST + 12 - 1), (-2, 1), (-1, 120 - FIRST - 12)]
    assert check("2001:db8::1") == [(-1, 1)]


def test_commands(pike: Pike, lua: LuaCalls) -> None:
    asked(lua, b"127.1.1.1", FIRST)
    asked(lua, b"127.2.1.1", 8)
    shown = pike.top("all")
    assert isinstance(shown, dict)
    assert (shown["max_hits"], shown["number_of_rows"]) == (30, 2)
    first, second = shown["list"]
    assert first == {
        "ip_addr": "127.1.1.1", "leaf_hits_prev": 0, "leaf_hits_curr": 30, "status": "HOT",
        "expires": first["expires"],
    }  # fmt: skip
    assert first["expires"] in range(115, 121)
    assert (second["ip_addr"], second["leaf_hits_curr"], second["status"]) == ("127.2.1.1", 5, "")
    asked(lua, b"127.2.1.1", 3)
    assert [row["ip_addr"] for row in pike.list_sources("WARM")["list"]] == ["127.2.1.1"]  # type: ignore[index]  # a command's answer is an object
    assert pike.list_sources()["number_of_rows"] == 1  # type: ignore[index]  # as above
    with pytest.raises(RpcFault, match="Select"):
        pike.top("cold")


def test_what_calms_down_is_let_in_again(services: FakeServices) -> None:
    pike: Pike = services.load(Pike, reqs_density_per_unit=4, sampling_time_unit=1)
    services.start()
    lua = LuaCalls(services, [pike])
    context = context_of(REQUEST, source=(b"127.0.0.9", 5060))

    def check() -> object:
        return lua(context, "return KSR.pike.pike_check_req()")

    deadline = time.monotonic() + 20
    while check() != -2:
        assert time.monotonic() < deadline
    pike.announce_unblocked()
    assert not any("UNBLOCK" in line for line in services.lines)
    while not any("UNBLOCKing ip 127.0.0.9" in line for line in services.lines):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        pike.announce_unblocked()
    assert check() == 1


def tree(nodes: HashMap, most: int = 30, unit: int = 2, latency: int = 120) -> SourceTree:
    return SourceTree(nodes, most, unit, latency)


A = b"\x0a\0\0\1"


def test_hits_of_two_periods_count(services: FakeServices) -> None:
    found = tree(services.hash_map("pike", 64, 0.1))
    for _ in range(9):
        assert found.mark(A, 1000.0) is Verdict.QUIET
    for at, hits in ((1000.0, 29), (1002.0, 29)):
        assert [found.mark(A, at) for _ in range(hits)] == [Verdict.QUIET] * hits
    assert [found.mark(A, 1002.0) for _ in range(2)] == [Verdict.DETECTED, Verdict.BLOCKED]
    assert found.is_blocked(A, 1003.0)
    assert found.is_blocked(A, 1004.0), "the busy period is the one before"
    assert not found.is_blocked(A, 1006.0)
    assert found.mark(A, 1006.0) is Verdict.QUIET
    assert not found.is_blocked(b"\x0a\0\0\2", 1000.0)


def test_nodes_expire_but_not_above_a_living_one(services: FakeServices) -> None:
    nodes = services.hash_map("pike", 64, 0.1)
    found = tree(nodes, latency=40)
    for _ in range(30):
        found.mark(A, 1000.0)
    assert len(nodes) == 4
    for at in range(1005, 1100, 5):
        found.mark(A, float(at))
        found.expire(float(at), 100)
        assert len(nodes) == 4
    assert found.expire(1200.0, 100) == 4
    assert list(found.leaves(1200.0)) == []


def test_many_quiet_sources_cost_few_nodes_and_a_full_tree_lets_in(services: FakeServices) -> None:
    segment = Segment.create(services.instance, "small", HashMap.segment_size(64, 4096))
    nodes = HashMap(segment, 64)
    found = tree(nodes)
    for number in range(3000):
        address = bytes((number % 250, number // 250, 7, 7))
        assert found.mark(address, 1000.0 + number) is Verdict.QUIET
    assert nodes.usage().free < 200
    nodes.verify()
    segment.unlink()


def test_killed_workers_tear_nothing(services: FakeServices) -> None:
    nodes = services.hash_map("pike", 64, 0.1)
    found = tree(nodes, unit=1)
    for round_ in range(6):
        child = os.fork()
        if not child:
            while True:
                found.mark(A, time.time())
        deadline = time.monotonic() + 5
        while not any(True for _ in found.leaves(time.time())):
            assert time.monotonic() < deadline
        time.sleep(0.01 * round_)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found.mark(A, time.time()) in Verdict
    nodes.sweep()
    nodes.verify()
