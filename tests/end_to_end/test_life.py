"""Start, end and signals of the server, and the death of its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.embedded_default import embedded_default, registered
from tests.end_to_end.kemi import CONFIG, PROXY, Kemi
from tests.end_to_end.running_server import RunningServer, alive
from tests.end_to_end.sip_client import Call, Peer
from tests.end_to_end.waiting import wait_until

MakePhone = Callable[..., Peer]
SCRIPT = {"script.lua": PROXY}


def run(server: RunningServer, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the server's command line to its end, with these arguments behind."""
    return subprocess.run(
        [*server.command, *more], cwd=server.folder, capture_output=True, text=True, timeout=15
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    with RunningServer(tmp_path, CONFIG.format(more=""), files=SCRIPT) as server:
        assert len(server.processes()) == 5
        server.stop(number)


def test_the_end_in_the_middle_of_calls(pbx: RunningServer, alice: Peer, bob: Peer) -> None:
    alice.invite("bob")
    bob.reply(bob.expect("INVITE"), 180)
    alice.expect(180)
    alice.invite("bob")
    bob.expect("INVITE")
    pbx.stop()


def test_usr1_logs_figures(pbx: RunningServer) -> None:
    server = pbx
    server.popen.send_signal(signal.SIGUSR1)
    server.wait_for_log(r"shared memory location: \d+ of \d+ bytes used")
    server.wait_for_log(r"requests: \d+, transactions: \d+", count=2)


def test_a_daemon_answers_when_its_parent_returns(
    tmp_path: Path, phone: MakePhone
) -> None:
    server = RunningServer(tmp_path, CONFIG.format(more=""), files=SCRIPT)
    server.command.remove("-DD")
    pid_file = tmp_path / "pid"
    with (tmp_path / "log").open("wb") as log:
        status = subprocess.run(
            [*server.command, "-P", str(pid_file)], cwd=tmp_path, stdout=log, stderr=log, timeout=15
        ).returncode
    assert status == 0, server.log()
    pid = int(pid_file.read_text())
    daemon = psutil.Process(pid)
    processes = [daemon, *daemon.children(recursive=True)]
    try:
        assert daemon.terminal() is None
        assert os.getsid(pid) != os.getsid(0)
        assert phone(server).ping().status == 200
        daemon.terminate()
        wait_until(lambda: not any(map(alive, processes)), "the daemon's end", 2.5)
        assert not pid_file.exists()
        assert server.segments() == []
    finally:
        for process in filter(alive, processes):
            process.kill()


@pytest.mark.parametrize("mode", ["-DD", "-D", ""])
def test_a_busy_port(kemi: Kemi, mode: str) -> None:
    server = kemi("")
    command = [mode if word == "-DD" else word for word in server.command]
    done = subprocess.run(
        [word for word in command if word], cwd=server.folder, capture_output=True, text=True,
        timeout=15,
    )  # fmt: skip
    assert done.returncode == 255
    fault = [line for line in done.stderr.splitlines() if f"127.0.0.1:{server.port}" in line]
    assert len(fault) == 1, done.stderr
    assert "Address already in use" in fault[0]
    assert server.popen.poll() is None


def test_a_second_server_leaves_the_first_alone(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi("")
    segments = server.segments()
    assert run(server).returncode == 255
    assert server.segments() == segments
    assert phone(server).ping().status == 200


FAULTS = {
    "no such script": ({"script.lua": None}, "script.lua"),
    "syntax of the script": ({"script.lua": "function x(\n"}, r"script\.lua:\d+"),
    "error at the script's top level": (
        {"script.lua": "local a = nil\na.b = 1\n"}, r"script\.lua:2"
    ),
    "syntax of the config": ({"kamailio.cfg": "request_route {\n if (\n}\n"}, r"kamailio\.cfg:\d+"),
    "unknown parameter": (
        {"kamailio.cfg": CONFIG.format(more='modparam("tm", "no_such", 1)')}, r"kamailio\.cfg:\d+"
    ),
    "unknown module": (
        {"kamailio.cfg": CONFIG.format(more='loadmodule "no_such.so"')}, r"kamailio\.cfg:\d+"
    ),
    "no config": ({"kamailio.cfg": None}, "kamailio.cfg"),
}  # fmt: skip


@pytest.mark.parametrize("daemon", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_start_says_why(tmp_path: Path, fault: str, daemon: bool) -> None:
    server = RunningServer(tmp_path, CONFIG.format(more=""), files=SCRIPT)
    changes, expected = FAULTS[fault]
    for name, text in changes.items():
        if text is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_text(text)
    if daemon:
        server.command.remove("-DD")
    done = run(server, "-P", str(tmp_path / "pid"))
    assert done.returncode == 255
    assert re.search(expected, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "pid").exists()
    assert server.segments() == []


def established(alice: Peer, bob: Peer) -> tuple[Call, Call]:
    """Return the dialog of a call from alice to bob, as each has it."""
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200, call_id=call.call_id))
    bob.expect("ACK")
    return dialog, bob.callee_dialog(invite)


def restart(server: RunningServer, rank: int) -> None:
    """Kill a worker and wait until another process has its rank and serves."""
    killed = server.worker(rank)
    killed.kill()
    wait_until(lambda: server.worker(rank).pid != killed.pid, f"a new worker {rank}")
    server.wait_for_log(rf"process sip{rank} \(rank {rank}\) died: signal 9")


def test_registrations_and_dialogs_outlive_a_worker(tmp_path: Path, stack: ExitStack) -> None:
    server = stack.enter_context(embedded_default(tmp_path, children=1))
    alice = stack.enter_context(registered(server, "alice"))
    bob = stack.enter_context(registered(server, "bob"))
    dialog, _ = established(alice, bob)
    _, of_bob = established(alice, bob)
    restart(server, 1)
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)
    bob.request("BYE", of_bob)
    alice.reply(alice.expect("BYE"), 200)
    bob.expect(200)
    established(alice, bob)
    server.wait_for_log(r"ACC: .*method=INVITE.*code=200", count=3)


def test_a_200_finds_its_caller_without_the_transaction(kemi: Kemi, phone: MakePhone) -> None:
    server = kemi(
        'function new_call() KSR.pv.sets("$ru", target(KSR.pv.get("$rU"))) KSR.tm.t_relay() end',
        children=1,
    )
    alice, bob = phone(server), phone(server, "bob")
    call = alice.invite(f"bob+{bob.port}")
    invite = bob.expect("INVITE")
    bob.reply(invite, 180)
    alice.expect(180)
    restart(server, 1)
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200))
    assert bob.expect("ACK").uri == bob.uri
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)


def test_without_the_supervisor_nobody_stays(kemi: Kemi) -> None:
    server = kemi("")
    children = server.processes()[:]
    server.popen.kill()
    server.expected_status = -signal.SIGKILL
    wait_until(lambda: not any(map(alive, children)), "the children's end")
    for name in server.segments():
        (Path("/dev/shm") / name).unlink()


def test_a_start_after_a_kill_finds_a_clean_house(kemi: Kemi) -> None:
    server = kemi("")
    children = server.processes()[:]
    server.popen.kill()
    wait_until(lambda: not any(map(alive, children)), "the children's end")
    server.popen.wait()
    assert server.segments()
    server.log_file.unlink()
    server.__enter__()
    assert re.search("SIP on", server.log())
