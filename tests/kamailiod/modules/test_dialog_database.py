"""Dialogs in a database: what is written when, and what comes back after a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.dialog import Dialogs
from kamailiod.script.table_layouts import create_tables
from kamailiod.sip.dialog import State
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.proxied_call import START, ProxiedCall, followed

PROFILES = {"profiles_with_value": "caller"}


class Tables:
    """The two tables of one database, read by SQL."""

    def __init__(self, services: FakeServices, url: str) -> None:
        self.url = url
        create_tables(url, ["dialog", "dialog_vars"])
        self._database = services.databases.database(url)
        for table in ("dialog", "dialog_vars"):
            self.run(f"DELETE FROM {table}")

    def run(self, statement: str) -> None:
        assert self._database.execute_blocking(statement, {}) is not None

    def rows(self, columns: str, table: str = "dialog") -> list[tuple[object, ...]]:
        found = self._database.fetch_blocking(f"SELECT {columns} FROM {table} ORDER BY id", {})
        assert found is not None
        return [tuple(row) for row in found]


@pytest.fixture
def loop(services: FakeServices) -> Iterator[asyncio.AbstractEventLoop]:
    services.loop = asyncio.new_event_loop()
    yield services.loop
    for task in asyncio.all_tasks(services.loop):
        task.cancel()
    services.loop.run_until_complete(asyncio.sleep(0))
    services.loop.close()


@pytest.fixture(params=["sqlite", "postgres"])
def tables(
    request: pytest.FixtureRequest, services: FakeServices, tmp_path: Path,
    loop: asyncio.AbstractEventLoop,
) -> Tables:  # fmt: skip
    if request.param == "sqlite":
        return Tables(services, f"sqlite:///{tmp_path}/dialogs.sqlite")
    return Tables(services, request.getfixturevalue("postgres_url"))


def settle(call: ProxiedCall) -> None:
    """Write all that waits to be written."""
    call.dialogs.tracker.records.flush()
    saving: Any = call.dialogs._saving
    asyncio_loop = call.services.loop
    while saving.queue.pending:
        asyncio_loop.run_until_complete(asyncio.sleep(0.001))


def tracked(services: FakeServices, tables: Tables, mode: int, **more: object) -> ProxiedCall:
    call = followed(services, db_url=tables.url, db_mode=mode, **PROFILES, **more)
    call.prepare = lambda context: (
        call.dialogs.var_sets(context, b"user", b"alice"),
        call.dialogs.dlg_manage(context),
        call.dialogs.set_dlg_profile(context, b"caller", b"alice"),
        call.dialogs.dlg_set_property(context, b"timeout-noreset"),
    )
    return call


def after_restart(call: ProxiedCall, tables: Tables, **params: object) -> ProxiedCall:
    """The same call in a server that starts with an empty memory."""
    services = FakeServices()
    services.loop = call.services.loop
    other = ProxiedCall(services, db_url=tables.url, **PROFILES, **params)
    other.now, other.recorded = call.now, call.recorded
    services.rank = 1
    services.start(1)
    other.dialogs.tracker.clock = lambda: other.now
    return other


def ends_once(call: ProxiedCall, tables: Tables) -> None:
    """Hang up a call that came back; its events run and its rows go."""
    seen: list[object] = []
    call.script.on_event = lambda name, context: seen.append(
        (name, call.dialogs.var_get(context, b"user"))
    )
    assert call.state() == State.CONFIRMED
    assert call.dialogs.profiles.store.size(b"caller", b"alice") == 1
    call.request(b"BYE", 2, to_tag=b"callee")
    assert seen == [("end", b"alice")]
    assert call.dialog is None
    assert call.dialogs.profiles.store.size(b"caller") == 0


def test_realtime_writes_the_answer_and_the_end(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 1)
    call.request(b"INVITE")
    call.reply(180, b"Ringing")
    settle(call)
    assert tables.rows("callid") == []
    call.reply(200)
    settle(call)
    ((entry, identity, state, xdata, iflags),) = tables.rows(
        "hash_entry, hash_id, state, xdata, iflags"
    )
    assert (entry, identity, state) == (call.dialog.h_entry, call.dialog.h_id, 3)
    assert xdata == '{"profiles":[{"name":"caller","value":"alice"}]}'
    assert iflags == 8
    assert tables.rows("hash_entry, hash_id, dialog_key, dialog_value", "dialog_vars") == [
        (entry, identity, "user", "alice")
    ]
    call.request(b"ACK", to_tag=b"callee", branch=b"ack")
    settle(call)
    assert tables.rows("state, start_time, timeout, caller_cseq, callee_cseq") == [
        (4, int(START), int(START) + 43200, "1", "0")
    ]
    call.request(b"BYE", 2, to_tag=b"callee")
    settle(call)
    assert tables.rows("callid") == tables.rows("dialog_key", "dialog_vars") == []


def test_a_changed_variable_is_written_anew(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 1)
    call.answer()
    context = call.request(b"INFO", 2, to_tag=b"callee")
    settle(call)
    call.dialogs.var_sets(context, b"user", b"bob")
    settle(call)
    assert tables.rows("dialog_key, dialog_value", "dialog_vars") == [("user", "bob")]
    call.dialogs.var_rm(context, b"user")
    settle(call)
    assert tables.rows("dialog_key", "dialog_vars") == []
    call.request(b"BYE", 3, to_tag=b"callee")
    settle(call)
    assert tables.rows("callid") == []


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_a_call_comes_back_after_a_restart(
    services: FakeServices, tables: Tables, mode: int
) -> None:
    call = tracked(services, tables, mode)
    call.answer()
    before = call.dialogs.tracker.records.known()[0]
    call.dialogs.child_exit(1)
    call.dialogs.child_exit(0)
    assert len(tables.rows("callid")) == 1
    other = after_restart(call, tables, db_mode=mode)
    try:
        if mode == 3:
            assert tables.rows("callid") == []
        back = other.dialog
        assert back is not None
        for name in (
            "h_entry", "h_id", "call_id", "from_uri", "to_uri", "from_tag", "to_tag", "state",
            "expires", "flags", "from_contact", "to_contact", "from_socket", "variables",
            "profiles", "owner",
        ):  # fmt: skip
            assert getattr(back, name) == getattr(before, name), name
        ends_once(other, tables)
        if mode < 3:
            settle(other)
            assert tables.rows("callid") == []
    finally:
        other.services.close()


def test_a_deadline_that_passed_while_the_server_was_down_ends_the_call(
    services: FakeServices, tables: Tables
) -> None:
    call = tracked(services, tables, 1, default_timeout=60, send_bye=1)
    call.answer()
    settle(call)
    call.now += 100
    other = after_restart(call, tables, db_mode=1)
    try:
        other.dialogs.hand_out_due()
        assert other.dialog is None
        assert other.script.events == ["dialog:end"]
        assert len(other.sent(b"BYE")) == 2
    finally:
        other.services.close()


def test_delayed_writes_every_period(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 2, db_update_period=60)
    call.answer()
    settle(call)
    assert tables.rows("callid") == []
    call.pass_time(61)
    settle(call)
    assert tables.rows("state") == [(4,)]
    call.request(b"BYE", 2, to_tag=b"callee")
    settle(call)
    assert tables.rows("callid") == []


def test_many_rows_come_in_pages(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 3)
    for number in range(25):
        call.call_id = b"call-%d@127.0.0.1" % number
        call.request(b"INVITE", branch=b"invite-%d" % number)
        call.reply(200)
    call.dialogs.child_exit(1)
    call.dialogs.child_exit(0)
    other = after_restart(call, tables, db_mode=3, db_fetch_rows=7)
    try:
        dialogs = list(other.dialogs.store.items())
        assert len(dialogs) == 25
        assert all(dialog.variables == {b"user": b"alice"} for dialog in dialogs)
    finally:
        other.services.close()


def test_db_skip_load_leaves_rows_to_be_loaded_on_demand(
    services: FakeServices, tables: Tables
) -> None:
    call = tracked(services, tables, 1)
    call.answer()
    settle(call)
    other = after_restart(call, tables, db_mode=1, db_skip_load=1)
    try:
        assert other.dialog is None
        lua = LuaCalls(other.services, [other.dialogs])
        context = other.services.faked_context()
        assert lua(context, 'return KSR.dialog.dlg_db_load_callid("another")') == 1
        assert other.dialog is None
        load = 'return KSR.dialog.dlg_db_load_callid("call-1@127.0.0.1")'
        assert lua(context, load) == 1
        assert lua(context, load) == 1
        ends_once(other, tables)
        settle(other)
        call.now += 1
        assert tables.rows("callid") == []
    finally:
        other.services.close()


def test_dlg_db_load_extra_loads_all(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 1)
    call.answer()
    settle(call)
    other = after_restart(call, tables, db_mode=1, db_skip_load=1)
    try:
        lua = LuaCalls(other.services, [other.dialogs])
        context = other.services.faked_context()
        assert lua(context, "return KSR.dialog.dlg_db_load_extra()") == 1
        ends_once(other, tables)
    finally:
        other.services.close()


def test_without_a_database_nothing_is_loaded(services: FakeServices) -> None:
    call = followed(services)
    lua = LuaCalls(services, [call.dialogs])
    context = services.faked_context()
    assert lua(context, 'return KSR.dialog.dlg_db_load_callid("x")') == -1
    assert lua(context, "return KSR.dialog.dlg_db_load_extra()") == -1


def test_a_database_that_is_down_does_not_keep_the_server_from_starting(
    services: FakeServices, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    call = followed(services, db_mode=1, db_url=f"sqlite:///{tmp_path}/not/there.sqlite")
    call.answer()
    call.request(b"BYE", 2, to_tag=b"callee")
    assert call.dialog is None
    assert any("could not be read" in line for line in services.lines)


def test_columns_may_have_other_names(
    services: FakeServices, tmp_path: Path, loop: asyncio.AbstractEventLoop
) -> None:
    file = tmp_path / "own.sqlite"
    create_tables(f"sqlite:///{file}", ["dialog", "dialog_vars"])
    connection = sqlite3.connect(file)
    connection.execute("ALTER TABLE dialog RENAME TO calls")
    connection.execute("ALTER TABLE calls RENAME COLUMN callid TO id_of_call")
    connection.commit()
    call = followed(
        services, db_mode=1, db_url=f"sqlite:///{file}", table_name="calls",
        call_id_column="id_of_call",
    )  # fmt: skip
    assert isinstance(call.dialogs, Dialogs)
    call.answer()
    settle(call)
    assert connection.execute("SELECT id_of_call FROM calls").fetchall() == [
        ("call-1@127.0.0.1",)
    ]
    connection.close()


def test_a_restarted_worker_deletes_rows_of_dialogs_that_ended(
    services: FakeServices, tables: Tables
) -> None:
    call = tracked(services, tables, 1)
    call.answer()
    settle(call)
    call.request(b"BYE", 2, to_tag=b"callee")
    saving: Any = call.dialogs._saving
    saving.queue._rows.clear()  # killed before its row is deleted
    assert call.dialog is None
    assert len(tables.rows("callid")) == 1
    other = after_restart(call, tables, db_mode=1, db_skip_load=1)
    try:
        services.loop.run_until_complete(asyncio.sleep(0.2))
        assert len(tables.rows("callid")) == 1
        other.dialogs._saving = None
        object.__setattr__(other.dialogs.params, "db_skip_load", 0)
        other.dialogs.start_saving()
        services.loop.run_until_complete(other.dialogs._cleaning)
        settle(other)
        assert tables.rows("callid") == tables.rows("dialog_key", "dialog_vars") == []
    finally:
        other.services.close()


def test_rows_that_were_not_read_stay(services: FakeServices, tables: Tables) -> None:
    call = tracked(services, tables, 1)
    call.answer()
    settle(call)
    other = after_restart(call, tables, db_mode=3, db_skip_load=1)
    try:
        other.dialogs.child_exit(0)
        assert len(tables.rows("callid")) == 1
    finally:
        other.services.close()
