"""The supervisor with real forks: start-up, deaths, signals, the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from supervised_server import RunningServer, lives, wait_until

Start = Callable[..., RunningServer]
RANKS = {0: 0, 1: 1, 2: 2, -1: 3, -2: 4}


def test_every_process_has_its_rank_and_the_order_is_kept(start: Start) -> None:
    server = start()
    server.wait_for("ready")
    started = server.events("child_init")
    assert {event["rank"]: event["index"] for event in started} == RANKS
    assert len({event["pid"] for event in started}) == len(RANKS)
    order = [event["event"] for event in server.all_events() if event["event"] != "timer"]
    assert order == ["mod_init", *["child_init"] * len(RANKS), "ready"]
    assert server.pid(0) == server.popen.pid == server.events("mod_init")[0]["pid"]
    assert {event["comm"] for event in started} == {
        "fake", "fake/sip1", "fake/sip2", "fake/timer", "fake/rpc"}


def test_timers_run_in_every_child(start: Start) -> None:
    server = start()
    for rank in (1, 2, -1, -2):
        server.wait_for("timer", rank=rank)


@pytest.mark.parametrize("rank", [1, -1, -2])
def test_a_killed_process_comes_back_with_its_rank(start: Start, rank: int) -> None:
    server = start()
    server.wait_for("ready")
    first = server.pid(rank)
    os.kill(first, signal.SIGKILL)
    again = server.wait_for("child_init", rank=rank, again=True)[0]
    assert again["index"] == RANKS[rank]
    assert again["pid"] != first
    death = server.wait_for("worker_died")[0]
    assert (death["rank"], death["index"], death["status"]) == (rank, RANKS[rank], -9)
    assert death["pid"] == server.popen.pid
    server.wait_for("timer", rank=rank, pid=again["pid"])
    assert len(server.events("ready")) == len(server.events("worker_died")) == 1


def test_a_restarted_process_finds_its_queued_mail(start: Start) -> None:
    mail = ["one", "two", "three"]
    server = start(mail=mail)
    server.wait_for("ready")
    os.kill(server.pid(1), signal.SIGKILL)
    assert [event["text"] for event in server.wait_for("mail", len(mail))] == mail


def test_one_that_keeps_dying_pauses_longer_and_the_others_stay(start: Start) -> None:
    server = start(die_when_ready_ranks=[2], slow_ranks=[1])
    server.wait_for("child_init", 5, rank=2)
    starts = [event["time"] for event in server.events("child_init") if event["rank"] == 2]
    for least, (before, after) in zip((0, 0.1, 0.2, 0.4), pairwise(starts), strict=False):
        assert after - before >= least
    assert len(server.wait_for("child_init", rank=1)) == 1


def test_term_in_the_midst_of_deaths_and_restarts_leaves_nobody(start: Start) -> None:
    server = start(workers=4)
    server.wait_for("ready")
    numbers = [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1]

    def rage() -> bool:
        for rank in (1, 2, 3, 4):
            with suppress(ProcessLookupError):
                os.kill(server.pid(rank), numbers[rank % 3])
        return len(server.events("worker_died")) >= 8

    wait_until(rage, "eight deaths")
    os.kill(server.popen.pid, signal.SIGTERM)
    status, stderr = server.finish()
    assert (status, "Traceback" in stderr) == (0, False)
    assert not any(map(lives, server.pids()))


def test_a_failed_restart_is_logged_and_the_server_stays(start: Start) -> None:
    server = start(fail_restart_ranks=[1])
    server.wait_for("ready")
    os.kill(server.pid(1), signal.SIGKILL)
    server.wait_for("worker_died", 2, rank=1)
    assert server.events("worker_died")[1]["status"] == 255
    os.kill(server.popen.pid, signal.SIGTERM)
    status, stderr = server.finish()
    assert status == 0
    assert "rank 1 is told to fail" in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_end_everything_cleanly(start: Start, number: int) -> None:
    server = start()
    server.wait_for("ready")
    os.kill(server.popen.pid, number)
    assert server.finish()[0] == 0
    assert not any(map(lives, server.pids()))
    ends = [event["rank"] for event in server.events("child_exit")]
    assert sorted(ends) == sorted(RANKS)
    assert ends[-1] == 0
    assert server.events("worker_died") == []


def test_ctrl_c_reaches_all_processes_and_restarts_none(start: Start) -> None:
    server = start()
    server.wait_for("ready")
    os.killpg(server.popen.pid, signal.SIGINT)
    assert server.finish()[0] == 0
    assert len(server.events("child_init")) == len(RANKS)
    assert not any(map(lives, server.pids()))


@pytest.mark.parametrize("plan", [{"hang_in_exit": True}, {"leave_thread": True}])
def test_a_child_that_will_not_end_is_killed(start: Start, plan: dict[str, bool]) -> None:
    server = start(**plan)
    server.wait_for("ready")
    begin = time.monotonic()
    os.kill(server.popen.pid, signal.SIGTERM)
    server.popen.wait(15)
    # The promise is two seconds; the rest is for a machine that is busy.
    assert time.monotonic() - begin < 4
    assert server.finish()[0] == 0
    assert not any(map(lives, server.pids()))


def test_a_second_int_kills_at_once(start: Start) -> None:
    server = start(hang_in_exit=True)
    server.wait_for("ready")
    os.kill(server.popen.pid, signal.SIGINT)
    begin = max(event["time"] for event in server.wait_for("child_exit", 4))
    os.kill(server.popen.pid, signal.SIGINT)
    end = server.wait_for("child_exit", rank=0)[0]["time"]
    assert end - begin < 1.4
    assert server.finish()[0] == 0


def test_usr1_reports_in_every_process_and_hup_does_nothing(start: Start) -> None:
    server = start()
    server.wait_for("ready")
    os.kill(server.popen.pid, signal.SIGHUP)
    for rank in (1, 2, -1, -2):
        os.kill(server.pid(rank), signal.SIGHUP)
    os.kill(server.popen.pid, signal.SIGUSR1)
    server.wait_for("report", len(RANKS))
    assert {event["rank"] for event in server.events("report")} == set(RANKS)
    assert server.events("worker_died") == []


@pytest.mark.parametrize("rank", [1, 2, -1, -2, 0])
def test_a_failing_child_init_ends_the_start(start: Start, rank: int) -> None:
    server = start(fail_ranks=[rank])
    status, stderr = server.finish()
    assert status == 255
    assert f"rank {rank} is told to fail" in stderr
    assert server.events("ready") == []
    assert not any(map(lives, server.pids()))


@pytest.mark.parametrize(("plan", "reason"), [
    ({"fail_mod_init": True}, "mod_init is told to fail"),
    ({"die_in_init_ranks": [2]}, "ended before it was ready"),
    ({"fail_on_ready": True}, "on_ready is told to fail"),
])
def test_other_failures_of_the_start(start: Start, plan: dict[str, object], reason: str) -> None:
    server = start(**plan)
    status, stderr = server.finish()
    assert status == 255
    assert reason in stderr
    assert server.events("child_exit")[-1]["rank"] == 0
    assert not any(map(lives, server.pids()))


def test_term_interrupts_a_mod_init_that_hangs(start: Start) -> None:
    server = start(hang_mod_init=True)
    server.wait_for("mod_init")
    os.kill(server.popen.pid, signal.SIGTERM)
    assert server.finish()[0] == 0
    assert server.events("child_exit")[-1]["rank"] == 0


@pytest.mark.parametrize("plan", [{}, {"hang_in_exit": True}])
def test_children_end_when_the_supervisor_is_killed(
    start: Start, plan: dict[str, bool]
) -> None:
    server = start(**plan)
    server.wait_for("ready")
    os.kill(server.popen.pid, signal.SIGKILL)
    children = server.pids() - {server.popen.pid}
    assert len(children) == 4
    wait_until(lambda: not any(map(lives, children)), "the orphans' end")
    assert len(server.events("child_exit")) == 4
