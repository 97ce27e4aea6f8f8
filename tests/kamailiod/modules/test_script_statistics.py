"""Statistics of scripts, with the values that Kamailio 5.6.3 gave."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kamailiod.metrics.statistics import Statistics
from kamailiod.modules.pv import Pv
from kamailiod.modules.statistics import ScriptStatistics
from kamailiod.rpc.statistics_commands import StatisticsCommands
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from workers import process_table


class Script:
    def __init__(self, services: FakeServices) -> None:
        self.services = services
        self.module: ScriptStatistics = services.load(
            ScriptStatistics, variable=["myvar", "other/no_reset"]
        )
        names = [*self.module.statistics, "core:rcv_requests"]
        self.statistics = Statistics.create(services.instance, names, process_table(2))
        services.statistics = self.statistics  # type: ignore[assignment]  # the real ones
        self.statistics.open(1)
        self.lua = LuaCalls(services, [self.module, services.load(Pv)])

    def __call__(self, call: str) -> object:
        return self.lua(self.services.faked_context(), f"return KSR.{call}")

    def stat(self, name: str) -> object:
        return self(f'pv.get("$stat({name})")')


@pytest.fixture
def script(services: FakeServices) -> Iterator[Script]:
    made = Script(services)
    yield made
    made.statistics.close()


def test_counting(script: Script) -> None:
    assert script.module.statistics == ("script:myvar", "script:other")
    assert script('statistics.update_stat("myvar", 3)') == 1
    assert script.stat("myvar") == 3
    assert script('statistics.update_stat("myvar", -8)') == 1
    assert script.stat("myvar") == -5
    assert script('statistics.reset_stat("myvar")') == 1
    assert script.stat("myvar") == 0


def test_what_must_not_be_reset(script: Script) -> None:
    script('statistics.update_stat("other", 2)')
    assert script('statistics.reset_stat("other")') == 1
    assert script.stat("other") == 2


def test_statistics_of_others_and_unknown_ones(script: Script) -> None:
    assert script('statistics.update_stat("rcv_requests", 2)') == 1
    assert script.stat("rcv_requests") == 2
    assert script('statistics.update_stat("nope", 3)') == -1
    assert script('statistics.reset_stat("nope")') == -1
    assert script.stat("nope") is None
    assert "no statistic" in script.services.lines[-1]


def test_the_native_spelling(script: Script) -> None:
    context = script.services.faked_context()
    assert script.module.update_stat_by_text(context, b"myvar", b"+2") == 1
    assert script.module.update_stat_by_text(context, b"myvar", b"-1") == 1
    assert script.module.update_stat_by_text(context, b"myvar", b"x") == -1
    assert script.stat("myvar") == 1


def test_all_processes_count_together(script: Script) -> None:
    script('statistics.update_stat("myvar", 3)')
    child = os.fork()
    if not child:
        script.statistics.open(2)
        other = ScriptStatistics(script.module.params, script.services)  # type: ignore[arg-type]  # a fake
        os._exit(other.update_stat(script.services.faked_context(), b"myvar", -5) != 1)
    assert os.waitpid(child, 0)[1] == 0
    assert script.stat("myvar") == -2


def test_the_commands_show_them(script: Script) -> None:
    script('statistics.update_stat("myvar", 7)')
    commands = StatisticsCommands(script.statistics)
    assert commands.get_statistics("script:") == ["script:myvar = 7", "script:other = 0"]
    assert commands.fetch("myvar") == {"script.myvar": "7"}
