"""Module cfg_rpc: reading core parameters while the server runs, and changing the log level.

Owns the commands cfg.*; the parameters are the settings the config file gave.
"""

from __future__ import annotations

import dataclasses
import mmap
import struct
from typing import ClassVar

from kamailiod.script.module import Module, Params, RpcFault, rpc
from kamailiod.script.services import Services

_LEVEL = struct.Struct("=i")
_LEVELS = range(-5, 10)
_DEBUG = ("core", "debug")
_SET_LEVEL = "cfg_rpc.debug"


class CfgRpc(Module):
    """Settings by group and name; core.debug alone can be changed, in all processes at once."""

    name: ClassVar[str] = "cfg_rpc"

    def __init__(self, params: Params, services: Services) -> None:
        super().__init__(params, services)
        self._level = mmap.mmap(-1, _LEVEL.size)
        services.on_worker(_SET_LEVEL, self._take_level)

    def mod_init(self) -> None:
        """Keep the level where a process that is started later finds it."""
        _LEVEL.pack_into(self._level, 0, self.services.log.level)

    def child_init(self, rank: int) -> None:
        """Take the level in force now."""
        self._take_level()

    def _take_level(self) -> None:
        self.services.log.level = _LEVEL.unpack_from(self._level)[0]

    @rpc("cfg.get")
    def get(self, group: str, name: str = "") -> object:
        """Show a parameter, or all of a group."""
        values = self._groups().get(group, {})
        if not name and values:
            return values
        if name not in values:
            raise RpcFault(400, "Failed to get the variable")
        return values[name]

    @rpc("cfg.list")
    def list_parameters(self, group: str = "") -> object:
        """List the parameters of all groups or of one, as "group: name"."""
        return [
            f"{own}: {name}"
            for own, values in self._groups().items()
            if group in ("", own)
            for name in values
        ]

    @rpc("cfg.help")
    def help(self, group: str, name: str) -> object:
        """Show the type of a parameter."""
        kind = "integer" if isinstance(self.get(group, name), int) else "string"
        return f"(parameter type is {kind})"

    @rpc("cfg.set_now_int")
    def set_now_integer(self, group: str, name: str, value: int) -> object:
        """Change an integer parameter: core debug, the log level."""
        if (group, name) != _DEBUG or value not in _LEVELS:
            raise RpcFault(400, "Failed to set the variable")
        _LEVEL.pack_into(self._level, 0, value)
        services = self.services
        # The supervisor has no mailbox that it reads; it hands the level to whom it starts.
        for rank in (*range(1, services.worker_count + 1), -1, -2):
            services.tell_worker(rank, _SET_LEVEL)
        return None

    @rpc("cfg.seti")
    def set_integer(self, group: str, name: str, value: int) -> object:
        """Change an integer parameter: core debug, the log level."""
        return self.set_now_integer(group, name, value)

    @rpc("cfg.set")
    def set(self, group: str, name: str, value: int) -> object:
        """Change a parameter: core debug, the log level."""
        return self.set_now_integer(group, name, value)

    def _groups(self) -> dict[str, dict[str, object]]:
        settings = self.services.settings
        core: dict[str, object] = {
            field.name: int(value) if isinstance(value, bool) else value
            for field in dataclasses.fields(settings)
            if isinstance(value := getattr(settings, field.name), int | str)
        }
        core["debug"] = self.services.log.level
        groups: dict[str, dict[str, object]] = {"core": core}
        for group, variables in settings.custom.items():
            own = groups.setdefault(group, {})
            own.update({name: variable.value for name, variable in variables.items()})
        return groups
