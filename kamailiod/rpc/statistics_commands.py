"""The commands stats.*: statistics by name, by group, or all.

Owns their answers' shapes; the numbers are those of Statistics.
"""

from __future__ import annotations

from kamailiod.metrics.statistics import Statistics
from kamailiod.script.module import RpcFault, rpc


class StatisticsCommands:
    """Reads and resets statistics; Kamailio has these commands in its module kex."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    @rpc("stats.get_statistics")
    def get_statistics(self, *names: str) -> object:
        """List statistics as "group:name = value": `all`, those of `group:`, or single ones."""
        return [f"{name} = {self._statistics.total(name)}" for name in self._selected(names)]

    @rpc("stats.fetch")
    def fetch(self, *names: str) -> object:
        """Show statistics by name, their values as text."""
        return {_dotted(name): str(self._statistics.total(name)) for name in self._selected(names)}

    @rpc("stats.fetchn")
    def fetch_numbers(self, *names: str) -> object:
        """Show statistics by name, their values as numbers."""
        return {_dotted(name): self._statistics.total(name) for name in self._selected(names)}

    @rpc("stats.reset_statistics")
    def reset_statistics(self, *names: str) -> object:
        """Let statistics start at 0 again."""
        for name in self._selected(names):
            self._statistics.reset(name)
        return None

    @rpc("stats.clear_statistics")
    def clear_statistics(self, *names: str) -> object:
        """Let statistics start at 0 again."""
        return self.reset_statistics(*names)

    def _selected(self, names: tuple[str, ...]) -> list[str]:
        """Return the statistics asked for, each group in alphabetical order."""
        if not names:
            raise RpcFault(400, "Please provide which stats to retrieve")
        known = sorted(self._statistics.names)
        return [found for name in names for found in known if _fits(name, found)]


def _fits(asked: str, name: str) -> bool:
    """Whether `all`, `group:`, `group:name`, `group.name` or `name` means this statistic."""
    if asked.endswith(":"):
        return name.startswith(asked)
    return asked in ("all", name, _dotted(name), name.partition(":")[2])


def _dotted(name: str) -> str:
    return name.replace(":", ".", 1)
