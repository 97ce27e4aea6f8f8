"""Segments that are always unlinked, and child processes that are always reaped."""

import contextlib
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shm import HashMap, Segment

MakeSegment = Callable[..., Segment]
MakeMap = Callable[..., HashMap]
Fork = Callable[[Callable[[], object]], int]

_numbers = itertools.count()


@pytest.fixture
def instance() -> str:
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def make_segment(instance: str) -> Iterator[MakeSegment]:
    made: list[Segment] = []

    def make(size: int, store: str | None = None, *, keep: bool = False) -> Segment:
        segment = Segment.create(instance, store or f"store{len(made)}", size, keep=keep)
        made.append(segment)
        return segment

    yield make
    for segment in made:
        segment.unlink()
        segment.close()


@pytest.fixture
def make_map(make_segment: MakeSegment) -> MakeMap:
    def make(buckets: int = 16, heap: int = 1 << 18, **options: Any) -> HashMap:
        segment = make_segment(HashMap.segment_size(buckets, heap))
        return HashMap(segment, buckets, **options)

    return make


@pytest.fixture
def fork() -> Iterator[Fork]:
    children: list[int] = []

    def start(work: Callable[[], object]) -> int:
        child = os.fork()
        if child == 0:
            _run(work)
        children.append(child)
        return child

    yield start
    for child in children:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _run(work: Callable[[], object]) -> None:
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
