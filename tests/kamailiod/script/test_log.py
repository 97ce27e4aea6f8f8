"""Log lines: shape, levels, JSON."""

from __future__ import annotations

import json
import os

import pytest

from kamailiod.script.log import DEBUG, ERROR, INFO, LEVELS, NAMES, WARNING, Log


def log(level: int = DEBUG, as_json: bool = False) -> tuple[Log, list[tuple[int, str]]]:
    lines: list[tuple[int, str]] = []
    return Log(level, as_json, lambda at, text: lines.append((at, text))), lines


def test_the_shape_is_kamailios() -> None:
    made, lines = log()
    made.index = 3
    made.info("script", "text\n")
    made.line(ERROR, "tm", "two\nlines")
    assert lines == [
        (INFO, f" 3({os.getpid()}) INFO: <script>: text"),
        (ERROR, f" 3({os.getpid()}) ERROR: <tm>: two\nlines"),
    ]


@pytest.mark.parametrize("level", [ERROR, WARNING, INFO, DEBUG])
def test_what_lies_above_the_level_is_not_shown(level: int) -> None:
    made, lines = log(level)
    for line in (made.error, made.warning, made.notice, made.info, made.debug):
        line("x", "y")
    assert [at for at, _ in lines] == [at for at in (-1, 0, 1, 2, 3) if at <= level]
    assert made.enabled(level)
    assert not made.enabled(level + 1)


def test_json() -> None:
    made, lines = log(as_json=True)
    made.warning("tm", 'a "quoted" text\n')
    record = json.loads(lines[0][1])
    assert (record["level"], record["module"], record["message"]) == (
        "WARNING", "tm", 'a "quoted" text',
    )  # fmt: skip
    assert record["pid"] == os.getpid()


def test_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    Log(ERROR).error("core", "caf\u00e9 \udcff")
    assert capfd.readouterr().err.endswith("ERROR: <core>: caf\u00e9 ?\n")


def test_every_name_has_a_level() -> None:
    assert set(LEVELS.values()) <= set(NAMES)
