"""Ranks and the pause before a restart."""

from __future__ import annotations

from workers import PROC_MAIN, PROC_RPC, PROC_TIMER, process_table
from workers.restart import RestartPause


def test_the_process_table() -> None:
    table = process_table(3)
    assert [role.rank for role in table] == [PROC_MAIN, 1, 2, 3, PROC_TIMER, PROC_RPC]
    assert [role.index for role in table] == list(range(6))
    assert [role.is_worker for role in table] == [False, True, True, True, False, False]
    assert len({role.name for role in table}) == 6
    assert all(len(f"kamailiod/{role.name}") <= 15 for role in table)


def test_the_pause_grows_to_five_seconds_and_starts_anew() -> None:
    pause = RestartPause()
    assert [pause.after(1) for _ in range(9)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert pause.after(10) == 0
    assert [pause.after(1) for _ in range(2)] == [0.1, 0.2]
