"""What a child's supervisor sees when the system or the program plays tricks."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from supervised_server import wait_until

from workers import Mailboxes, Process, Role
from workers.child import Child, Surroundings


class QuietProgram:
    def mod_init(self) -> None: ...

    def child_init(self, rank: int, process: Process) -> None: ...

    def child_exit(self, rank: int) -> None: ...

    def report(self, rank: int) -> None: ...

    def worker_died(self, role: Role, status: int) -> None: ...


@pytest.fixture
def child() -> Any:
    mailboxes = Mailboxes([0, 1])
    child = Child(Role(1, "sip1", 1), Surroundings(QuietProgram(), mailboxes, "test"))
    yield child
    child.kill()
    mailboxes.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_no_room_for_another_process(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no room")

    before = descriptors()
    monkeypatch.setattr(os, "fork", refuse)
    with pytest.raises(BlockingIOError):
        child.start()
    assert child.pid is None and child.report_descriptor is None
    assert descriptors() == before
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_life_leaves_no_descriptor_behind(child: Child) -> None:
    before = descriptors()
    for _ in range(2):
        child.start()
        child.kill()
        child.take_report()
        assert child.error is not None or child.ready
        assert child.poll() is None
    assert descriptors() == before


def test_a_child_that_somebody_else_reaped(child: Child) -> None:
    child.start()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    child.send_signal(signal.SIGTERM)
    assert child.poll() == 255
    assert child.pid is None


def test_the_signal_that_ended_it(child: Child) -> None:
    child.start()
    child.send_signal(signal.SIGKILL)
    statuses: list[int | None] = []
    wait_until(lambda: statuses.append(child.poll()) or statuses[-1] is not None, "its end")
    assert statuses[-1] == -9
