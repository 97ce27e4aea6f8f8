"""Statistics counted in real processes."""

import os

import pytest

from kamailiod.metrics.core_statistics import CORE_STATISTICS, reply_statistics
from kamailiod.metrics.statistics import Statistics


def wait_for(*children):
    return [os.waitpid(child, 0)[1] for child in children]


def test_each_process_counts_in_its_row(statistics, roles, fork):
    def count(role):
        statistics.open(role.index)
        requests = statistics.counter("core:rcv_requests")
        for _ in range(100):
            requests()
        requests(role.index)

    assert wait_for(*(fork(lambda role=role: count(role)) for role in roles[1:])) == [0] * 4
    assert statistics.by_rank("core:rcv_requests") == {0: 0, 1: 101, 2: 102, -1: 103, -2: 104}
    assert statistics.total("core:rcv_requests") == 410


def test_a_restarted_process_goes_on_but_its_gauges_start_at_0(statistics, fork):
    def run():
        statistics.open(1)
        statistics.counter("core:rcv_replies")(5)
        statistics.counter("tm:inuse_transactions")(3)

    for _ in range(2):
        assert wait_for(fork(run)) == [0]
    assert statistics.total("core:rcv_replies") == 10
    assert statistics.total("tm:inuse_transactions") == 3


def test_gauges_go_down_and_can_be_set(statistics):
    statistics.open(1)
    connections = statistics.counter("core:tcp_connections")
    connections()
    connections()
    connections(-1)
    assert statistics.total("core:tcp_connections") == 1
    statistics.setter("core:tcp_connections")(7)
    assert statistics.total("core:tcp_connections") == 7
    assert statistics.is_gauge("core:tcp_connections")
    assert not statistics.is_gauge("core:rcv_requests")


def test_reset_moves_totals_and_not_the_counters(statistics):
    statistics.open(1)
    dropped = statistics.counter("core:drop_requests")
    dropped(3)
    statistics.reset("core:drop_requests")
    assert statistics.total("core:drop_requests") == 0
    dropped()
    assert statistics.total("core:drop_requests") == 1
    assert statistics.by_rank("core:drop_requests")[1] == 4
    statistics.reset("core:drop_requests")
    assert statistics.total("core:drop_requests") == 0


def test_what_one_process_adds_another_takes_off(statistics, fork):
    def add(index, by):
        statistics.open(index)
        statistics.adder("core:drop_requests")(by)

    assert wait_for(fork(lambda: add(1, 3)), fork(lambda: add(2, -5))) == [0, 0]
    assert statistics.total("core:drop_requests") == -2
    assert statistics.by_rank("core:drop_requests")[2] == -5
    statistics.reset("core:drop_requests")
    assert statistics.total("core:drop_requests") == 0
    assert wait_for(fork(lambda: add(2, 1))) == [0]
    assert statistics.total("core:drop_requests") == 1


def test_names_are_found_with_and_without_their_group(statistics):
    assert statistics.find("core:drop_requests") == "core:drop_requests"
    assert statistics.find("drop_requests") == "core:drop_requests"
    assert statistics.find("tm:drop_requests") is None
    assert statistics.find("") is None


def test_handling_times_are_summed(statistics, fork):
    def run(index):
        statistics.open(index)
        observe = statistics.handling()
        observe(0.00004)
        observe(0.03)

    assert wait_for(fork(lambda: run(1)), fork(lambda: run(2))) == [0, 0]
    snapshot = statistics.handling_snapshot()
    assert snapshot.count == 4
    assert snapshot.buckets[0] == 2
    assert snapshot.sum == pytest.approx(0.06008)


def test_nothing_counts_before_the_fork(statistics):
    with pytest.raises(RuntimeError):
        statistics.counter("core:rcv_requests")


def test_an_undeclared_name_is_refused(statistics):
    statistics.open(0)
    with pytest.raises(KeyError):
        statistics.counter("core:nothing")


def test_names_declared_twice_are_one(roles):
    made = Statistics.create(f"test-{os.getpid()}-twice", ["a:b", "a:c", "a:b"], roles)
    try:
        assert made.names == ("a:b", "a:c")
    finally:
        made.close()


def test_closing_removes_the_segment(roles):
    Statistics.create(f"test-{os.getpid()}-gone", ["a:b"], roles).close()
    assert not os.path.exists(f"/dev/shm/kamailiod.test-{os.getpid()}-gone.statistics")


@pytest.mark.parametrize(
    ("code", "method", "expected"),
    [
        (100, b"INVITE", ["rcv_replies_1xx", "rcv_replies_1xx_invite"]),
        (183, b"INVITE", ["rcv_replies_1xx", "rcv_replies_18x", "rcv_replies_1xx_invite"]),
        (200, b"REGISTER", ["rcv_replies_2xx", "rcv_replies_2xx_reg"]),
        (486, b"INVITE", ["rcv_replies_4xx", "rcv_replies_486", "rcv_replies_4xx_invite"]),
        (503, b"OPTIONS", ["rcv_replies_5xx"]),
        (700, b"OPTIONS", []),
        (99, b"OPTIONS", []),
    ],
)
def test_what_a_reply_counts_in(code, method, expected):
    assert reply_statistics(code, method) == tuple(f"core:{name}" for name in expected)


def test_every_reply_statistic_is_declared():
    for code in range(100, 700):
        for method in (b"INVITE", b"BYE", b"CANCEL", b"REGISTER", b"MESSAGE", b"PRACK", b"X"):
            assert set(reply_statistics(code, method)) <= set(CORE_STATISTICS)


def test_a_derived_statistic_is_read_elsewhere(statistics):
    value = [5]
    statistics.derive("shmem:used_size", lambda: value[0])
    assert "shmem:used_size" in statistics
    assert statistics.total("shmem:used_size") == 5
    value[0] = 6
    statistics.reset("shmem:used_size")
    assert statistics.total("shmem:used_size") == 6
