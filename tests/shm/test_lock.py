import os
import signal
import threading

import pytest

from shm import LockError, LockTable


@pytest.fixture
def view(make_segment):
    return memoryview(make_segment(4096).memory)[1024:]


def die_holding(locks, indexes):
    for index in indexes:
        locks.acquire(index)
    os.kill(os.getpid(), signal.SIGKILL)


def test_acquire_release_and_recursion(view):
    locks = LockTable(view, 4)
    locks.acquire(2)
    locks.acquire(2)
    locks.release(2)
    locks.release(2)
    with pytest.raises(LockError, match="EPERM"):
        locks.release(2)


def test_excludes_other_processes(view, fork):
    locks, words = LockTable(view, 2), view[1024:2048].cast("Q")

    def count():
        for _ in range(20000):
            locks.acquire(1)
            words[0] += 1
            locks.release(1)

    children = [fork(count) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert words[0] == 60000
    assert locks.recovered == 0


def test_a_thread_that_waits_does_not_stop_the_others(view):
    locks, got = LockTable(view, 1), threading.Event()

    def wait():
        locks.acquire(0)
        got.set()
        locks.release(0)

    locks.acquire(0)
    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.is_set()
    locks.release(0)
    thread.join(10)
    assert got.is_set()


def test_killed_owner_is_repaired_once(view, fork):
    repaired = []
    locks = LockTable(view, 4, repair=repaired.append)
    os.waitpid(fork(lambda: die_holding(locks, [1, 3])), 0)
    for _ in range(2):
        locks.acquire_all()
        locks.release_all()
    assert repaired == [1, 3]
    assert locks.recovered == 2


def test_process_that_waits_gets_the_lock_of_the_killed(view, fork):
    locks, words = LockTable(view, 1), view[1024:2048].cast("Q")
    begin, end = os.pipe()

    def hold():
        locks.acquire(0)
        os.write(end, b"x")
        signal.pause()

    def wait():
        locks.acquire(0)
        words[0] = 1
        locks.release(0)

    holder = fork(hold)
    os.read(begin, 1)
    waiter = fork(wait)
    os.kill(holder, signal.SIGKILL)
    assert os.waitpid(waiter, 0)[1] == 0
    assert words[0] == 1
    assert locks.recovered == 1


def test_killed_while_repairing_is_repaired_again(view, fork):
    locks = LockTable(view, 1)
    os.waitpid(fork(lambda: die_holding(locks, [0])), 0)
    deadly = LockTable(view, 1, fresh=False, repair=lambda _: os.kill(os.getpid(), 9))
    os.waitpid(fork(lambda: deadly.acquire(0)), 0)
    repaired = []
    locks = LockTable(view, 1, fresh=False, repair=repaired.append)
    locks.acquire(0)
    assert repaired == [0]
    # The C library remembers what a thread holds: unmapping it held would break the next lock.
    locks.release(0)


def test_failing_repair_leaves_the_lock_free(view, fork):
    def fail(_):
        raise ValueError("broken")

    locks = LockTable(view, 1, repair=fail)
    os.waitpid(fork(lambda: die_holding(locks, [0])), 0)
    with pytest.raises(ValueError, match="broken"):
        locks.acquire(0)
    locks.acquire(0)
    locks.release(0)


def test_fresh_table_over_held_locks_is_free(view, fork):
    os.waitpid(fork(lambda: die_holding(LockTable(view, 2), [0, 1])), 0)
    locks = LockTable(view, 2)
    locks.acquire_all()
    assert locks.recovered == 0
    locks.release_all()
