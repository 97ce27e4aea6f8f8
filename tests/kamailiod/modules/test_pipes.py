"""Pipes by themselves: algorithms, intervals, the load they go by, and killed workers."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from kamailiod.modules.pipes.pipe import Algorithm, Pipe, algorithm_of, unpack
from kamailiod.modules.pipes.pipe_table import LIMITED, NOT_FOUND, PASSED, PipeTable
from kamailiod.modules.pipes.system_load import (
    WORDS,
    SystemLoad,
    processor_load,
    waiting_octets,
)
from shm import HashMap
from tests.kamailiod.fakes import FakeServices


@pytest.fixture
def load() -> SystemLoad:
    return SystemLoad(memoryview(bytearray(WORDS * 8)).cast("Q"))


@pytest.fixture
def records(services: FakeServices) -> HashMap:
    return services.hash_map("pipes", 64, 0.1)


def verdicts(pipe: Pipe, times: int, drop_rate: float = 0.0, waiting: int = 0) -> str:
    return "".join("1" if pipe.lets_in(1, drop_rate, waiting) else "-" for _ in range(times))


def test_tail_drop() -> None:
    assert verdicts(Pipe(Algorithm.TAILDROP, 3, 0), 5) == "111--"
    assert verdicts(Pipe(Algorithm.TAILDROP, 0, 0), 2) == "--"


def test_random_early_detection_goes_by_the_last_interval() -> None:
    """As Kamailio did after an interval of 30 requests with a limit of 4."""
    pipe = Pipe(Algorithm.RED, 4, 0)
    assert verdicts(pipe, 30) == "1" * 30
    pipe.advance(1)
    assert pipe.load(1) == 7
    assert verdicts(pipe, 30) == "------1------1------1------1--"
    pipe.advance(3)
    assert verdicts(pipe, 4) == "1111"
    assert Pipe(Algorithm.RED, 0, 1).load(1) == 0


def test_feedback_and_network() -> None:
    pipe = Pipe(Algorithm.FEEDBACK, 80, 0)
    assert verdicts(pipe, 100, drop_rate=0).count("-") == 0
    assert verdicts(pipe, 100, drop_rate=30).count("-") == 30
    assert verdicts(pipe, 10, drop_rate=50).count("-") in range(3, 8)
    assert verdicts(Pipe(Algorithm.NETWORK, 100, 0), 2, waiting=100) == "11"
    assert verdicts(Pipe(Algorithm.NETWORK, 100, 0), 2, waiting=101) == "--"


def test_records() -> None:
    pipe = Pipe(Algorithm.RED, -7, 12, 3, 4)
    copy = unpack(pipe.packed())
    assert (copy.algorithm, copy.limit, copy.interval) == (Algorithm.RED, -7, 12)
    assert (copy.counter, copy.last_counter) == (3, 4)
    assert algorithm_of("taildrop") is Algorithm.TAILDROP
    assert algorithm_of("FOO") is None


def test_the_controller_refuses_more_the_longer_the_load_is_too_high(load: SystemLoad) -> None:
    load.set_setpoint(50)
    for _ in range(5):
        load.push(0.2)
    assert load.drop_rate == 0
    load.push(0.9)
    first = load.drop_rate
    assert first == pytest.approx(10)
    load.push(0.9)
    assert load.drop_rate == pytest.approx(20)
    for _ in range(20):
        load.push(1.0)
    assert load.drop_rate == 100
    for _ in range(100):
        load.push(0.1)
    assert load.drop_rate == 0
    assert load.load == pytest.approx(0.1)
    load.gains = (0.0, -100.0, 0.0)
    load.push(0.8)
    assert load.drop_rate == pytest.approx(30)


def test_octets_that_wait(tmp_path: Path) -> None:
    row = " 0: 0100007F:{:04X} 00000000:0000 07 00000000:{:08X} 00:00000000 00000000 0 0 1\n"
    (tmp_path / "udp").write_text("sl local\n" + row.format(5060, 300) + row.format(5070, 7))
    (tmp_path / "tcp").write_text("sl local\n" + row.format(5060, 11) + "\n")
    assert waiting_octets({5060}, str(tmp_path)) == 311
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        assert waiting_octets({port}) == 0
        receiver.sendto(b"x" * 900, ("127.0.0.1", port))
        assert waiting_octets({port}) >= 900
    assert 0 <= processor_load() <= 1


def test_intervals_begin_by_themselves(records: HashMap, load: SystemLoad) -> None:
    table = PipeTable(records, load, 10)
    assert table.check(b"a", 100.0) == NOT_FOUND
    assert table.add(b"a", Algorithm.TAILDROP, 2, 100.0)
    assert [table.check(b"a", 101.0) for _ in range(3)] == [PASSED, PASSED, LIMITED]
    assert table.check(b"a", 111.0) == PASSED
    assert table.check(b"a", 112.0, limit=1) == LIMITED
    pipe = table.find(b"a", 125.0)
    assert pipe is not None
    assert (pipe.counter, pipe.last_counter, pipe.limit, pipe.unused) == (0, 2, 1, 0)
    assert table.remove_unused(2, 135.0) == 0
    assert table.remove_unused(2, 145.0) == 1
    assert b"a" not in table
    assert not table.change(b"a", Algorithm.RED, 1)
    assert table.find(b"a", 1.0) is None


def test_making_a_pipe_twice_changes_nothing(records: HashMap, load: SystemLoad) -> None:
    table = PipeTable(records, load, 10)
    assert table.add(b"a", Algorithm.TAILDROP, 2, 0.0)
    assert table.add(b"a", Algorithm.RED, 9, 0.0)
    pipe = table.find(b"a", 0.0)
    assert pipe is not None
    assert (pipe.algorithm, pipe.limit) == (Algorithm.TAILDROP, 2)


def test_all_workers_count_together_and_a_killed_one_tears_nothing(
    records: HashMap, load: SystemLoad
) -> None:
    table = PipeTable(records, load, 1 << 40)
    table.add(b"a", Algorithm.TAILDROP, 1 << 40, 0.0)
    for _ in range(3):
        child = os.fork()
        if not child:
            while True:
                table.check(b"a", 0.0)
        before = table.find(b"a", 0.0)
        assert before is not None
        deadline = time.monotonic() + 5
        while (table.find(b"a", 0.0) or before).counter < before.counter + 100:
            assert time.monotonic() < deadline
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    before = table.find(b"a", 0.0)
    assert before is not None
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            for _ in range(500):
                table.check(b"a", 0.0)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    after = table.find(b"a", 0.0)
    assert after is not None
    assert after.counter == before.counter + 1500
    records.sweep()
    records.verify()
