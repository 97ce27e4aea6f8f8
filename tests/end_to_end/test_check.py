"""`kamailiod -c`: the config and its scripts are judged, nothing is started."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.kemi import CONFIG
from tests.end_to_end.running_server import PROGRAM, ROOT

GOOD = "function ksr_request_route()\n    KSR.sl.send_reply(200, 'OK')\nend\n"


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = arguments or ("-c", "-f", "kamailio.cfg")
    return subprocess.run(
        [str(PROGRAM), *words], cwd=folder, capture_output=True, text=True, timeout=15
    )


def write(folder: Path, config: str = CONFIG.format(more=""), script: str = GOOD) -> Path:
    (folder / "kamailio.cfg").write_text(config)
    (folder / "script.lua").write_text(script)
    return folder


def test_a_good_config(tmp_path: Path) -> None:
    done = check(write(tmp_path))
    assert (done.returncode, done.stdout) == (0, "config file ok, exiting...\n")


def test_the_embedded_default() -> None:
    done = check(ROOT, "-c", "-f", "deploy/kamailio.cfg")
    assert done.returncode == 0, done.stderr


def test_flags_in_any_order(tmp_path: Path) -> None:
    write(tmp_path)
    flags = [("-f", "kamailio.cfg"), ("-c",), ("-m", "16"), ("-M", "8"), ("-n", "2"), ("-DD",),
             ("-E",), ("-A", "WITH_X=1"), ("-l", "udp:127.0.0.1:5999")]  # fmt: skip
    for seed in range(3):
        shuffled = random.Random(seed).sample(flags, len(flags))
        done = check(tmp_path, *itertools.chain.from_iterable(shuffled))
        assert (done.returncode, done.stdout) == (0, "config file ok, exiting...\n"), done.stderr


FAULTY_SCRIPTS = {
    "function ksr_request_route()\n    KSR.tm.t_rely()\nend\n": "script.lua:2:12:",
    "function ksr_request_route()\n  if KSR.is_INVITE( then\nend\n": "script.lua:2:",
    "function ksr_request_route()\n    KSR.sl.send_reply()\nend\n": "script.lua:2:12:",
    "x = 1\nfunction f()\n    return KSR.no_such_module.f()\nend\n": "script.lua:3:31:",
}


@pytest.mark.parametrize("script", FAULTY_SCRIPTS)
def test_a_fault_of_the_script_is_named_with_its_place(tmp_path: Path, script: str) -> None:
    done = check(write(tmp_path, script=script))
    assert done.returncode != 0
    assert FAULTY_SCRIPTS[script] in done.stderr
    assert "ok" not in done.stdout


def test_all_faults_are_named(tmp_path: Path) -> None:
    config = (
        'modparam("tm", "no_such", 1)\nloadmodule "nothing.so"\n'
        'request_route {\n    no_such_function("x");\n}\n'
    )
    done = check(write(tmp_path, config))
    assert done.returncode != 0
    lines = [int(line.split(":")[1]) for line in done.stderr.splitlines()]
    assert set(lines) >= {1, 2, 4}, done.stderr
    assert all(line.startswith("kamailio.cfg:") for line in done.stderr.splitlines())


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    done = check(tmp_path, "-c", "-f", "missing.cfg")
    assert done.returncode == 255
    assert done.stderr.splitlines() == ["kamailiod: missing.cfg: No such file or directory"] or (
        "missing.cfg" in done.stderr and len(done.stderr.splitlines()) == 1
    )
    (tmp_path / "folder.cfg").mkdir()
    done = check(tmp_path, "-c", "-f", "folder.cfg")
    assert done.returncode == 255
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_flag_and_a_bad_number(tmp_path: Path) -> None:
    for words in (("-q",), ("-n", "many"), ("-f",)):
        done = check(tmp_path, *words)
        assert done.returncode == 255
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("flag", ["-v", "-V", "-h", "-I"])
def test_texts(tmp_path: Path, flag: str) -> None:
    done = check(tmp_path, flag)
    assert done.returncode == 0
    assert "kamailiod" in done.stdout
