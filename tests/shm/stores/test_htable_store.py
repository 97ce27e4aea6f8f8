import os

import pytest

from shm import KEEP, HashTableStore, RecordError, Sections


@pytest.fixture
def records(make_map):
    return make_map()


@pytest.fixture
def store(records):
    return HashTableStore(records, b"ban")


@pytest.mark.parametrize("value", [0, 1, -5, 1 << 63, -(1 << 63), b"", b"text \xff"])
def test_values_come_back_as_they_are(store, value):
    assert store.set(b"name", value)
    found = store.get(b"name", 0)
    assert found == value
    assert type(found) is type(value)


def test_expiry(store):
    store.set(b"a", 1, 100)
    assert store.get(b"a", 99.5) == 1
    assert store.get(b"a", 100) is None
    assert list(store.items(100)) == []
    assert store.set_expires(b"a", 200, 99)
    assert store.get(b"a", 150) == 1
    assert not store.set_expires(b"a", 300, 200)
    assert not store.set_expires(b"none", 300, 0)
    assert store.expire(199, 10) == []
    assert store.expire(200, 10) == [(b"a", 1)]


def test_increment(store):
    assert store.increment(b"n", 0) == 1
    assert store.increment(b"n", 0, by=5, expires=50) == 6
    assert store.increment(b"n", 0, by=-10) == -4
    assert store.increment(b"n", 50) == 1
    assert store.get(b"n", 10**9) == 1
    store.set(b"text", b"x")
    assert store.increment(b"text", 0) == 1


def test_delete_items_and_match(store, records):
    other = HashTableStore(records, b"other")
    for number in range(5):
        store.set(b"a%d" % number, number)
        other.set(b"a%d" % number, b"x")
    assert store.delete(b"a0")
    assert not store.delete(b"a0")
    assert sorted(store.items(0)) == [(b"a%d" % number, number) for number in range(1, 5)]
    big = store.match(lambda name, value: isinstance(value, int) and value > 2, 0)
    assert sorted(name for name, _ in big) == [b"a3", b"a4"]


def test_refusals(store, records, make_map):
    with pytest.raises(RecordError, match="64 bits"):
        store.set(b"n", 1 << 64)
    with pytest.raises(RecordError):
        HashTableStore(records, b"a\0b")
    full = HashTableStore(make_map(heap=4 << 10), b"t")
    assert not full.set(b"n", b"x" * 9000)
    assert full.get(b"n", 0) is None


def test_no_increment_is_lost(store, fork):
    def count():
        for _ in range(1000):
            store.increment(b"n", 0)

    children = [fork(count) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert store.get(b"n", 0) == 3000


def test_update_and_expiry(store):
    assert store.update(b"n", 10, lambda value, expires: (7, 20) if value is None else KEEP)
    assert store.update(b"n", 10, lambda value, expires: (value + 1, expires))
    assert (store.get(b"n", 19), store.expiry(b"n", 19)) == (8, 20)
    assert (store.get(b"n", 20), store.expiry(b"n", 20)) == (None, None)
    assert store.update(b"n", 20, lambda value, expires: KEEP if value is None else (1, 0))
    assert store.update(b"n", 19, lambda value, expires: (None, 0))
    assert store.expiry(b"n", 0) is None


def test_tables_in_sections_are_gone_through_apart(make_map):
    sections = Sections({b"small": 4, b"large": 300, b"other": 16})
    assert sections.buckets == 1024
    records = make_map(buckets=sections.buckets, code=sections.code)
    small, large, other = (
        HashTableStore(records, name, sections.section(name))
        for name in (b"small", b"large", b"other")
    )
    ranges = [sections.section(name).buckets for name in (b"small", b"large", b"other")]
    assert [len(buckets) for buckets in ranges] == [4, 512, 16]
    assert not set(ranges[0]) & set(ranges[2])
    for number in range(200):
        assert small.set(b"n%d" % number, number)
        assert large.set(b"n%d" % number, b"%d" % number)
    assert other.set(b"n1", b"o")
    assert dict(small.items(0)) == {b"n%d" % number: number for number in range(200)}
    assert large.get(b"n7", 0) == b"7"
    small.clear()
    assert list(small.items(0)) == []
    assert len(list(large.items(0))) == 200
    assert list(other.entries(0)) == [(b"n1", b"o", 0)]
    assert all(
        record.code % 1024 in ranges[1] or record.code % 1024 in ranges[2]
        for record in records.records()
    )
    records.verify()
