import errno
import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm import Allocator, CorruptError, Segment, Usage

HEAP = 64 << 10


@pytest.fixture
def segment(make_segment):
    return make_segment(HEAP)


@pytest.fixture
def heap(segment):
    return Allocator(segment, 64, segment.size)


def test_blocks_are_aligned_disjoint_and_counted(heap):
    sizes = [1, 16, 100, 1000, 1017, 5000]
    offsets = [heap.allocate(size) for size in sizes]
    spans = sorted(zip(offsets, sizes, strict=True))
    assert all(offset % 8 == 0 for offset in offsets)
    assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(spans))
    usage = heap.usage()
    assert usage.used >= sum(sizes)
    assert usage.real_used + usage.free == usage.total <= HEAP
    assert usage.max_used == usage.real_used
    assert heap.faults(set(offsets)) == []


def test_full_gives_0_and_counts_and_released_memory_is_used_again(heap):
    offsets = []
    while offset := heap.allocate(500):
        offsets.append(offset)
    assert heap.usage().failures == 1
    heap.release(offsets[3])
    assert heap.usage().fragments == 1
    assert heap.allocate(500) == offsets[3]
    assert heap.allocate(HEAP) == 0
    assert heap.faults(set(offsets)) == []


def test_small_free_blocks_are_joined_for_a_large_one(heap):
    offsets = []
    while offset := heap.allocate(100):
        offsets.append(offset)
    for offset in offsets[100:200]:
        heap.release(offset)
    large = heap.allocate(8000)
    assert large
    assert heap.faults({*offsets[:100], *offsets[200:], large}) == []


def test_large_free_block_is_split_for_a_small_one(heap):
    large = heap.allocate(40000)
    rest = []
    while offset := heap.allocate(100):
        rest.append(offset)
    heap.release(large)
    small = heap.allocate(100)
    assert small == large
    assert heap.faults({small, *rest}) == []


def test_release_of_a_free_block_is_refused(heap):
    offset = heap.allocate(10)
    heap.release(offset)
    with pytest.raises(CorruptError):
        heap.release(offset)
    assert heap.allocate(10) == offset


def test_recover_frees_what_nobody_reaches(heap):
    offsets = [heap.allocate(200) for _ in range(50)]
    assert heap.faults(set(offsets[::2]))
    assert heap.recover(set(offsets[::2])) == 25
    assert heap.faults(set(offsets[::2])) == []


def test_faults_sees_a_broken_block(heap, segment):
    offset = heap.allocate(100)
    segment.words[(offset - 8) >> 3] = 24
    assert heap.faults({offset}) == [f"block {offset - 8} has the size 24"]


def test_adopt_keeps_the_blocks_and_repairs_the_bins(heap, segment):
    offsets = [heap.allocate(300) for _ in range(10)]
    heap.release(offsets.pop(4))
    adopted = Allocator(segment, 64, segment.size, fresh=False, adopt=True)
    assert adopted.usage().used == heap.usage().used
    assert adopted.faults(set(offsets)) == []


def test_full_filesystem_is_a_full_heap(make_segment, monkeypatch):
    segment = make_segment(64 << 20)
    heap = Allocator(segment, 64, segment.size)
    first = heap.allocate(1000)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    while heap.allocate(50000):
        pass
    assert heap.usage().used < 2 << 20
    heap.release(first)
    assert heap.allocate(1000) == first
    monkeypatch.undo()
    assert heap.allocate(50000)


def test_too_small_a_heap_is_refused(segment):
    with pytest.raises(ValueError, match="at least"):
        Allocator(segment, 64, 1024)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6000)), max_size=120))
def test_any_order_of_calls_keeps_every_invariant(calls):
    segment = Segment.create(f"test-allocator-{os.getpid()}", "x", 32 << 10)
    try:
        heap, held = Allocator(segment, 64, segment.size), {}
        for allocate, number in calls:
            if allocate:
                offset = heap.allocate(number)
                if offset:
                    assert offset not in held
                    fill = bytes([number & 255]) * number
                    segment.memory[offset : offset + number] = fill
                    held[offset] = fill
            elif held:
                offset = list(held)[number % len(held)]
                assert segment.memory[offset : offset + len(held[offset])] == held.pop(offset)
                heap.release(offset)
        assert heap.faults(held) == []
        assert heap.usage().used >= sum(len(fill) for fill in held.values())
        for offset, fill in held.items():
            assert segment.memory[offset : offset + len(fill)] == fill
    finally:
        segment.unlink()
        segment.close()


def test_usages_are_summed():
    one, two = Usage(10, 1, 2, 3, 7, 1, 0), Usage(20, 4, 5, 6, 17, 2, 9)
    assert Usage.summed([one, two]) == Usage(30, 5, 7, 9, 24, 3, 9)
    assert Usage.summed([]) == Usage(0, 0, 0, 0, 0, 0, 0)
