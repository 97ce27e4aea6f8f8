"""Writers killed with SIGKILL: at every line and bytecode, and among others that go on.

At random instants, for a minute: python -m tests.bench.kill_store.
"""

import os
import random
import signal
import sys
import time

import pytest

from shm import Counters
from tests.shm import killed_writers
from tests.shm.killed_writers import COLUMNS, WRITERS, differences, is_whole, overfill, read, write

DEATHS = 120


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
    records = make_map(buckets=4, heap=16 << 10, weigh=killed_writers.weigh)
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


def die_at(limit, work, what="line"):
    """Run `work` and be killed before the `limit`-th line (or opcode) that runs in the package."""
    steps = 0

    def trace(frame, event, _):
        nonlocal steps
        if "/shm/" not in frame.f_code.co_filename or "/tests/" in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = what == "opcode"
        if event == what:
            steps += 1
            if steps == limit:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    work()
    sys.settrace(None)


def run_until(limit, fork, work, what="line"):
    return os.waitpid(fork(lambda: die_at(limit, work, what)), 0)[1]


@pytest.mark.parametrize("full", [False, True], ids=["roomy", "full"])
@pytest.mark.parametrize("name", ["insert", "replace", "delete", "update"])
def test_killed_at_any_line_leaves_the_old_or_the_new(make_map, fork, name, full):
    assert die_everywhere(filled(make_map, full=full), OPERATIONS[name], fork, "line") > 40


@pytest.mark.parametrize("name", ["insert", "replace", "delete", "update"])
def test_killed_at_any_bytecode_leaves_the_old_or_the_new(make_map, fork, name):
    assert die_everywhere(filled(make_map), OPERATIONS[name], fork, "opcode") > 200


def die_everywhere(template, operation, fork, what):
    """Have an operation killed before each of its steps, and return how many there are."""
    before = contents(template)
    image = template._memory[:]
    operation(template)
    after = contents(template)
    assert before != after
    step, status = 0, -1
    while status != 0:
        step += 1
        template._memory[:] = image
        status = run_until(step, fork, lambda: operation(template), what)
        assert status in (0, signal.SIGKILL)
        template.sweep()
        template.verify()
        now = contents(template)
        assert now == after or (status and now == before)
        assert len(template) == len(now)
        assert template.put(b"key3", b"usable")
    return step


def contents(records):
    return {record.key: record[2:] for record in records.records()}


def test_killed_at_any_line_while_a_spare_block_is_used(make_map, fork):
    template = filled(make_map)
    assert template.put(b"key3", b"olde", 5)
    assert template.put(b"key7", b"olde", 5)
    assert template._stripes.spares()
    rest = contents(template)
    del rest[b"key3"]
    image = template._memory[:]
    line, status = 0, -1
    while status != 0:
        line += 1
        template._memory[:] = image
        status = run_until(line, fork, lambda: replace_thrice(template))
        template.sweep()
        template.verify()
        now = contents(template)
        assert now.pop(b"key3")[1] in (b"olde", b"new3", b"newt", b"new" * 30)
        assert now == rest
        assert template.put(b"key3", b"usable")
        template.verify()


@pytest.mark.parametrize("name", ["pop_expired", "clear", "sweep"])
def test_killed_at_any_line_of_a_long_operation(make_map, fork, name):
    operation = OPERATIONS[name]
    records = filled(make_map)
    before = contents(records)
    image = records._memory[:]
    operation(records)
    after = contents(records)
    line, status, step = 0, -1, 7
    while status != 0:
        line += step
        records._memory[:] = image
        status = run_until(line, fork, lambda: operation(records))
        records.sweep()
        records.verify()
        now = contents(records)
        assert after.items() <= now.items() <= before.items()
        operation(records)
        assert contents(records) == after
        records.verify()


def kill(child):
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_writers_that_die_among_others_lose_and_tear_nothing(make_map, make_segment, fork):
    """Each dies at a line that a seeded chance chooses, while the others write and one reads."""
    records = make_map(buckets=16, heap=128 << 10, weigh=killed_writers.weigh)
    rows = WRITERS + 1
    size = Counters.segment_size(COLUMNS, rows)
    counters = Counters(make_segment(size), COLUMNS, rows)
    chance = random.Random(4711)

    def start(writer):
        limit = chance.randrange(1, 6000)
        return fork(lambda: die_at(limit, lambda: write(records, counters, writer)))

    children = [start(writer) for writer in range(WRITERS)]
    reader = fork(lambda: read(records, counters))
    for number in range(DEATHS):
        writer = number % WRITERS
        assert os.waitpid(children[writer], 0)[1] == signal.SIGKILL
        # No check of leaks here: another may have died since.
        if number % 3 == 0:
            records.sweep()
        children[writer] = start(writer)
    for child in children:
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    while not counters.total("read"):
        time.sleep(0.001)
    kill(reader)
    records.sweep()
    records.verify()
    assert differences(records, counters, DEATHS + WRITERS) == []
    assert counters.total("operations") > DEATHS
    assert records.recovered > 0


def test_writers_that_die_in_a_full_map_leave_it_whole(make_map, make_segment, fork):
    records = make_map(buckets=16, heap=64 << 10, weigh=killed_writers.weigh)
    counters = Counters(make_segment(Counters.segment_size(COLUMNS, 2)), COLUMNS, 2)
    chance = random.Random(815)
    for number in range(DEATHS):
        limit = chance.randrange(5000, 15000)
        writer = number % 2
        status = run_until(limit, fork, lambda writer=writer: overfill(records, counters, writer))
        assert status == signal.SIGKILL
        records.sweep()
        records.verify()
    assert counters.total("refused") > 0
    assert records.usage().failures > 0
    assert all(is_whole(value) for _, value in records.items())
