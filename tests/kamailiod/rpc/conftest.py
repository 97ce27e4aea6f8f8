"""A server view over a real process table and statistics, and the dispatcher of its commands."""

import asyncio
import itertools
import os
from types import SimpleNamespace

import pytest

from kamailiod.metrics.core_statistics import CORE_STATISTICS
from kamailiod.metrics.process_table import ProcessTable
from kamailiod.metrics.statistics import Statistics
from kamailiod.net.address import ListenAddress
from kamailiod.rpc.core_commands import CoreCommands
from kamailiod.rpc.dispatcher import RpcDispatcher, collect
from kamailiod.rpc.server_view import ServerView
from kamailiod.rpc.statistics_commands import StatisticsCommands
from kamailiod.script.log import DEBUG, Log
from shm import Usage
from workers import process_table

_numbers = itertools.count()


@pytest.fixture
def statistics():
    names = [*CORE_STATISTICS, "sl:1xx_replies"]
    roles = process_table(2)
    made = Statistics.create(f"test-{os.getpid()}-r{next(_numbers)}", names, roles)
    yield made
    made.close()


@pytest.fixture
def log_lines():
    return []


@pytest.fixture
def log(log_lines):
    return Log(DEBUG, write=lambda level, text: log_lines.append(text))


@pytest.fixture
def view(statistics, log):
    table = ProcessTable(process_table(2))
    table.open(1)
    return ServerView(
        version="0.1.0",
        kernel="pure python",
        started_at=1000.0,
        arguments=["kamailiod", "-f", "x.cfg"],
        sockets=[ListenAddress(0, b"udp", b"127.0.0.1", 15990)],
        aliases=[("udp", "localhost", 15990)],
        modules=[SimpleNamespace(name="tm"), SimpleNamespace(name="sl")],
        processes=table,
        statistics=statistics,
        shared_memory=lambda: {
            "location": Usage(20 << 20, 1 << 20, 2 << 20, 2 << 20, 18 << 20, 1, 0),
            "dialog": Usage(12 << 20, 1 << 20, 1 << 20, 2 << 20, 11 << 20, 0, 7),
        },
        kill=[].append,
        log=log,
        defines={"WITH_X": "1"},
    )


@pytest.fixture
def dispatcher(view, statistics, log):
    commands = {}
    core = CoreCommands(view, lambda: commands)
    commands.update(collect([core, StatisticsCommands(statistics)]))
    return RpcDispatcher(commands, log)


@pytest.fixture
def ask(dispatcher):
    """Ask for one method's result or error."""

    def call(method, *params):
        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        answer = asyncio.run(dispatcher.answer(request))
        return answer.get("result", answer.get("error"))

    return call
