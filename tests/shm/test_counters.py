import os

import pytest

from shm import Counters, Histogram, Segment, ShmError

NAMES = ["requests", "replies", *Histogram.columns("handling", (0.001, 0.01)), "last"]


@pytest.fixture
def counters(make_segment):
    return Counters(make_segment(Counters.segment_size(NAMES, 3), "statistics"), NAMES, 3)


def test_rows_add_up(counters):
    for index in range(3):
        row = counters.row(index)
        row[counters.column("requests")] += index + 1
        row[counters.column("last")] += 10
    assert counters.values("requests") == [1, 2, 3]
    assert counters.total("requests") == 6
    assert counters.total("last") == 30
    assert counters.total("replies") == 0


def test_processes_count_and_a_restarted_one_continues(counters, fork):
    column = counters.column("replies")

    def count(index):
        row = counters.row(index)
        for _ in range(1000):
            row[column] += 1

    for _ in range(2):
        children = [fork(lambda index=index: count(index)) for index in range(3)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert counters.values("replies") == [2000, 2000, 2000]


def test_histogram(counters):
    histogram = Histogram(counters, "handling", (0.001, 0.01))
    histogram.observe(counters.row(0), 0.001)
    histogram.observe(counters.row(1), 0.002)
    histogram.observe(counters.row(2), 0.5)
    histogram.observe(counters.row(2), -1.0)
    snapshot = histogram.snapshot()
    assert snapshot.count == 4
    assert snapshot.sum == pytest.approx(0.503)
    assert snapshot.bounds == (0.001, 0.01)
    assert snapshot.buckets == (2, 3, 4)


def test_keep_continues_with_the_same_names_only(counters, make_segment):
    counters.row(1)[0] = 5
    size = Counters.segment_size(NAMES, 3)
    assert Counters(make_segment(size, "statistics", keep=True), NAMES, 3).total("requests") == 5
    renamed = ["other", *NAMES[1:]]
    kept = Counters(make_segment(size, "statistics", keep=True), renamed, 3)
    assert kept.total("other") == 0


def test_attach(counters, instance):
    counters.row(0)[1] = 9
    assert Counters(Segment.attach(instance, "statistics"), NAMES, 3).total("replies") == 9
    with pytest.raises(ShmError, match="other counters"):
        Counters(Segment.attach(instance, "statistics"), NAMES[::-1], 3)


def test_refusals(counters, make_segment):
    with pytest.raises(IndexError):
        counters.row(3)
    with pytest.raises(IndexError):
        counters.row(-1)
    with pytest.raises(KeyError):
        counters.column("none")
    with pytest.raises(ValueError, match="differ"):
        Counters(make_segment(4096), ["a", "a"], 1)
    with pytest.raises(ShmError, match="cannot hold"):
        Counters(make_segment(4096), ["a"], 100)
    with pytest.raises(ValueError, match="ascend"):
        Histogram(counters, "handling", (0.01, 0.001))
