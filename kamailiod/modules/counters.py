"""Module counters: statistics that a script counts, and the commands cnt.*.

Owns the script's counters; all numbers lie in the shared statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.services import Services

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY | Route.FAILURE | Route.ONSEND
_OF_SCRIPT = "custom script counter."
_UNDESCRIBED = "kamailio statistic (no description)"


@dataclass(frozen=True, slots=True)
class CountersParams(Params):
    """modparams of counters; a script_counter is "[group.]name[ description]"."""

    script_cnt_grp_name: str = "script"
    script_counter: list[str] = field(default_factory=list)


class Counters(Module):
    """Counters of the script, under "group:name" among the statistics."""

    name: ClassVar[str] = "counters"
    Params: ClassVar[type[Params]] = CountersParams
    params: CountersParams

    def __init__(self, params: CountersParams, services: Services) -> None:
        super().__init__(params, services)
        self._descriptions = dict(map(self._declaration, params.script_counter))
        self.statistics = tuple(self._descriptions)  # type: ignore[misc]  # modparams declare them
        self._adders: dict[str, Callable[[int], None]] = {}

    def _declaration(self, text: str) -> tuple[str, str]:
        name, _, description = text.strip().partition(" ")
        return self._full(name), description.strip() or _OF_SCRIPT

    def _full(self, name: str) -> str:
        group, separator, counter = name.partition(".")
        if not separator:
            return f"{self.params.script_cnt_grp_name}:{name}"
        return f"{group}:{counter}"

    @kemi("counters.inc", native="cnt_inc", routes=_ROUTES)
    def increase(self, context: Context, name: bytes) -> int:
        """Add 1 to a counter, "name" or "group.name"; -1 when there is none of this name."""
        return self.add(context, name, 1)

    @kemi("counters.add", native="cnt_add", routes=_ROUTES)
    def add(self, context: Context, name: bytes, value: int) -> int:
        """Add a number, which may be negative, to a counter; -1 when there is none of this name."""
        full = self._found(name)
        if full is None:
            return -1
        add = self._adders.get(full)
        if add is None:
            add = self._adders[full] = self.services.statistics.adder(full)
        add(value)
        return 1

    @kemi("counters.reset", native="cnt_reset", routes=_ROUTES)
    def reset_counter(self, context: Context, name: bytes) -> int:
        """Let a counter start at 0 again; -1 when there is none of this name."""
        full = self._found(name)
        if full is None:
            return -1
        self.services.statistics.reset(full)
        return 1

    @rpc("cnt.get")
    def get(self, group: str, name: str = "") -> object:
        """Show a statistic's value, or those of all of a group."""
        if not name:
            return self.values(group)
        return self.services.statistics.total(self._known(group, name))

    @rpc("cnt.get_raw")
    def get_raw(self, group: str, name: str = "") -> object:
        """Show a statistic's value; the same as cnt.get here."""
        return self.get(group, name)

    @rpc("cnt.reset")
    def reset(self, group: str, name: str) -> object:
        """Let a statistic start at 0 again."""
        self.services.statistics.reset(self._known(group, name))
        return None

    @rpc("cnt.help")
    def help(self, group: str, name: str) -> object:
        """Show what a statistic counts."""
        return self._descriptions.get(self._known(group, name), _UNDESCRIBED)

    @rpc("cnt.list_groups")
    def groups(self) -> object:
        """List the groups of statistics."""
        return sorted({name.partition(":")[0] for name in self.services.statistics.names})

    @rpc("cnt.grps_list")
    def groups_list(self) -> object:
        """List the groups of statistics."""
        return self.groups()

    @rpc("cnt.list_vars")
    def variables(self, group: str) -> object:
        """List the statistics of a group."""
        return self._of_group(group)

    @rpc("cnt.var_list")
    def variables_list(self, group: str) -> object:
        """List the statistics of a group."""
        return self._of_group(group)

    @rpc("cnt.get_vars")
    def values(self, group: str) -> object:
        """Show the values of all statistics of a group."""
        total = self.services.statistics.total
        return {name: total(f"{group}:{name}") for name in self._of_group(group)}

    @rpc("cnt.grp_get_all")
    def all_values(self, group: str) -> object:
        """Show the values of all statistics of a group."""
        return self.values(group)

    def _of_group(self, group: str) -> list[str]:
        found = (name.partition(":") for name in self.services.statistics.names)
        return sorted(name for own, _, name in found if own == group)

    def _found(self, name: bytes) -> str | None:
        full = self.services.statistics.find(self._full(name.decode("utf-8", "replace")))
        if full is None:
            self.services.log.error("counters", f"counter {name!r} does not exist")
        return full

    def _known(self, group: str, name: str) -> str:
        full = f"{group}:{name}"
        if full not in self.services.statistics.names:
            raise RpcFault(400, f"non-existent counter {group}.{name}\n")
        return full
