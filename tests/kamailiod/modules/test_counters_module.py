"""Counters of scripts, and the commands cnt.*, as Kamailio 5.6.3 answered."""

import os

import pytest

from kamailiod.metrics.statistics import Statistics
from kamailiod.modules.counters import Counters
from kamailiod.modules.ctl import Ctl
from kamailiod.script.module import RpcFault
from tests.kamailiod.lua_calls import LuaCalls
from workers import process_table


@pytest.fixture
def counters(services):
    module = services.load(Counters, script_counter=["reqs", "g2.x  calls of x"])
    names = [*module.statistics, "core:rcv_requests"]
    services.statistics = Statistics.create(f"test-{os.getpid()}-cnt", names, process_table(1))
    services.statistics.open(1)
    module.child_init(1)
    yield module
    services.statistics.close()


def test_counting(counters, services):
    lua, context = LuaCalls(services, [counters]), services.faked_context()
    total = services.statistics.total
    assert counters.statistics == ("script:reqs", "g2:x")
    assert lua(context, 'return KSR.counters.inc("reqs")') == 1
    assert lua(context, 'return KSR.counters.add("script.reqs", 5)') == 1
    assert lua(context, 'return KSR.counters.inc("g2.x")') == 1
    assert (total("script:reqs"), total("g2:x")) == (6, 1)
    assert lua(context, 'return KSR.counters.add("reqs", -8)') == 1
    assert total("script:reqs") == -2
    assert lua(context, 'return KSR.counters.reset("reqs")') == 1
    assert total("script:reqs") == 0


def test_counters_of_other_modules(counters, services):
    lua, context = LuaCalls(services, [counters]), services.faked_context()
    assert lua(context, 'return KSR.counters.add("core.rcv_requests", 7)') == 1
    assert services.statistics.total("core:rcv_requests") == 7
    assert lua(context, 'return KSR.counters.reset("core.rcv_requests")') == 1
    assert lua(context, 'return KSR.counters.inc("rcv_requests")') == -1


@pytest.mark.parametrize("name", [b"nope", b"core.nope", b"g2.reqs", b"\xff"])
def test_what_the_script_did_not_declare(counters, services, name):
    context = services.faked_context()
    assert counters.increase(context, name) == -1
    assert counters.add(context, name, 1) == -1
    assert counters.reset_counter(context, name) == -1
    assert "does not exist" in services.lines[-1]


def test_commands(counters, services):
    counters.add(services.faked_context(), b"g2.x", 4)
    assert counters.get("g2", "x") == counters.get_raw("g2", "x") == 4
    assert counters.get("g2") == {"x": 4}
    assert counters.groups() == counters.groups_list() == ["core", "g2", "script"]
    assert counters.variables("g2") == counters.variables_list("g2") == ["x"]
    assert counters.values("g2") == counters.all_values("g2") == {"x": 4}
    assert counters.help("g2", "x") == "calls of x"
    assert counters.help("script", "reqs") == "custom script counter."
    assert counters.help("core", "rcv_requests") == "kamailio statistic (no description)"
    assert counters.variables("nope") == []
    assert counters.values("nope") == {}
    assert counters.reset("g2", "x") is None
    assert counters.get("g2", "x") == 0


def test_an_unknown_counter(counters):
    with pytest.raises(RpcFault) as caught:
        counters.get("core", "nope")
    assert (caught.value.code, caught.value.message) == (400, "non-existent counter core.nope\n")


def test_ctl_is_accepted_and_listens_to_nothing(services):
    module = services.load(Ctl, binrpc=["unix:/run/k"])
    assert set(module.without_effect) == set(Ctl.Params.__dataclass_fields__)
    assert module.listeners() == []
