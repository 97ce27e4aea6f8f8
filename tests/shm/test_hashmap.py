import os
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm import KEEP, CorruptError, HashMap, Segment, ShmError

KEYS = st.integers(0, 30).map(lambda number: b"key%d" % number)
VALUES = st.binary(max_size=300)
TIMES = st.integers(0, 20)
CALLS = st.one_of(
    st.tuples(st.just("put"), KEYS, VALUES, TIMES),
    st.tuples(st.just("delete"), KEYS, st.just(b""), st.just(0)),
    st.tuples(st.just("append"), KEYS, VALUES, TIMES),
    st.tuples(st.just("pop"), st.just(b"key1"), st.just(b""), TIMES),
    st.tuples(st.just("clear"), st.just(b""), st.just(b""), st.just(0)),
)


def increment(old, expires):
    return b"%d" % (int(old or b"0") + 1), expires


def test_get_put_delete(make_map):
    records = make_map()
    assert records.get(b"a") is None
    assert records.put(b"a", b"1")
    assert records.put(b"b", b"", 7)
    assert records.put(b"a", b"22", 9)
    assert records.lookup(b"a") == (b"22", 9)
    assert records.lookup(b"b") == (b"", 7)
    assert len(records) == 2
    assert records.delete(b"a")
    assert not records.delete(b"a")
    assert records.get(b"a") is None
    assert dict(records.items()) == {b"b": b""}
    records.verify()


def test_update(make_map):
    records = make_map()
    assert records.update(b"n", increment)
    assert records.update(b"n", increment)
    assert records.get(b"n") == b"2"
    assert records.update(b"n", lambda old, expires: KEEP)
    assert records.update(b"n", lambda old, expires: (old, 44))
    assert records.lookup(b"n") == (b"2", 44)
    assert records.update(b"n", lambda old, expires: (None, 0))
    assert records.update(b"n", lambda old, expires: (None, 0))
    assert records.get(b"n") is None
    with pytest.raises(ZeroDivisionError):
        records.update(b"n", lambda old, expires: 1 / 0)
    assert records.put(b"n", b"free again")
    records.verify()


def test_locked_allows_reading_and_writing_its_key(make_map):
    records = make_map()
    with records.locked(b"n"):
        assert records.get(b"n") is None
        records.put(b"n", b"1")
        records.update(b"n", increment)
    assert records.get(b"n") == b"2"


def test_full_refuses_keeps_and_recovers(make_map):
    records = make_map(heap=16 << 10)
    written = 0
    while records.put(b"%d" % written, b"v" * 100):
        written += 1
    assert written > 50
    assert not records.put(b"0", b"w" * 5000)
    assert not records.update(b"1", lambda old, expires: (b"w" * 5000, 0))
    assert records.get(b"0") == records.get(b"1") == b"v" * 100
    assert records.usage().failures == 3
    records.verify()
    for number in range(written):
        assert records.delete(b"%d" % number)
    assert records.usage().used == 0
    assert records.put(b"0", b"w" * 5000)
    records.verify()


def test_records_of_one_size_take_turns_in_two_blocks(make_map):
    records = make_map(buckets=1)
    offsets = []
    for number in range(6):
        assert records.put(b"a", b"value%d" % number)
        [record] = records.records()
        offsets.append(record.offset)
        records.verify()
    assert offsets == offsets[:2] * 3
    assert offsets[0] != offsets[1]
    assert records._stripes.spares() == {offsets[0]}
    records.put(b"b", b"other1")
    assert records._stripes.spares() == set()
    records.verify()


def test_a_large_block_is_never_spare(make_map):
    records = make_map(buckets=1)
    for fill in (b"1", b"2"):
        assert records.put(b"a", fill * 2000)
    assert records._stripes.spares() == set()
    records.verify()


def test_a_full_heap_and_clear_take_the_spare_block(make_map):
    records = make_map(buckets=1, heap=16 << 10)
    for number in range(2):
        records.put(b"a", b"%d" % number * 700)
    assert records._stripes.spares()
    number = 0
    while records.put(b"%d" % number, b"v" * 300):
        number += 1
    assert records._stripes.spares() == set()
    records.verify()
    records.clear()
    for number in range(2):
        records.put(b"a", b"%d" % number * 100)
    assert records._stripes.spares()
    records.clear()
    assert records.usage().used == 0
    records.verify()


def test_verify_sees_a_spare_block_that_is_linked(make_map):
    records = make_map(buckets=1)
    records.put(b"a", b"1")
    [record] = records.records()
    records._words[records._stripes.base + 3] = record.offset
    with pytest.raises(CorruptError, match="linked and spare"):
        records.verify()


def test_expired_and_pop_expired(make_map):
    records = make_map()
    for number in range(100):
        records.put(b"%s%d" % (b"xy"[number % 2 :][:1], number), b"%d" % number, number)
    assert len(records.expired(50, 1000)) == 50
    assert len(records.pop_expired(50, 10)) == 10
    assert {key[:1] for key, _ in records.pop_expired(50, 1000, b"x")} == {b"x"}
    rest = records.pop_expired(50, 1000)
    assert rest
    assert all(key[:1] == b"y" for key, _ in rest)
    assert records.pop_expired(50, 1000) == []
    assert sorted(int(value) for _, value in records.items()) == [0, *range(51, 100)]
    records.put(b"x60", b"60", 0)
    assert len(records.pop_expired(99, 1000)) == 48
    assert dict(records.items()) == {b"x0": b"0", b"x60": b"60"}
    records.verify()


def test_hash_length_finds_keys_that_begin_alike(make_map):
    records = make_map(buckets=4, hash_length=4)
    for number in range(40):
        records.put(b"%04d-%d" % (number % 8, number), b"%d" % number)
    assert sorted(found[2:4] for found in records.matching(b"0003")) == sorted(
        (b"0003-%d" % number, b"%d" % number) for number in range(3, 40, 8)
    )
    assert [found.value for found in records.matching(b"0003-11")] == [b"11"]
    assert records.matching(b"0009") == []
    assert records.get(b"0003-11") == b"11"
    records.verify()


def test_clear(make_map):
    records = make_map()
    for number in range(200):
        records.put(b"%d" % number, b"v")
    records.clear()
    assert len(records) == 0
    assert list(records.items()) == []
    assert records.usage().used == 0
    records.verify()


def test_attached_map_takes_the_shape_of_its_creator(make_segment, instance):
    made = HashMap(make_segment(HashMap.segment_size(64, 1 << 16), "m"), 64, hash_length=2)
    attached = HashMap(Segment.attach(instance, "m"), 16)
    made.put(b"a", b"1")
    attached.put(b"b", b"2")
    assert attached.hash_length == 2
    assert dict(made.items()) == dict(attached.items()) == {b"a": b"1", b"b": b"2"}
    made.verify()


def test_kept_map_has_free_locks_and_no_leak(make_segment, fork):
    size = HashMap.segment_size(16, 1 << 16)
    records = HashMap(make_segment(size, "m"), 16)
    records.put(b"a", b"1", 5)

    def die():
        records._heap.allocate(100)
        with records.locked(b"a"):
            os.kill(os.getpid(), 9)

    os.waitpid(fork(die), 0)
    kept = HashMap(make_segment(size, "m", keep=True), 16)
    kept.verify()
    assert kept.lookup(b"a") == (b"1", 5)
    assert kept.put(b"a", b"2")
    other = HashMap(make_segment(size, "m", keep=True), 32)
    assert len(other) == 0
    other.verify()


def test_too_small_a_segment_is_refused(make_segment):
    with pytest.raises(ShmError, match="cannot hold 4096 buckets"):
        HashMap(make_segment(4096), 4096)


@pytest.mark.parametrize("break_it", ["count", "head", "key", "earliest", "loop"])
def test_verify_sees_what_is_broken(make_map, break_it):
    records = make_map(buckets=1)
    records.put(b"a", b"1", 50)
    records.put(b"b", b"2", 60)
    [_, first] = records._chains.records(0)
    words, state = records._words, records._stripes.base
    if break_it == "count":
        words[state + 1] += 1
    elif break_it == "head":
        words[records._heads] = 1 << 62
    elif break_it == "key":
        records._memory[first.offset + 32] = ord("b")
    elif break_it == "earliest":
        words[state + 2] = 55
    else:
        words[first.offset >> 3] = first.offset
    with pytest.raises(CorruptError):
        records.verify()


def test_reader_falls_back_to_the_lock_when_the_version_never_rests(make_map, monkeypatch):
    records = make_map()
    records.put(b"a", b"1", 3)
    monkeypatch.setattr("shm.hashmap._ATTEMPTS", range(0))
    assert records.lookup(b"a") == (b"1", 3)
    assert records.lookup(b"b") is None
    assert list(records.items()) == [(b"a", b"1")]


@settings(deadline=None, max_examples=60)
@given(st.lists(CALLS, max_size=60))
def test_behaves_as_a_dict(calls):
    segment = Segment.create(f"test-hashmap-{os.getpid()}", "x", HashMap.segment_size(4, 1 << 16))
    try:
        records, model = HashMap(segment, 4), {}
        for name, key, value, time in calls:
            apply(records, model, name, key, value, time)
            assert records.lookup(key) == model.get(key)
            assert len(records) == len(model)
        assert {r.key: (r.value, r.expires) for r in records.records()} == model
        records.verify()
    finally:
        segment.unlink()
        segment.close()


def apply(records, model, name, key, value, time):
    if name == "put":
        assert records.put(key, value, time)
        model[key] = value, time
    elif name == "delete":
        assert records.delete(key) == (model.pop(key, None) is not None)
    elif name == "append":
        assert records.update(key, lambda old, _: ((old or b"") + value, time))
        model[key] = model.get(key, (b"", 0))[0] + value, time
    elif name == "pop":
        due = {k: v for k, (v, expires) in model.items() if 0 < expires <= time}
        assert dict(records.pop_expired(time, 100)) == due
        for gone in due:
            del model[gone]
    else:
        records.clear()
        model.clear()


def test_processes_write_and_read_together(make_map, fork):
    records = make_map(buckets=8)

    def write(name):
        for number in range(3000):
            body = b"%c" % (number & 255) * (number % 200)
            assert records.put(b"%d:%d" % (name, number % 20), b"%08x" % crc32(body) + body)
            assert records.update(b"shared%d" % (number % 3), increment)
            if number % 7 == 0:
                records.delete(b"%d:%d" % (name, number % 20))

    def read():
        while int(records.get(b"shared0") or b"0") < 2000:
            for name in range(2):
                for number in range(20):
                    check(records.get(b"%d:%d" % (name, number)))
            for key, value in records.items():
                assert key.startswith(b"shared") or check(value)

    children = [fork(lambda name=name: write(name)) for name in range(2)] + [fork(read)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert [records.get(b"shared%d" % number) for number in range(3)] == [b"2000"] * 3
    assert records.recovered == 0
    records.verify()


def check(value):
    assert value is None or value[:8] == b"%08x" % crc32(value[8:])
    return True


def test_update_sees_what_its_function_wrote_to_the_same_key(make_map):
    records = make_map(buckets=1)
    records.put(b"other", b"x")

    def write(old, expires):
        records.put(b"n", b"inner" * 20)
        return b"outer", 0

    for _ in range(2):
        assert records.update(b"n", write)
        assert records.get(b"n") == b"outer"
        records.verify()
    assert len(records) == 2


def test_attach_to_a_segment_without_a_map(make_segment, instance):
    make_segment(1 << 16, "m")
    with pytest.raises(ShmError, match="holds no map"):
        HashMap(Segment.attach(instance, "m"))


def test_weight_is_the_sum_over_the_records_that_are_there(make_map):
    records = make_map(buckets=4, weigh=lambda value: value[0])
    for number in range(40):
        assert records.put(b"%d" % number, bytes([number]) + b"x" * number, 5 if number < 10 else 0)
    assert records.weight() == sum(range(40))
    records.put(b"7", bytes([200]))
    records.update(b"8", lambda old, expires: (bytes([100]), 0))
    records.delete(b"39")
    assert records.weight() == sum(range(39)) - 7 - 8 + 300
    records.pop_expired(5, 100)
    assert records.weight() == sum(range(10, 39)) + 300
    records.verify()
    records._words[records._stripes.base + 4] += 1
    with pytest.raises(CorruptError, match="weighs"):
        records.verify()
    records._stripes.recount(0)
    records.verify()
    records.clear()
    assert records.weight() == 0


def test_a_hash_of_the_caller_puts_keys_where_it_wants(make_map):
    records = make_map(buckets=64, code=lambda key: (crc32(key) & ~63) | (16 if key[0] > 64 else 0))
    for number in range(100):
        records.put(b"%c%d" % (64 + number % 2, number), b"")
    assert len(list(records.records(b"", range(16, 32)))) == 50
    assert all(record.key[0] == 64 for record in records.records(b"", range(16)))
    assert records.get(b"@0") == b""
    records.verify()


def test_readers_and_writers_do_not_wait_for_each_other(make_map, fork):
    """A process reads while another holds every lock, and that one writes while it reads."""
    records = make_map(buckets=4)
    for number in range(40):
        records.put(b"old%d" % number, b"v")
    ready, say = os.pipe()
    go_on, answer = os.pipe()

    def write():
        records._locks.acquire_all()
        os.write(say, b"1")
        os.read(go_on, 1)
        for number in range(40):
            records.put(b"new%d" % number, b"w")
            records.delete(b"old%d" % number)
        os.write(say, b"2")
        os.read(go_on, 1)

    child = fork(write)
    assert os.read(ready, 1) == b"1"
    assert len(list(records.records())) == 40
    assert records.get(b"old7") == b"v"
    begun = records.records()
    first = next(begun)
    os.write(answer, b"x")
    assert os.read(ready, 1) == b"2"
    rest = {record.key: record.value for record in begun}
    assert first.key.startswith(b"old")
    assert {key[:3] for key in rest} <= {b"old", b"new"}
    assert all(value == (b"w" if key[:3] == b"new" else b"v") for key, value in rest.items())
    assert {record.key for record in records.records()} == {b"new%d" % n for n in range(40)}
    os.write(answer, b"x")
    assert os.waitpid(child, 0)[1] == 0
    records.verify()
