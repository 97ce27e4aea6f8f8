"""Module statistics: numbers that a config declares and a script counts, for `$stat` and stats.*.

Owns the declared names and their adders; all numbers lie in the shared statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.services import Services

GROUP = "script"
"""The group that Kamailio gives the script's statistics."""

_NO_RESET = "no_reset"
_RESETS = (
    Route.REQUEST | Route.BRANCH | Route.FAILURE | Route.ONREPLY | Route.REPLY | Route.LOCAL
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StatisticsParams(Params):
    """modparams of statistics; a variable is "name", or "name/no_reset"."""

    variable: list[str] = field(default_factory=list)


class ScriptStatistics(Module):
    """Statistics of the script; those of other modules can be counted in and reset too."""

    name: ClassVar[str] = "statistics"
    Params: ClassVar[type[Params]] = StatisticsParams
    params: StatisticsParams

    def __init__(self, params: StatisticsParams, services: Services) -> None:
        super().__init__(params, services)
        declared = [text.partition("/") for text in params.variable]
        self.statistics = tuple(f"{GROUP}:{name.strip()}" for name, _, _ in declared)  # type: ignore[misc]  # modparams declare them
        self._kept = {
            full
            for full, (_, _, flag) in zip(self.statistics, declared, strict=True)
            if flag.strip().lower() == _NO_RESET
        }
        self._adders: dict[str, Callable[[int], None]] = {}

    @kemi("statistics.update_stat", native=())
    def update_stat(self, context: Context, name: bytes, value: int) -> int:
        """Add a number, which may be negative, to a statistic; -1 when there is none."""
        found = self._find(name)
        if found is None:
            return -1
        add = self._adders.get(found)
        if add is None:
            add = self._adders[found] = self.services.statistics.adder(found)
        add(value)
        return 1

    @kemi(native="update_stat")
    def update_stat_by_text(self, context: Context, name: bytes, change: bytes) -> int:
        """Add a number given as "+1" or "-1" to a statistic; -1 when there is none."""
        try:
            value = int(change)
        except ValueError:
            self.services.log.error("statistics", f"not a number: {change[:64]!r}")
            return -1
        return self.update_stat(context, name, value)

    @kemi("statistics.reset_stat", routes=_RESETS)
    def reset_stat(self, context: Context, name: bytes) -> int:
        """Let a statistic start at 0 again, unless it is one of no_reset; -1 without it."""
        found = self._find(name)
        if found is None:
            return -1
        if found not in self._kept:
            self.services.statistics.reset(found)
        return 1

    def _find(self, name: bytes) -> str | None:
        found = self.services.statistics.find(name.decode("utf-8", "replace"))
        if found is None:
            self.services.log.error("statistics", f"no statistic {name[:64]!r}")
        return found
