"""Statistics of a small server, removed afterwards, and processes that are always reaped."""

import itertools
import os
import sys
import traceback

import pytest

from kamailiod.metrics.core_statistics import CORE_STATISTICS
from kamailiod.metrics.process_table import ProcessTable
from kamailiod.metrics.statistics import Statistics
from workers import process_table

_numbers = itertools.count()


@pytest.fixture
def roles():
    return process_table(2)


@pytest.fixture
def statistics(roles):
    names = [*CORE_STATISTICS, "tm:inuse_transactions", "registrar:accepted_regs"]
    made = Statistics.create(f"test-{os.getpid()}-m{next(_numbers)}", names, roles)
    yield made
    made.close()


@pytest.fixture
def table(roles):
    return ProcessTable(roles)


@pytest.fixture
def fork():
    """Run a function in a child process and return its pid; its status is 0 unless it failed."""
    children = []

    def start(work):
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException:
                traceback.print_exc(file=sys.stderr)
                os._exit(1)
        children.append(child)
        return child

    yield start
    for child in children:
        try:
            os.kill(child, 9)
            os.waitpid(child, 0)
        except (ChildProcessError, ProcessLookupError):
            continue
