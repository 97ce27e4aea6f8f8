"""kill -9 of writers of the store at random instants: python -m tests.bench.kill_store [SECONDS].

Three maps: one with room, whose every acknowledged write is known; one that is always full; and
one where records expire, are counted and are swept away. After each death the map is swept, as the
supervisor does it, and every invariant is checked while the others go on writing.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shm import CorruptError, Counters, HashMap, HashTableStore, Segment
from tests.shm.killed_writers import (
    COLUMNS,
    TORN,
    WRITERS,
    differences,
    overfill,
    read,
    weigh,
    write,
)

_STATUS = {3: "found no room", 4: "read a torn value", 5: "saw a refused write change something"}
_LONGEST_PAUSE = 0.02


@dataclass
class Store:
    """One map, its counters, and what runs on it: a writer's work by its number, and readers'."""

    name: str
    records: HashMap
    counters: Counters
    work: Callable[[int], None]
    watch: Callable[[], None]
    children: dict[int, int] = field(default_factory=dict)
    kills: int = 0
    leaked: int = 0
    checks: int = 0
    violations: list[str] = field(default_factory=list)

    def start(self, writer: int) -> None:
        """Start a writer, or with the number WRITERS the reader."""
        work = self.watch if writer == WRITERS else lambda: self.work(writer)
        self.children[writer] = _forked(work)

    def kill(self, writer: int) -> None:
        """Kill a process, note if it had found something wrong, sweep and check."""
        child = self.children[writer]
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if status != signal.SIGKILL:
            code = os.waitstatus_to_exitcode(status)
            self.violations.append(f"process {writer} {_STATUS.get(code, f'ended with {code}')}")
        self.kills += 1

    def check(self) -> None:
        """Sweep, and check every invariant."""
        self.leaked += self.records.sweep()
        self.checks += 1
        try:
            self.records.verify()
        except CorruptError as error:
            self.violations.append(str(error))

    def show(self) -> None:
        """Print the figures."""
        total, usage = self.counters.total, self.records.usage()
        print(
            f"{self.name}: {self.kills} kills, {total('operations')} operations, "
            f"{total('refused')} refused, {total('read')} records read, "
            f"{self.records.recovered} locks taken over, {self.leaked} blocks swept, "
            f"{self.checks} checks, {len(self.records)} records, {usage.real_used} of "
            f"{usage.total} bytes used, {len(self.violations)} violations"
        )
        for violation in self.violations[:10]:
            print(f"    {violation}")


def main() -> int:
    """Kill for as long as was asked for, a minute by default; 1 when an invariant was broken."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    segments: list[Segment] = []
    try:
        stores = [_roomy(segments), _full(segments), _expiring(segments)]
        _kill_for(seconds, stores)
        for store in stores:
            store.show()
        kills = sum(store.kills for store in stores)
        violations = sum(len(store.violations) for store in stores)
        print(f"{seconds:.0f} s, {kills} kills, {violations} violations")
        return 1 if violations else 0
    finally:
        for segment in segments:
            segment.unlink()


def _kill_for(seconds: float, stores: list[Store]) -> None:
    for store in stores:
        for writer in range(WRITERS + 1):
            store.start(writer)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(random.random() * _LONGEST_PAUSE)
        store, writer = random.choice(stores), random.randrange(WRITERS + 1)
        store.kill(writer)
        store.check()
        store.start(writer)
    for store in stores:
        for writer in store.children:
            store.kill(writer)
        store.check()
    roomy = stores[0]
    roomy.violations += differences(roomy.records, roomy.counters, roomy.kills)


def _made(segments: list[Segment], name: str, heap: int) -> tuple[HashMap, Counters]:
    def segment(part: str, size: int) -> Segment:
        segments.append(Segment.create(f"bench-{os.getpid()}", part, size))
        return segments[-1]

    records = HashMap(segment(name, HashMap.segment_size(16, heap)), 16, weigh=weigh)
    size = Counters.segment_size(COLUMNS, WRITERS + 1)
    return records, Counters(segment(f"{name}-counters", size), COLUMNS, WRITERS + 1)


def _roomy(segments: list[Segment]) -> Store:
    records, counters = _made(segments, "roomy", 128 << 10)
    return Store(
        "roomy", records, counters, lambda writer: write(records, counters, writer),
        lambda: read(records, counters),
    )  # fmt: skip


def _full(segments: list[Segment]) -> Store:
    records, counters = _made(segments, "full", 256 << 10)
    return Store(
        "full", records, counters, lambda writer: overfill(records, counters, writer),
        lambda: read(records, counters),
    )  # fmt: skip


def _expiring(segments: list[Segment]) -> Store:
    records, counters = _made(segments, "expiring", 512 << 10)
    return Store(
        "expiring", records, counters, lambda writer: _count(records, counters, writer),
        lambda: _expire(records, counters),
    )  # fmt: skip


def _count(records: HashMap, counters: Counters, writer: int) -> None:
    """Count up numbers that expire, and go through the table now and then, for ever."""
    table, row = HashTableStore(records, b"t"), counters.row(writer)
    chance = random.Random(os.getpid())
    while True:
        now = time.time()
        expires = int(now) + chance.randrange(3)
        if table.increment(b"n%d" % chance.randrange(2000), now, expires=expires) is None:
            row[2] += 1
        row[0] += 1
        if row[0] % 5000 == 0:
            row[3] += sum(1 for _ in table.items(now))


def _expire(records: HashMap, counters: Counters) -> None:
    """Take away what has expired, for ever."""
    table, row = HashTableStore(records, b"t"), counters.row(WRITERS)
    while True:
        for name, value in table.expire(int(time.time()), 50):
            row[3] += 1
            if name[:1] != b"n" or not isinstance(value, int):
                os._exit(TORN)


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
