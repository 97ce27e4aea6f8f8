"""Every call is accounted once: with the database away, and with workers killed meanwhile."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from kamailiod.script.table_layouts import create_tables
from tests.end_to_end.kemi import Kemi
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Call, Peer
from tests.end_to_end.waiting import wait_until

MakePhone = Callable[..., Peer]

ACCOUNTED = """
function new_call()
    KSR.dialog.dlg_manage()
    KSR.pv.sets("$ru", target(KSR.pv.get("$rU")))
    KSR.tm.t_relay()
end
"""
PARAMS = """
modparam("acc", "db_flag", 2)
modparam("acc", "db_url", "sqlite:///{path}")
modparam("acc", "cdr_enable", 1)
modparam("acc", "cdrs_table", "acc_cdrs")
modparam("acc", "cdr_extra", "callid=$ci")
"""
CALLS = 12


class Accounts:
    """The database of a test, which may be taken away."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "acc.db"
        self.hidden = folder / "acc.db.away"
        create_tables(f"sqlite:///{self.path}", ["acc", "missed_calls", "acc_cdrs"])
        self.query("ALTER TABLE acc_cdrs ADD COLUMN callid VARCHAR(255)")

    def take_away(self) -> None:
        self.path.rename(self.hidden)

    def bring_back(self) -> None:
        self.hidden.rename(self.path)

    def query(self, statement: str) -> list[Any]:
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    def call_ids(self, table: str) -> list[str]:
        return sorted(row[0] for row in self.query(f"SELECT callid FROM {table}"))


def establish(alice: Peer, bob: Peer) -> Call:
    call = alice.invite(f"bob+{bob.port}")
    invite = bob.expect("INVITE", call_id=call.call_id)
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200, call_id=call.call_id))
    bob.expect("ACK", call_id=call.call_id)
    return dialog


def is_another(server: RunningServer, rank: int, pid: int) -> bool:
    try:
        return server.worker(rank).pid != pid
    except psutil.NoSuchProcess:
        # The dead one went while its name was read.
        return False


def end(alice: Peer, bob: Peer, dialog: Call) -> None:
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE", call_id=dialog.call_id), 200)
    alice.expect(200, call_id=dialog.call_id)


def test_no_call_is_lost_and_none_counted_twice(
    kemi: Kemi, phone: MakePhone, tmp_path: Path
) -> None:
    accounts = Accounts(tmp_path)
    server = kemi(ACCOUNTED, more=PARAMS.format(path=accounts.path))
    alice, bob = phone(server), phone(server, "bob")
    calls = [establish(alice, bob) for _ in range(CALLS // 2)]
    wait_until(lambda: len(accounts.call_ids("acc")) == CALLS // 2, "the rows")
    accounts.take_away()
    calls += [establish(alice, bob) for _ in range(CALLS // 2)]
    server.wait_for_log("acc.db fails: ")
    for rank in (1, 2):
        killed = server.worker(rank)
        killed.kill()
        wait_until(functools.partial(is_another, server, rank, killed.pid), "a new worker")
    for call in calls:
        end(alice, bob, call)
    accounts.bring_back()
    wanted = sorted(call.call_id for call in calls)
    wait_until(lambda: len(accounts.call_ids("acc_cdrs")) >= CALLS, "the calls", 15)
    assert accounts.call_ids("acc_cdrs") == wanted
    assert accounts.call_ids("acc") == wanted
    server.stop()
    assert accounts.call_ids("acc_cdrs") == wanted, "nor does the end write anything again"
