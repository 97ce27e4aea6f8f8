"""Prices of shared memory, with 100,000 records: python -m tests.bench.shared_memory."""

import os
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The folder of this file would hide the package of the same name.
sys.path[0] = str(ROOT)

from shm import (  # noqa: E402  (after the path is set)
    Binding,
    Counters,
    Dialog,
    DialogStore,
    HashMap,
    HashTableStore,
    Histogram,
    LocationStore,
    Segment,
)

RECORDS = 100_000
BUCKETS = 131_072
HEAP = 128 << 20


def main() -> None:
    """Fill a map, print the price of each operation, and leave nothing behind."""
    segments: list[Segment] = []

    def segment(size: int) -> Segment:
        made = Segment.create(f"bench-{os.getpid()}", f"s{len(segments)}", size)
        segments.append(made)
        return made

    try:
        size = HashMap.segment_size(BUCKETS, HEAP)
        measure_memory(HashMap(segment(size), BUCKETS))
        measure_map(HashMap(segment(size), BUCKETS))
        measure_table(HashMap(segment(size), BUCKETS))
        measure_location(HashMap(segment(size), BUCKETS))
        measure_dialog(HashMap(segment(size), BUCKETS, hash_length=DialogStore.HASH_LENGTH))
        names = Histogram.columns("t", (0.001, 0.01, 0.1))
        measure_counters(Counters(segment(Counters.segment_size(names, 4)), names, 4))
    finally:
        for made in segments:
            made.unlink()


def price(name: str, work: Callable[[], object], number: int = 20_000) -> None:
    """Print the microseconds of one call, the best of five rounds."""
    best = min(timeit.repeat(work, number=number, repeat=5)) / number
    print(f"{name:34} {best * 1e6:9.2f} us")


def once(name: str, work: Callable[[], object]) -> None:
    """Print the milliseconds of a single call."""
    begin = time.perf_counter()
    work()
    print(f"{name:34} {(time.perf_counter() - begin) * 1e3:9.2f} ms")


def measure_memory(records: HashMap) -> None:
    """Show what a record of 300 octets under a key of 20 takes, and the pace of writing them."""
    value = b"v" * 300
    began = time.perf_counter()
    for number in range(RECORDS):
        records.put(b"user%05d@example.co" % number, value)
    seconds = time.perf_counter() - began
    usage = records.usage()
    each = usage.real_used / RECORDS
    print(f"{'memory of 20 + 300 octets':34} {each:9.1f} octets, {each - 320:.1f} beyond them")
    print(f"{'first writes':34} {RECORDS / seconds:9.0f} a second")
    for work, name in (
        (lambda key: records.get(key), "reads of all"),
        (lambda key: records.put(key, value), "second writes"),
        (lambda key: records.delete(key), "deletes"),
    ):
        began = time.perf_counter()
        for number in range(RECORDS):
            work(b"user%05d@example.co" % number)
        print(f"{name:34} {RECORDS / (time.perf_counter() - began):9.0f} a second")
    usage = records.usage()
    print(f"{'left when all are deleted':34} {usage.used:9d} octets")


def measure_table(records: HashMap) -> None:
    """Measure the hash table store, as $sht uses it."""
    table = HashTableStore(records, b"t")
    for number in range(RECORDS):
        table.set(b"%d@192.0.2.1" % number, number)
    key, now = b"4711@192.0.2.1", time.time()
    price("htable get", lambda: table.get(key, now))
    price("htable set", lambda: table.set(key, 5))
    price("htable increment", lambda: table.increment(key, now))
    once("htable items, 100k", lambda: sum(1 for _ in table.items(now)))


def measure_map(records: HashMap) -> None:
    """Measure the hash map with values of 200 octets."""
    value = b"v" * 200
    for number in range(RECORDS):
        records.put(b"user%d@example.com" % number, value, 1000 + number % 3600)
    key = b"user4711@example.com"
    price("get, found", lambda: records.get(key))
    price("get, not found", lambda: records.get(b"nobody@example.com"))
    price("put, replace", lambda: records.put(key, value, 5000))
    price("put and delete", lambda: (records.put(b"new", value), records.delete(b"new")))
    price("update", lambda: records.update(key, lambda old, expires: (old, expires)))
    once("pop_expired, 2828 of 100k", lambda: records.pop_expired(1100, RECORDS))
    once("pop_expired, none", lambda: records.pop_expired(1100, RECORDS))
    once("pop_expired, next second", lambda: records.pop_expired(1101, RECORDS))
    once("sweep, nobody died", records.sweep)
    once("sweep, forced", lambda: records.sweep(force=True))
    once("verify", records.verify)
    once("items", lambda: sum(1 for _ in records.items()))


def measure_location(records: HashMap) -> None:
    """Measure the location store with one binding for each address."""
    store = LocationStore(records, b"location")
    words = (b"sip:user@192.0.2.1:5060", b"", b"", 2000, -1, b"0123456789@192.0.2.1", 7, 0, 0)
    rest = (b"Phone/1.0", b"udp:127.0.0.1:5060", 0, b"", 0, b"uloc-1-2-3", -1, 0, 1000.5)
    binding = Binding(*words, *rest)
    for number in range(RECORDS):
        store.update(b"user%d@example.com" % number, lambda old: [binding])
    other = Binding(*words[:6], 8, *words[7:], *rest)
    pair = [[binding], [other]]
    aor = b"user4711@example.com"
    price("location lookup", lambda: store.bindings(aor, 1000))
    price("location refresh", lambda: store.update(aor, lambda old: pair[old[0].cseq == 7]))
    once("location counts", store.counts)


def measure_dialog(records: HashMap) -> None:
    """Measure the dialog store with 10,000 dialogs in 4,096 entries."""
    store = DialogStore(records)
    for number in range(RECORDS // 10):
        uri = b"sip:user%d@example.com" % number
        dialog = Dialog(b"call%d" % number, uri, uri, b"f", b"t", expires=9000 + number)
        store.create(dialog)
    made = store.create(Dialog(b"the call", from_tag=b"f", to_tag=b"t"))
    if made is None:
        raise SystemExit("no room for a dialog")
    price("dialog get", lambda: store.get(made.h_entry, made.h_id))
    price("dialog find", lambda: store.find(b"the call", b"f", b"t"))
    price("dialog update", lambda: store.update(made.h_entry, made.h_id, lambda dialog: dialog))
    once("dialog counts, 10k", store.counts)


def measure_counters(counters: Counters) -> None:
    """Measure what a worker pays to count."""
    histogram = Histogram(counters, "t", (0.001, 0.01, 0.1))
    row = counters.row(1)

    def add() -> None:
        row[0] += 1

    price("count", add)
    price("observe", lambda: histogram.observe(row, 0.005))


if __name__ == "__main__":
    main()
