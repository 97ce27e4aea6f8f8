"""Accounting to a database: rows of transactions and calls, and one that is away."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.acc import Acc
from kamailiod.modules.accounting.insert import Insert
from kamailiod.modules.accounting.rows import column_time
from kamailiod.script.context import Context
from kamailiod.script.database import Database, DatabaseError, Outcome
from kamailiod.script.table_layouts import create_tables
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.proxied_call import ProxiedCall

FLAGS = {"db_flag": 4, "db_missed_flag": 5, "log_flag": 1}
JULIAN = 1_700_000_000 / 86400 + 2440587.5


class Recorded(ProxiedCall):
    """A call accounted in a database, tables in place unless it is told otherwise."""

    def __init__(
        self, services: FakeServices, url: str, tables: bool = True, **params: object
    ) -> None:
        super().__init__(services)
        self.url = url
        services.loop = asyncio.new_event_loop()
        if tables:
            create_tables(url, ["acc", "missed_calls", "acc_cdrs"])
        self.database: Database = services.databases.database(url)
        self.acc: Acc = services.load(Acc, **{"db_url": url, **FLAGS, **params})
        services.variables.register_module(self.dialogs)
        self.flags = 1 << 4 | 1 << 5
        self.prepare = self.set_flags
        self.start()
        self.acc.clock = lambda: self.now

    def set_flags(self, context: Context) -> None:
        context.shared.flags = self.flags
        self.dialogs.dlg_manage(context)

    def settle(self) -> None:
        """Let the queue have its rows written."""

        async def settled() -> None:
            while self.acc._queue.pending or self.acc._call_queue.pending:
                await asyncio.sleep(0.002)

        self.services.loop.run_until_complete(asyncio.wait_for(settled(), 10))

    def rows(self, table: str = "acc", columns: str = "*") -> list[tuple[Any, ...]]:
        self.settle()
        found = self.database.fetch_blocking(f"SELECT {columns} FROM {table}", {})
        assert found is not None
        return [tuple(row) for row in found]

    def add_columns(self, table: str, *columns: str) -> None:
        for column in columns:
            statement = f"ALTER TABLE {table} ADD COLUMN {column}"
            assert self.database.execute_blocking(statement, {}) is not None

    @property
    def lost(self) -> int:
        return self.services.statistics.counts["acc:db_lost"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/acc.db"


@pytest.fixture(autouse=True)
def loop_closed(services: FakeServices) -> Iterator[None]:
    yield
    for task in asyncio.all_tasks(services.loop):
        task.cancel()
    services.loop.run_until_complete(asyncio.sleep(0))
    services.loop.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamailiod.modules.acc._GATHER_SECONDS", 0.001)
    monkeypatch.setattr("kamailiod.script.write_queue._FIRST_PAUSE", 0.002)
    monkeypatch.setattr("kamailiod.script.write_queue._LONGEST_PAUSE", 0.002)


def test_an_answered_call_is_kamailios_row(services: FakeServices, url: str) -> None:
    call = Recorded(services, url)
    call.answer()
    assert call.rows() == [
        (1, "INVITE", "caller", "callee", "call-1@127.0.0.1", "200", "OK", JULIAN)
    ]
    assert services.statistics.counts["acc:transactions"] == 1
    assert not any("ACC" in line for line in services.lines), "only the database's flag is set"


def test_each_backend_has_its_flag(services: FakeServices, url: str) -> None:
    call = Recorded(services, url)
    call.flags |= 1 << 1
    call.answer()
    assert len(call.rows()) == 1
    assert sum("ACC: transaction answered" in line for line in services.lines) == 1
    assert services.statistics.counts["acc:transactions"] == 1


def test_without_a_database_its_flags_mean_nothing(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, db_url="")
    call.answer()
    context = call.request(b"OPTIONS", 9)
    assert call.acc.acc_db_request(context, b"x", b"acc") == -1
    assert call.acc.acc_request(context, b"x", b"acc") == 1
    assert services.statistics.counts["acc:transactions"] == 0


def test_a_missed_call_goes_to_its_own_table_once(services: FakeServices, url: str) -> None:
    call = Recorded(services, url)
    context = call.request(b"INVITE")
    call.reply(486, b"Busy Here")
    assert call.rows() == []
    columns = "method, to_tag, sip_code, sip_reason"
    assert call.rows("missed_calls", columns) == [("INVITE", "callee", "486", "Busy Here")]
    assert context.shared.flags == 1 << 4, "the flag of missed calls is taken back"
    assert services.statistics.counts["acc:missed"] == 1


def test_a_failed_call_needs_both_flags(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, failed_transaction_flag=6)
    call.flags = 1 << 4 | 1 << 6
    call.request(b"INVITE")
    call.reply(404, b"Not Found")
    assert call.rows(columns="sip_code") == [("404",)]


def test_columns_may_have_other_names(services: FakeServices, url: str) -> None:
    call = Recorded(
        services, url, db_table_acc="bills", acc_method_column="m", acc_from_tag_column="f",
        acc_to_tag_column="t", acc_callid_column="i", acc_sip_code_column="c",
        acc_sip_reason_column="r", acc_time_column="w",
    )  # fmt: skip
    call.database.execute_blocking("CREATE TABLE bills (m, f, t, i, c, r, w)", {})
    call.answer()
    assert call.rows("bills") == [
        ("INVITE", "caller", "callee", "call-1@127.0.0.1", "200", "OK", JULIAN)
    ]


def test_extra_attributes_are_columns(services: FakeServices, url: str) -> None:
    extra = "src=$fU;num=$cs;nul=$avp(nix)"
    call = Recorded(services, url, db_extra=extra)
    call.add_columns("acc", "src VARCHAR(64)", "num INTEGER", "nul VARCHAR(64)")
    call.answer()
    assert call.rows(columns="src, num, nul") == [("alice", 1, "")]


def test_null_attributes_may_be_null(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, db_extra="nul=$avp(nix)", acc_extra_nullable=1)
    call.add_columns("acc", "nul VARCHAR(64)")
    call.answer()
    assert call.rows(columns="nul") == [(None,)]


def test_each_leg_is_a_row(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, multi_leg_info="l1=$avp(one);l2=$avp(two)")
    call.add_columns("acc", "l1 VARCHAR(9)", "l2 VARCHAR(9)")

    def prepare(context: Context) -> None:
        context.shared.avps[b"one"] = [b"a2", b"a1"]
        context.shared.avps[b"two"] = [b"b2"]
        call.set_flags(context)

    call.prepare = prepare
    call.answer()
    assert call.rows(columns="l1, l2, sip_code") == [("a2", "b2", "200"), ("a1", "", "200")]


@pytest.mark.parametrize(
    ("mode", "values"), [(1, (1_700_000_000, 250_000)), (2, (1_700_000_000.25, None))]
)
def test_more_exact_times(
    services: FakeServices, url: str, mode: int, values: tuple[object, ...]
) -> None:
    call = Recorded(services, url, time_mode=mode)
    call.add_columns("acc", "time_attr REAL", "time_exten INTEGER")
    call.now += 0.25
    call.answer()
    assert call.rows(columns="time_attr, time_exten") == [values]


def test_a_whole_call_is_a_row(services: FakeServices, url: str) -> None:
    call = Recorded(
        services, url, cdr_enable=1, cdrs_table="acc_cdrs", cdr_log_enable=0,
        cdr_extra="who=$dlg_var(who);nul=$avp(nix)", cdr_extra_nullable=1,
    )  # fmt: skip
    call.add_columns("acc_cdrs", "who VARCHAR(9)", "nul VARCHAR(9)")

    def prepare(context: Context) -> None:
        call.dialogs.var_sets(context, b"who", b"bob")
        call.dialogs.dlg_manage(context)

    call.prepare = prepare
    call.answer()
    call.now += 86400.5
    call.within = lambda context: None
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.rows("acc_cdrs") == [(1, JULIAN, JULIAN + 1, 86400.5, "bob", None)]
    assert not any("start_time" in line for line in services.lines)


def test_a_record_with_a_script_s_own_times(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, cdr_enable=1, cdrs_table="acc_cdrs")
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    call.dialogs.var_sets(context, b"start_time", b"noon")
    call.request(b"BYE", 3, to_tag=b"callee")
    assert call.rows("acc_cdrs", "start_time, duration") == [(JULIAN, 0.0)]


def test_functions_from_lua(services: FakeServices, url: str) -> None:
    call = Recorded(services, url)
    lua = LuaCalls(services, [call.acc])
    context = call.request(b"INVITE")
    assert lua(context, 'return KSR.acc.acc_db_request("404 nobody", "acc")') == 1
    assert lua(context, 'return KSR.acc.acc_request("hello", "missed_calls")') == 1
    assert lua(context, 'return KSR.acc.acc_log_request("486 busy")') == 1
    assert lua(context, 'return KSR.acc.acc_db_request("404 nobody", "")') == -1
    assert lua(context, 'return KSR.acc.acc_db_request("404", "acc; DROP TABLE acc")') == -1
    assert lua(context, "return KSR.acc.setflag(7)") is True
    assert context.shared.flags >> 7 & 1
    columns = "method, to_tag, sip_code, sip_reason"
    assert call.rows(columns=columns) == [("INVITE", "", "404", "nobody")]
    assert call.rows("missed_calls", columns) == [("INVITE", "", "", "hello")]
    lines = [line for line in services.lines if "ACC: request accounted" in line]
    assert [re.sub(".*;code=", "", line) for line in lines] == [";reason=hello", "486;reason=busy"]


def test_a_dead_database_loses_nothing(services: FakeServices, url: str, tmp_path: Path) -> None:
    call = Recorded(services, url, tables=False)
    for number in range(5):
        call.call_id = b"call-%d" % number
        call.request(b"INVITE", branch=b"branch-%d" % number)
        call.reply(200)
    services.loop.run_until_complete(asyncio.sleep(0.01))
    assert call.acc._queue.pending == 5
    create_tables(url, ["acc"])
    assert call.rows(columns="callid") == [(f"call-{number}",) for number in range(5)]
    assert call.lost == 0
    assert sum(" fails: " in line for line in services.lines) == 1


def test_what_finds_no_place_is_counted(
    services: FakeServices, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kamailiod.modules.acc._ROWS", 2)
    call = Recorded(services, url, tables=False)
    context = call.request(b"OPTIONS", 9)
    results = [call.acc.acc_db_request(context, b"x", b"acc") for _ in range(4)]
    assert results == [1, 1, -1, -1]
    assert call.lost == 2


def test_a_row_that_is_refused_is_counted_and_holds_up_no_other(
    services: FakeServices, url: str
) -> None:
    call = Recorded(services, url)
    context = call.request(b"OPTIONS", 9)
    assert call.acc.acc_db_request(context, b"x", b"nowhere") == 1
    assert call.acc.acc_db_request(context, b"x", b"acc") == 1
    assert len(call.rows()) == 1
    assert call.lost == 1
    assert any("no such table: nowhere" in line for line in services.lines)


def test_the_end_of_a_process_writes_the_rest(services: FakeServices, url: str) -> None:
    call = Recorded(services, url)
    call.answer()
    call.acc.child_exit(1)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("SELECT count(*) FROM acc").fetchone() == (1,)
    connection.close()


def test_what_a_killed_worker_left_its_successor_writes(services: FakeServices, url: str) -> None:
    call = Recorded(services, url, tables=False)
    call.answer()
    # The worker is killed; the next one of its rank finds the segment.
    call.acc._queue._end_task(0)
    call.acc.child_init(2)
    assert call.acc._queue.pending == 0, "another rank has its own"
    call.acc.child_init(1)
    create_tables(url, ["acc"])
    assert call.rows(columns="callid") == [("call-1@127.0.0.1",)]
    call.acc.child_init(1)
    assert call.acc._queue.pending == 0


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_on_a_server(services: FakeServices, kind: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    call = Recorded(
        services, url, db_extra="src=$fU;Num=$cs", multi_leg_info="leg=$avp(leg)", time_mode=2,
        cdr_enable=1, cdrs_table="acc_cdrs", cdr_extra="num=$cs",
    )  # fmt: skip
    try:
        extra = "src VARCHAR(64)", "num INTEGER", "leg VARCHAR(9)", "time_attr DOUBLE PRECISION"
        call.add_columns("acc", *extra)
        call.add_columns("acc_cdrs", "num INTEGER")
        call.now += 0.25
        call.request(b"INVITE")
        reason = b"O\xff\0K" + b"k" * 200
        call.reply(200, reason)
        call.request(b"ACK", to_tag=b"callee", branch=b"ack")
        call.now += 2
        call.request(b"BYE", 2, to_tag=b"callee")
        columns = "method, from_tag, to_tag, callid, sip_code, src, num, leg, time_attr"
        assert call.rows(columns=columns) == [
            ("INVITE", "caller", "callee", "call-1@127.0.0.1", "200", "alice", 1, "",
             1_700_000_000.25)
        ]  # fmt: skip
        ((stored, time),) = call.rows(columns="sip_reason, time")
        assert stored.startswith("O\\xffKk") and len(stored) == 128
        assert time.timestamp() == 1_700_000_000
        ((start, end, duration, number),) = call.rows(
            "acc_cdrs", "start_time, end_time, duration, num"
        )
        assert (start.timestamp(), end.timestamp()) == (1_700_000_000, 1_700_000_002)
        assert (duration, number) == (2.0, 2)
        assert call.lost == 0
    finally:
        for table in ("acc", "missed_calls", "acc_cdrs", "version"):
            call.database.execute_blocking(f"DROP TABLE {table}", {})
        services.loop.run_until_complete(call.database.close())  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_a_row_in_doubt_is_written_unless_it_is_there(
    services: FakeServices, kind: str, url: str, request: pytest.FixtureRequest
) -> None:
    if kind != "sqlite":
        url = request.getfixturevalue(f"{kind}_url")
    services.loop = asyncio.new_event_loop()
    create_tables(url, ["acc_cdrs"])
    database = services.databases.database(url)
    scheme = url.partition(":")[0]
    time = column_time(scheme)
    insert = Insert(scheme, "acc_cdrs", ["start_time", "end_time", "duration"], ["duration"])
    rows = [[time(1_700_000_000), time(1_700_000_000 + n), n + 0.354] for n in range(3)]
    try:
        database.write_blocking(insert.statement, insert.parameters(rows[0]))
        for _ in range(2):
            written = database.write_many_blocking(
                insert.in_doubt, [insert.parameters(row) for row in rows]
            )
            assert written is Outcome.WRITTEN
        assert database.fetch_blocking("SELECT COUNT(*) FROM acc_cdrs", {}) == [(3,)]
    finally:
        for table in ("acc_cdrs", "version"):
            database.execute_blocking(f"DROP TABLE {table}", {})


def test_a_row_that_was_written_at_the_death_of_its_worker_is_not_written_again(
    services: FakeServices, url: str
) -> None:
    call = Recorded(services, url, tables=False)
    call.answer()
    call.acc._queue._end_task(0)
    create_tables(url, ["acc"])
    row = call.acc._queue._rows[0]
    call.database.write_blocking(row.statement, row.parameters)
    call.acc.child_init(1)
    assert call.acc._queue.pending == 1
    assert len(call.rows()) == 1
    assert call.lost == 0


def test_names_are_checked(services: FakeServices) -> None:
    services.loop = asyncio.new_event_loop()
    with pytest.raises(DatabaseError):
        Insert("mysql", "acc", ["method", "a`b"])
    with pytest.raises(DatabaseError):
        Insert("postgres", "acc (id) --", ["method"])
