"""The pid file: who may write it, who removes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers import PidFile, PidFileError


def test_it_is_written_and_removed_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    pid_file = PidFile(str(path))
    pid_file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    child = os.fork()
    if child == 0:
        pid_file.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    pid_file.remove()
    assert not path.exists()
    pid_file.remove()


def test_a_living_process_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        path.write_text(f"{other.pid}\n")
        with pytest.raises(PidFileError, match=f"process {other.pid} is running"):
            PidFile(str(path)).write()
    assert path.read_text() == f"{other.pid}\n"


def test_a_group_file_holds_the_group_and_respects_a_living_one(tmp_path: Path) -> None:
    path = tmp_path / "server.pgid"
    pid_file = PidFile(str(path), of_group=True)
    pid_file.write()
    assert path.read_text() == f"{os.getpgrp()}\n"
    pid_file.remove()
    assert not path.exists()
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    ) as other:
        path.write_text(f"{other.pid}\n")
        with pytest.raises(PidFileError, match=f"process group {other.pid} is running"):
            PidFile(str(path), of_group=True).write()


@pytest.mark.parametrize("content", ["", "garbage", "999999999999999999999", "4194304999 and more"])
def test_a_stale_file_is_taken_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "server.pid"
    path.write_text(content)
    PidFile(str(path)).write()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_dead_process_and_our_own_number_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    for pid in (child, os.getpid()):
        path.write_text(f"{pid}\n")
        PidFile(str(path)).write()
        assert path.read_text() == f"{os.getpid()}\n"


def test_another_owner_s_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    pid_file = PidFile(str(path))
    pid_file.write()
    path.write_text("1\n")
    pid_file.remove()
    assert path.read_text() == "1\n"


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="No such file or directory"):
        PidFile(str(tmp_path / "missing" / "server.pid")).write()
