"""Writers killed with SIGKILL: at every single line, and at random instants under load."""

import os
import random
import signal
import sys
import time
from zlib import crc32

import pytest

from shm import Counters

SECONDS = float(os.environ.get("KAMAILIOD_KILL_SECONDS", "5"))
WRITERS = 3
KEYS = 24


def append(old, expires):
    return (old or b"") + b"+new", expires


def replace_thrice(records):
    # The first block becomes the stripe's spare, the second record goes into it, the third not.
    return [records.put(b"key3", body, 5) for body in (b"new3", b"newt", b"new" * 30)]


OPERATIONS = {
    "insert": lambda records: records.put(b"fresh", b"new" * 30, 5),
    "replace": lambda records: records.put(b"key3", b"new" * 30, 5),
    "delete": lambda records: records.delete(b"key3"),
    "update": lambda records: records.update(b"key3", append),
    "pop_expired": lambda records: records.pop_expired(99, 100),
    "clear": lambda records: records.clear(),
    "sweep": lambda records: records.sweep(force=True),
}


def filled(make_map, *, full=False):
    records = make_map(buckets=4, heap=16 << 10)
    for number in range(10):
        records.put(b"key%d" % number, b"old%d" % number, 90 + number if number % 2 else 0)
    if full:
        fill = 0
        while records.put(b"fill%d" % fill, b"f" * 120):
            fill += 1
        # Small holes side by side: the next record must join and split blocks to fit.
        for number in range(0, fill, 3):
            records.delete(b"fill%d" % number)
            records.delete(b"fill%d" % (number + 1))
    return records


def die_at_line(limit, work):
    """Run `work` and be killed before the `limit`-th line that runs in the package."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if "/shm/" not in frame.f_code.co_filename or "/tests/" in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == limit:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work()
    sys.settrace(None)


def run_until(line, fork, work):
    return os.waitpid(fork(lambda: die_at_line(line, work)), 0)[1]


@pytest.mark.parametrize("full", [False, True], ids=["roomy", "full"])
@pytest.mark.parametrize("name", ["insert", "replace", "delete", "update"])
def test_killed_at_any_line_leaves_the_old_or_the_new(make_map, fork, name, full):
    operation = OPERATIONS[name]
    template = filled(make_map, full=full)
    before = {record.key: record[2:] for record in template.records()}
    image = template._memory[:]
    operation(template)
    after = {record.key: record[2:] for record in template.records()}
    assert before != after
    line, status = 0, -1
    while status != 0:
        line += 1
        template._memory[:] = image
        status = run_until(line, fork, lambda: operation(template))
        assert status in (0, signal.SIGKILL)
        template.sweep()
        template.verify()
        now = {record.key: record[2:] for record in template.records()}
        assert now == after or (status and now == before)
        assert len(template) == len(now)
        assert template.put(b"key3", b"usable")
    assert line > 40


def test_killed_at_any_line_while_a_spare_block_is_used(make_map, fork):
    template = filled(make_map)
    assert template.put(b"key3", b"olde", 5)
    assert template.put(b"key7", b"olde", 5)
    assert template._stripes.spares()
    rest = {record.key: record[2:] for record in template.records()}
    del rest[b"key3"]
    image = template._memory[:]
    line, status = 0, -1
    while status != 0:
        line += 1
        template._memory[:] = image
        status = run_until(line, fork, lambda: replace_thrice(template))
        template.sweep()
        template.verify()
        now = {record.key: record[2:] for record in template.records()}
        assert now.pop(b"key3")[1] in (b"olde", b"new3", b"newt", b"new" * 30)
        assert now == rest
        assert template.put(b"key3", b"usable")
        template.verify()


@pytest.mark.parametrize("name", ["pop_expired", "clear", "sweep"])
def test_killed_at_any_line_of_a_long_operation(make_map, fork, name):
    operation = OPERATIONS[name]
    records = filled(make_map)
    before = {record.key: record[2:] for record in records.records()}
    image = records._memory[:]
    operation(records)
    after = {record.key: record[2:] for record in records.records()}
    line, status, step = 0, -1, 7
    while status != 0:
        line += step
        records._memory[:] = image
        status = run_until(line, fork, lambda: operation(records))
        records.sweep()
        records.verify()
        now = {record.key: record[2:] for record in records.records()}
        assert after.items() <= now.items() <= before.items()
        operation(records)
        assert {record.key: record[2:] for record in records.records()} == after
        records.verify()


def plan(writer, number):
    """The operation that is the `number`-th of a writer: the same whoever asks."""
    chance = random.Random(writer * 1_000_003 + number)
    key = b"%d:%d" % (writer, chance.randrange(KEYS))
    if chance.random() < 0.3:
        return key, None
    body = bytes([chance.randrange(256)]) * chance.randrange(700)
    return key, b"%08x" % crc32(body) + body


def write(records, counters, writer):
    row = counters.row(writer)
    while True:
        number = row[0] + 1
        key, value = plan(writer, number)
        if value is None:
            records.delete(key)
        elif not records.put(key, value, number):
            os._exit(3)
        row[0] = number
        if not records.update(b"shared", add_one):
            os._exit(3)
        row[1] += 1


def add_one(old, expires):
    return b"%d" % (int(old or b"0") + 1), expires


def read(records):
    while True:
        for key, value in records.items():
            if key != b"shared" and value[:8] != b"%08x" % crc32(value[8:]):
                os._exit(4)
        for writer in range(WRITERS):
            for number in range(KEYS):
                value = records.get(b"%d:%d" % (writer, number))
                if value is not None and value[:8] != b"%08x" % crc32(value[8:]):
                    os._exit(4)


def expected(writer, done):
    model = {}
    for number in range(1, done + 1):
        key, value = plan(writer, number)
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
    return model


def kill(child):
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_killed_writers_lose_and_tear_nothing(make_map, make_segment, fork):
    records = make_map(buckets=16, heap=128 << 10)
    size = Counters.segment_size(["operations", "bumps"], WRITERS)
    counters = Counters(make_segment(size), ["operations", "bumps"], WRITERS)

    def start(writer):
        return fork(lambda: write(records, counters, writer))

    children = [start(writer) for writer in range(WRITERS)]
    reader = fork(lambda: read(records))
    kills, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(random.random() * 0.03)
        writer = random.randrange(WRITERS)
        kill(children[writer])
        kills += 1
        if kills % 3 == 0:
            records.sweep()
        children[writer] = start(writer)
    for child in [*children, reader]:
        kill(child)
    records.sweep()
    records.verify()
    compare(records, counters, kills + WRITERS)
    print(f"{kills} kills, {counters.total('operations')} writes, {records.recovered} recovered")


def compare(records, counters, kills):
    bumps = counters.total("bumps")
    assert bumps <= int(records.get(b"shared")) <= bumps + kills
    for writer, done in enumerate(counters.values("operations")):
        model = expected(writer, done)
        found = dict(records.items(b"%d:" % writer))
        key, value = plan(writer, done + 1)
        assert found.pop(key, None) in (model.pop(key, None), value)
        assert found == model
