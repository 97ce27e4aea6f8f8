"""The guide's scripts 09, 16 and 22, bit exact, on SQLite and PostgreSQL; databases that end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import pytest

from kamailiod.script.databases import Databases
from kamailiod.script.log import DEBUG, Log
from kamailiod.script.sqlite_database import create_file
from tests.database_servers import DatabaseServer
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer
from tests.end_to_end.test_guide_scripts import guide

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "app_lua.so"
loadmodule "sqlops.so"
loadmodule "acc.so"
modparam("sqlops", "sqlcon", "db=>{url}")
modparam("tm", "fr_timer", 3000)
modparam("app_lua", "load", "main.lua")
{loads}
cfgengine "lua"
"""
LOADER = """
function route_call()
    KSR.sl.send_reply(486, "Credit is good")
end
function ksr_request_route()
    if KSR.is_OPTIONS() then KSR.sl.send_reply(200, "OK") return end
    if KSR.is_INVITE() then new_call() end
end
"""
BY_CREDIT = LOADER + "new_call = function() handle_invite() end\n"
BY_PREFIX = LOADER + """
function new_call()
    if lcr_route(KSR.pv.get("$rU")) then
        KSR.sl.send_reply(480, "to " .. KSR.pv.get("$du"))
    else
        KSR.sl.send_reply(404, "No route, destination " .. tostring(KSR.pv.get("$du")))
    end
end
"""
USERS = LOADER + """
function new_call()
    handle_invite()
    KSR.sl.send_reply(480, "rows " .. KSR.sqlops.sql_num_rows("result"))
end
"""
UNDER_LOAD = LOADER + """
function new_call()
    local q = KSR.sqlops
    if q.sql_query_bind("db", "SELECT credit FROM accounts WHERE username = ?", "r",
                        KSR.pv.get("$fU")) < 0 then
        KSR.sl.send_reply(503, "Database")
    else
        KSR.sl.send_reply(480, "credit " .. q.sql_result_get("r", 0, 0))
    end
end
"""
TABLES = (
    "DROP TABLE IF EXISTS accounts",
    "DROP TABLE IF EXISTS routes",
    "DROP TABLE IF EXISTS users",
    "CREATE TABLE accounts (username VARCHAR(64), credit INT)",
    "CREATE TABLE routes (prefix VARCHAR(16), gateway VARCHAR(64), cost NUMERIC(8,3))",
    "CREATE TABLE users (username VARCHAR(64))",
    "INSERT INTO accounts VALUES ('alice', 5)",
    "INSERT INTO accounts VALUES ('poor', 0)",
    "INSERT INTO routes VALUES ('1', 'sip:127.0.0.1:7001', 0.015)",
    "INSERT INTO routes VALUES ('1', 'sip:127.0.0.1:7000', 0.01)",
    "INSERT INTO routes VALUES ('1234', 'sip:127.0.0.1:7002', 0.02)",
    "INSERT INTO users VALUES ('alice')",
)

Start = Callable[..., RunningServer]
MakePhone = Callable[..., Peer]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the guide's tables."""
    if request.param == "sqlite":
        create_file(str(tmp_path / "guide.db"), TABLES)
        return f"sqlite:///{tmp_path}/guide.db"
    found = str(request.getfixturevalue("postgres_url"))
    prepare(found, TABLES)
    return found


def prepare(url: str, statements: Iterable[str]) -> None:
    """Run statements on a database server."""
    database = Databases(lambda: None, Log(DEBUG)).database(url)
    for statement in statements:
        assert database.execute_blocking(statement, {}) is not None


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> Start:
    def run(url: str, loader: str, *numbers: str) -> RunningServer:
        scripts: dict[str, Path | str] = {guide(n).name: guide(n) for n in numbers}
        loads = "".join(f'modparam("app_lua", "load", "{name}")\n' for name in scripts)
        config = CONFIG.format(url=url, loads=loads)
        return stack.enter_context(
            RunningServer(tmp_path, config, files={**scripts, "main.lua": loader})
        )

    return run


def answer(caller: Peer, callee: str = "bob") -> tuple[int, str]:
    """Call, and return the final answer's code and reason."""
    call = caller.invite(callee)
    reply = caller.expect_that(
        lambda m: m.status >= 200 and m.call_id == call.call_id, "an answer", 10.0
    )
    caller.ack_failure(call, reply)
    return reply.status, reply.start.split(" ", 2)[2]


def test_calls_by_credit(start: Start, phone: MakePhone, url: str) -> None:
    """Script 09."""
    server = start(url, BY_CREDIT, "09")
    assert answer(phone(server)) == (486, "Credit is good")
    server.wait_for_log("User alice has credit: 5")
    assert answer(phone(server, "poor")) == (402, "Payment Required")
    # No row: the guide's tonumber(nil) > 0 is an error of the script.
    assert answer(phone(server, "nobody"))[0] == 500
    server.wait_for_log("User nobody has credit: <null>")
    # What a caller sends is part of the statement: one that is wrong is a failed query.
    assert answer(phone(server, "o'brien")) == (402, "Payment Required")
    server.wait_for_log("Database query failed")
    server.wait_for_log("refuses a statement")
    assert answer(phone(server)) == (486, "Credit is good")
    assert " fails: " not in server.log()


def test_the_cheapest_route(start: Start, phone: MakePhone, url: str) -> None:
    """Script 16: the longest prefix, then the lowest cost."""
    server = start(url, BY_PREFIX, "16")
    alice = phone(server)
    assert answer(alice, "12345") == (480, "to sip:127.0.0.1:7002")
    assert answer(alice, "1999") == (480, "to sip:127.0.0.1:7000")
    assert answer(alice, "2999") == (404, "No route, destination nil")


def test_a_query_for_each_request(start: Start, phone: MakePhone, url: str) -> None:
    """Script 22's first half."""
    server = start(url, USERS, "22")
    assert answer(phone(server)) == (480, "rows 1")
    assert answer(phone(server, "bob")) == (480, "rows 0")


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_database_that_is_killed_and_comes_back(
    start: Start, phone: MakePhone, kind: str, request: pytest.FixtureRequest
) -> None:
    """Each call gets its answer: the credit, or the script's error branch while it is away."""
    database: DatabaseServer = request.getfixturevalue(f"{kind}_server")
    prepare(database.url, TABLES)
    server = start(database.url, UNDER_LOAD)
    pids = [server.worker(rank).pid for rank in (1, 2)]
    alice = phone(server)
    for _ in range(20):
        alice.invite("bob")
    answers = [alice.expect(480).start for _ in range(20)]
    assert all("credit 5" in start for start in answers)
    for _ in range(50):
        alice.invite("bob")
    database.kill()
    try:
        for _ in range(50):
            alice.invite("bob")
        counts = finals(alice, 100)
        assert counts[503] >= 50 and sum(counts.values()) == 100
        server.wait_for_log(" fails: ")
    finally:
        database.start()
    codes = []
    while not codes or codes[-1] != 480:
        assert len(codes) < 20
        codes.append(answer(alice)[0])
    server.wait_for_log("works again")
    assert [server.worker(rank).pid for rank in (1, 2)] == pids
    assert "kamailiorw" not in server.log()


def finals(caller: Peer, count: int) -> dict[int, int]:
    """Wait for so many calls' final answers; how many there were of each code."""
    seen: dict[str, int] = {}
    while len(seen) < count:
        reply = caller.expect_that(lambda m: m.status >= 200, f"{count} answers", 15.0)
        seen[reply.call_id] = reply.status
    return {code: list(seen.values()).count(code) for code in (480, 503)}


def test_a_database_that_is_away_at_the_start(start: Start, phone: MakePhone) -> None:
    server = start("postgres://kamailio:hunter2@127.0.0.1:1/kamailio", UNDER_LOAD)
    assert answer(phone(server)) == (503, "Database")
    assert "hunter2" not in server.log()
