"""The queue store: order, limit, unique keys, several processes, and killed ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from shm import HashMap, Segment
from shm.stores.queue import QueueStore, Uniqueness

Maps = tuple[HashMap, HashMap]


@pytest.fixture
def maps() -> Iterator[Maps]:
    size = HashMap.segment_size(1024, 4 << 20)
    segments = [Segment.create(f"queue-{os.getpid()}", name, size) for name in ("ends", "items")]
    yield HashMap(segments[0], 1024), HashMap(segments[1], 1024)
    for segment in segments:
        segment.unlink()
        segment.close()


def drained(queue: QueueStore) -> list[tuple[bytes, bytes]]:
    found = []
    while (item := queue.take()) is not None:
        found.append(item)
    return found


def test_the_oldest_go_when_it_is_full(maps: Maps) -> None:
    queue, other = QueueStore(*maps, b"q", 3), QueueStore(*maps, b"other")
    assert other.add(b"k", b"")
    for number in range(10):
        assert queue.add(b"%d" % number, b"v")
    assert len(queue) == 3
    assert list(queue.items()) == drained(queue) == [(b"7", b"v"), (b"8", b"v"), (b"9", b"v")]
    assert len(queue) == 0 and queue.take() is None and len(other) == 1
    assert len(maps[1]) == 1


def test_replacing_leaves_nothing_behind(maps: Maps) -> None:
    queue = QueueStore(*maps, b"q", 0, Uniqueness.NEWEST_STAYS)
    queue.add(b"still", b"there")
    for number in range(3000):
        assert queue.add(b"key", b"%d" % number)
    assert len(queue) == 2
    assert len(maps[1]) == 4
    assert drained(queue) == [(b"still", b"there"), (b"key", b"2999")]
    assert len(maps[1]) == 0


def test_no_room(maps: Maps) -> None:
    queue = QueueStore(*maps, b"q")
    count = 0
    while queue.add(b"k", bytes(100_000)):
        count += 1
    assert 30 < count < 42 and len(queue) == count
    assert queue.take() is not None and queue.add(b"k", bytes(100_000))


def test_two_writers_and_a_killed_one(maps: Maps) -> None:
    queue = QueueStore(*maps, b"q")
    children = []
    for name in (b"a", b"b", b"killed"):
        child = os.fork()
        if not child:
            number = 0
            while name == b"killed" or number < 500:
                queue.add(name, b"%d" % number)
                number += 1
                if name == b"killed":
                    queue.take() if number > 50 else None
            os._exit(0)
        children.append(child)
    for child in children[:2]:
        os.waitpid(child, 0)
    os.kill(children[2], signal.SIGKILL)
    os.waitpid(children[2], 0)
    for number in range(100):
        assert queue.add(b"after", b"%d" % number)
    found = drained(queue)
    assert [value for key, value in found if key == b"after"] == [b"%d" % n for n in range(100)]
    for name in (b"a", b"b", b"killed"):
        order = [int(value) for key, value in found if key == name]
        assert order == sorted(set(order))
    assert len(queue) == 0 and len(maps[1]) == 0
    for records in maps:
        records.sweep()
        records.verify()
