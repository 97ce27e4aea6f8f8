"""Which processes run, seen from another process."""

import os
import signal

from kamailiod.metrics.process_table import ProcessTable


def test_before_any_start_nothing_is_alive(table):
    assert [(entry.pid, entry.starts, entry.alive) for entry in table.entries()] == [
        (0, 0, False)
    ] * 5


def test_a_process_enters_itself_and_is_missed_when_killed(table, roles, fork):
    readable, writable = os.pipe()

    def run():
        table.open(1)
        os.write(writable, b"x")
        signal.pause()

    child = fork(run)
    assert os.read(readable, 1) == b"x"
    entry = table.entries()[1]
    assert (entry.role, entry.pid, entry.starts, entry.alive) == (roles[1], child, 1, True)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not table.entries()[1].alive, "not reaped yet, and yet it does not run"
    os.waitpid(child, 0)
    assert not table.entries()[1].alive
    child = fork(lambda: table.open(1))
    os.waitpid(child, 0)
    assert table.entries()[1].starts == 2


def test_the_order_is_that_of_the_indexes(roles):
    table = ProcessTable(list(reversed(roles)))
    assert [entry.role.index for entry in table.entries()] == [0, 1, 2, 3, 4]
