"""dispatcher: calls counted by Call-ID, as Kamailio 5.6.3 counts them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from kamailiod.modules.dispatching.states import LOAD
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.dispatcher_setup import Balanced, message, reply


@pytest.fixture
def balanced(services: FakeServices, tmp_path: Path) -> Balanced:
    return Balanced(services, tmp_path, ds_hash_size=6)


def begin(balanced: Balanced, number: int) -> str:
    return balanced.chosen(1, 10, message("INVITE", f"call{number}@x"))


def loads(balanced: Balanced) -> dict[str, int]:
    words = balanced.module.balancer.states.words
    return {
        one.duid.decode(): words[one.slot + LOAD]
        for one in balanced.module.balancer.sets().by_id[1].destinations
    }


def test_the_fewest_calls(balanced: Balanced) -> None:
    assert [begin(balanced, number) for number in range(5)] == ["03", "02", "01", "03", "02"]
    # A call that comes again is sent elsewhere, but not counted again.
    assert begin(balanced, 0) == "01"
    assert loads(balanced) == {"c": 2, "b": 2, "a": 1}


def test_a_list_of_counted_calls(balanced: Balanced) -> None:
    context = message("INVITE")
    assert balanced.call("ds_select_dst(1, 10)", context) == 1
    assert [record[b"dstid"] for record in context.shared.xavps[b"_dsdst_"]] == [  # type: ignore[index]  # records
        [b"c"], [b"b"], [b"a"],
    ]  # fmt: skip
    assert balanced.call("ds_next_dst()", context) == 1
    assert loads(balanced) == {"c": 0, "b": 1, "a": 0}
    for other in (message("OPTIONS"), context):
        balanced.call("ds_select_dst(1, 10)", other)
        assert b"dstid" not in other.shared.xavps[b"_dsdst_"][0]  # type: ignore[operator]  # a record


def test_a_destination_takes_no_more_than_its_maxload(balanced: Balanced) -> None:
    chosen = [begin(balanced, number) for number in range(20)]
    assert chosen.count("01") == loads(balanced)["a"] == 3
    context = message("INVITE", "more@x")
    balanced.module.rpc_set_state("i", 1, "sip:127.0.0.1:7002")
    assert balanced.call("ds_select_dst(1, 10)", context) == 1
    # Behind the first stands only the full one: there is no next.
    assert balanced.call("ds_next_dst()", context) == -1
    balanced.module.rpc_set_state("i", 1, "sip:127.0.0.1:7003;transport=udp")
    assert balanced.call("ds_select_dst(1, 10)", message("INVITE", "last@x")) == -1


def test_the_end_of_calls(balanced: Balanced) -> None:
    for number in range(5):
        begin(balanced, number)
    assert balanced.call("ds_load_update()", message("BYE", "call0@x")) == 0
    assert balanced.call("ds_load_update()", message("CANCEL", "call2@x")) == 0
    assert loads(balanced) == {"c": 1, "b": 2, "a": 0}
    for method, call_id in (("BYE", "none"), ("INVITE", "call1@x"), ("OPTIONS", "call1@x")):
        assert balanced.call("ds_load_update()", message(method, call_id)) == 0
    assert loads(balanced) == {"c": 1, "b": 2, "a": 0}
    assert balanced.call("ds_load_unset()", message("BYE", "call1@x")) == 0
    assert balanced.call("ds_load_unset()", message("BYE", "call1@x")) == -1
    assert loads(balanced) == {"c": 1, "b": 1, "a": 0}


def test_taking_back_a_call_that_was_just_selected(balanced: Balanced) -> None:
    context = message("INVITE", "new@x")
    assert balanced.call("ds_load_unset()", context) == 0
    balanced.call("ds_select_dst(1, 10)", context)
    assert loads(balanced)["c"] == 1
    assert balanced.call("ds_load_unset()", context) == 0
    assert loads(balanced)["c"] == 0
    assert balanced.module.ds_load_update_native(context) == 1
    assert balanced.module.ds_load_unset_native(message("BYE", "new@x")) == -1


def test_calls_expire_later_once_answered(services: FakeServices, tmp_path: Path) -> None:
    balanced = Balanced(
        services, tmp_path, ds_hash_size=6, ds_hash_initexpire=-5, ds_hash_expire=3600
    )
    for number in range(2):
        begin(balanced, number)
    assert balanced.call("ds_load_update()", reply(180, "call0@x")) == 0
    assert balanced.call("ds_load_update()", reply(200, "call1@x")) == 0
    load = balanced.module.balancer.load
    assert load is not None
    load.expire()
    assert loads(balanced) == {"c": 0, "b": 1, "a": 0}


def test_counts_agree_with_calls_after_a_reload_and_a_death(balanced: Balanced) -> None:
    for number in range(4):
        begin(balanced, number)
    assert balanced.call("ds_reload()") == 1
    assert loads(balanced) == {"c": 2, "b": 1, "a": 1}
    # As if a worker had died between the record of a call and its count.
    one = balanced.destination(1, 7001)
    balanced.module.balancer.states.words[one.slot + LOAD] += 5
    balanced.module.child_init(1)
    assert loads(balanced) == {"c": 2, "b": 1, "a": 1}


def test_processes_count_together(balanced: Balanced) -> None:
    """Three processes begin and end calls; some of a process that was killed are left."""
    children = []
    for process in range(3):
        child = os.fork()
        if child == 0:
            for number in range(100):
                begin(balanced, process * 1000 + number)
                if number % 4:
                    balanced.call(
                        "ds_load_update()", message("BYE", f"call{process * 1000 + number}@x")
                    )
            os.kill(os.getpid(), signal.SIGKILL)
        children.append(child)
    for child in children:
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert sum(loads(balanced).values()) == 3 * 25
    assert loads(balanced)["a"] <= 3
    before = loads(balanced)
    balanced.module.child_init(1)
    assert loads(balanced) == before


def test_without_a_table_of_calls_the_first_is_chosen(
    services: FakeServices, tmp_path: Path
) -> None:
    balanced = Balanced(services, tmp_path)
    assert [begin(balanced, number) for number in range(2)] == ["03", "03"]
    assert balanced.call("ds_load_update()", message("BYE")) == 0
    assert balanced.call("ds_load_unset()", message("BYE")) == -1
