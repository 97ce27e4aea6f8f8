"""pipelimit from Lua and by its commands, with the values that Kamailio 5.6.3 gave."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from kamailiod.modules.pipelimit import Pipelimit
from kamailiod.modules.sl import Sl
from kamailiod.script.module import RpcFault
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

REQUEST = (
    b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
)
ROWS = [("one", "TAILDROP", 3), ("two", "RED", 4), ("fb", "FEEDBACK", 90), ("nop", "NOP", 1)]
DAY = 86400


def database(folder: Path, rows: list[tuple[str, str, int]]) -> str:
    url = f"sqlite:///{folder}/pipes.db"
    create_tables(url, ["pl_pipes"])
    with sqlite3.connect(folder / "pipes.db") as connection:
        insert = "INSERT INTO pl_pipes (pipeid, algorithm, plimit) VALUES (?, ?, ?)"
        connection.executemany(insert, rows)
    connection.close()
    return url


class Server:
    def __init__(self, services: FakeServices, **params: object) -> None:
        self.services = services
        params.setdefault("timer_interval", DAY)
        self.module: Pipelimit = services.load(Pipelimit, **params)
        services.start()
        self.lua = LuaCalls(services, [self.module, services.module(Sl)])

    def __call__(self, call: str) -> object:
        return self.lua(context_of(REQUEST), f"return KSR.pipelimit.{call}")


@pytest.fixture
def pipes(services: FakeServices, tmp_path: Path) -> Server:
    return Server(services, db_url=database(tmp_path, ROWS))


def test_pipes_of_the_table(pipes: Server) -> None:
    assert [pipes('pl_check("one")') for _ in range(5)] == [1, 1, 1, -1, -1]
    assert [pipes('pl_check("two")') for _ in range(6)] == [1] * 6
    assert pipes('pl_check("fb")') == 1
    assert pipes('pl_check("nop")') == 2
    assert pipes('pl_check("none")') == -2
    assert "no pipe" in pipes.services.lines[-1]
    assert pipes('pl_active("one")') == 1
    assert pipes('pl_active("none")') == -1


def test_pipes_of_the_script(pipes: Server) -> None:
    two = 'pl_check_limit("dyn", "taildrop", 2)'
    assert [pipes(two) for _ in range(4)] == [1, 1, -1, -1]
    assert pipes('pl_check_limit("dyn", "FOO", 9)') == 1
    assert pipes('pl_check_limit("dyn", "RED", 0)') == 1, "neither algorithm nor limit changes"
    assert pipes('pl_check_limit("zero", "TAILDROP", 0)') == -1
    assert pipes('pl_check_limit("bad", "FOO", 9)') == -2
    assert pipes('pl_active("bad")') == -1
    assert pipes('pl_check_limit("net", "NETWORK", 7)') == 1
    assert pipes('pl_check("")') == -2
    assert pipes('pl_check_limit("", "RED", 7)') == 1


def replies(pipes: Server) -> list[bytes]:
    sent = [data for _, data in pipes.services.network.sent]
    pipes.services.network.sent.clear()
    return sent


def test_refusing(pipes: Server) -> None:
    assert pipes("pl_drop()") == 1
    (plain,) = replies(pipes)
    assert plain.startswith(b"SIP/2.0 503 Server Unavailable\r\n")
    assert b"Retry-After" not in plain
    assert pipes("pl_drop_retry(7)") == 1
    assert b"\r\nRetry-After: 7\r\n" in replies(pipes)[0]
    assert pipes("pl_drop_range(7, 9)") == 1
    (between,) = replies(pipes)
    assert re.search(rb"\r\nRetry-After: [789]\r\n", between)
    for call in ("pl_drop_retry(0)", "pl_drop_range(0, 5)"):
        assert pipes(call) == 1
        assert b"Retry-After" not in replies(pipes)[0]
    assert pipes("pl_drop_range(8, 5)") == 1
    assert b"\r\nRetry-After: 8\r\n" in replies(pipes)[0]


def test_the_reply_is_the_modparams_and_only_one(services: FakeServices) -> None:
    pipes = Server(services, reply_code=480, reply_reason="Busy here")
    context = context_of(REQUEST)
    assert pipes.lua(context, "return KSR.pipelimit.pl_drop()") == 1
    assert pipes.lua(context, "return KSR.pipelimit.pl_drop()") == -1
    (sent,) = replies(pipes)
    assert sent.startswith(b"SIP/2.0 480 Busy here\r\n")


def test_commands(pipes: Server) -> None:
    module = pipes.module
    pipes('pl_check("one")')
    assert module.list_pipes("one") == [
        {
            "name": "one", "algorithm": "TAILDROP", "limit": 3, "counter": 1, "last_counter": 0,
            "unused_intervals": 0,
        }
    ]  # fmt: skip
    listed = module.list_pipes()
    assert isinstance(listed, list)
    assert [pipe["name"] for pipe in listed] == ["fb", "nop", "one", "two"]
    stats, shown = module.stats(), module.get_pipes()
    assert isinstance(stats, list)
    assert isinstance(shown, list)
    assert stats[2] == "PIPE: id=one load=0 counter=0"
    assert shown[2] == "PIPE: id=one algorithm=TAILDROP limit=3 counter=1"
    assert module.set_pipe("one", "red", 7) is None
    assert module.list_pipes("one")[0]["algorithm"] == "RED"  # type: ignore[index]  # a command's answer is an object
    assert module.get_pid() == "ki[-25.000000] kp[0.000000] kd[0.000000] "
    assert module.set_pid(0.1, 0.2, 0.3) is None
    assert module.get_pid() == "ki[0.100000] kp[0.200000] kd[0.300000] "


def test_resetting_and_removing(pipes: Server) -> None:
    assert [pipes('pl_check("one")') for _ in range(4)] == [1, 1, 1, -1]
    assert pipes.module.reset_pipe("one") is None
    assert pipes('pl_check("one")') == 1
    assert pipes.module.remove_pipe("one") is None
    assert pipes('pl_active("one")') == -1


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (("reset_pipe", "nope"), "Unknown pipe id nope"),
        (("remove_pipe", "nope"), "Unknown pipe id nope"),
        (("list_pipes", "nope"), "Unknown pipe id nope"),
        (("set_pipe", "nope", "RED", 7), "Unknown pipe id nope"),
        (("set_pipe", "one", "FOO", 7), "Unknown algorithm"),
        (("set_pipe", "one", "FEEDBACK", 7), "Feedback limits don't match"),
        (("push_load", 3.0), "Value out of range"),
    ],
)
def test_faults_of_commands(pipes: Server, command: tuple[object, ...], fault: str) -> None:
    with pytest.raises(RpcFault) as caught:
        getattr(pipes.module, str(command[0]))(*command[1:])
    assert (caught.value.code, caught.value.message) == (400, fault)


def test_feedback_refuses_by_the_load(pipes: Server) -> None:
    for _ in range(60):
        pipes.module.push_load(1.0)
    assert [pipes('pl_check("fb")') for _ in range(100)].count(-1) == 100
    for _ in range(60):
        pipes.module.push_load(0.0)
    assert [pipes('pl_check("fb")') for _ in range(10)] == [1] * 10


def test_unused_pipes_are_removed(services: FakeServices) -> None:
    pipes = Server(services, timer_interval=1, clean_unused=1, load_fetch=0)
    pipes('pl_check_limit("dyn", "TAILDROP", 2)')
    assert pipes('pl_active("dyn")') == 1
    while pipes('pl_active("dyn")') == 1:
        pipes.module.refresh()


def test_loads_are_measured_by_the_timer_process(pipes: Server) -> None:
    pipes.module.refresh()
    assert pipes('pl_check("fb")') == 1


def test_a_table_that_cannot_be_read_is_an_empty_one(services: FakeServices) -> None:
    pipes = Server(services, db_url="sqlite:////nowhere/at/all.db")
    assert pipes.module.list_pipes() == []
    assert any("cannot be read" in line for line in services.lines)


@pytest.mark.parametrize(
    "row", [("x", "FOO", 1), ("x", "FEEDBACK", 101), ("x", "FEEDBACK", 80)]
)
def test_a_bad_row_is_refused(
    services: FakeServices, tmp_path: Path, row: tuple[str, str, int]
) -> None:
    with pytest.raises(ValueError, match="pipelimit"):
        Server(services, db_url=database(tmp_path, [*ROWS, row]))


def test_columns_have_other_names(services: FakeServices, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "own.db") as connection:
        connection.execute("CREATE TABLE p (n TEXT, a TEXT, l INTEGER)")
        connection.execute("INSERT INTO p VALUES ('x', 'taildrop', 1)")
    connection.close()
    pipes = Server(
        services, db_url=f"sqlite:///{tmp_path}/own.db", plp_table_name="p",
        plp_pipeid_column="n", plp_algorithm_column="a", plp_limit_column="l",
    )  # fmt: skip
    assert [pipes('pl_check("x")') for _ in range(2)] == [1, -1]
