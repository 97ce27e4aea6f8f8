"""The commands core.* and system.*: what every server has, whatever modules are loaded.

Owns the shapes of their answers (Kamailio's); the facts come from a ServerView.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

from kamailiod.metrics.process_table import ProcessEntry
from kamailiod.rpc.server_view import ServerView
from kamailiod.script.module import RpcFault, rpc
from shm import Usage

_UNITS = {"b": 0, "k": 10, "m": 20, "g": 30}
_DESCRIPTIONS = {0: "main process - supervisor", -1: "timer", -2: "RPC and HTTP"}


class CoreCommands:
    """The core's commands; `commands` gives all commands of the server, these among them."""

    def __init__(
        self, view: ServerView, commands: Callable[[], Mapping[str, Callable[..., object]]]
    ) -> None:
        self._view = view
        self._commands = commands

    @rpc("system.listMethods")
    def list_methods(self) -> object:
        """List the names of all commands."""
        return sorted(self._commands())

    @rpc("system.methodHelp")
    def method_help(self, method: str = "") -> object:
        """Show what a command does."""
        if not method:
            raise RpcFault(400, "Method Name Expected")
        command = self._commands().get(method)
        if command is None:
            raise RpcFault(400, "command not found")
        return (command.__doc__ or "").strip().partition("\n")[0]

    @rpc("system.methodSignature")
    def method_signature(self, method: str = "") -> object:
        """Not there, as in Kamailio."""
        raise RpcFault(500, "Not Implemented Yet")

    @rpc("core.version")
    def version(self) -> object:
        """Show name, version and platform."""
        return f"kamailiod {self._view.version} ({_platform()})"

    @rpc("core.info")
    def info(self) -> object:
        """Show the build."""
        return {
            "version": f"kamailiod {self._view.version}",
            "id": "unknown",
            "compiler": _interpreter(),
            "compiled": "",
            "flags": self.flags(),
        }

    @rpc("core.flags")
    def flags(self) -> object:
        """Show which kernel runs the hot path."""
        return self._view.kernel

    @rpc("core.runinfo")
    def runinfo(self) -> object:
        """Show version and running time."""
        now = time.time()
        seconds = int(now) - int(self._view.started_at)
        days, rest = divmod(seconds, 86400)
        return {
            "name": "kamailiod",
            "version": self._view.version,
            "sourceid": "unknown",
            "compiler": _interpreter(),
            "compiled": "",
            "time_now": time.ctime(now),
            "time_started": time.ctime(self._view.started_at),
            "uptime_secs": seconds,
            "utime_days": f"{days}d {rest // 3600}h {rest // 60 % 60}m {rest % 60}s",
        }

    @rpc("core.uptime")
    def uptime(self) -> object:
        """Show when the server was started and for how many seconds it has run."""
        now = time.time()
        return {
            "now": time.ctime(now),
            "up_since": time.ctime(self._view.started_at),
            "uptime": int(now) - int(self._view.started_at),
        }

    @rpc("core.ps")
    def processes(self) -> object:
        """List the running processes: id, description, id, description, ..."""
        running = [entry for entry in self._view.processes.entries() if entry.alive]
        return [value for entry in running for value in (entry.pid, _description(entry))]

    @rpc("core.psx")
    def processes_extended(self) -> object:
        """List the running processes with index, id and description."""
        return [
            {"IDX": entry.role.index, "PID": entry.pid, "DSC": _description(entry)}
            for entry in self._view.processes.entries()
            if entry.alive
        ]

    @rpc("core.psa")
    def processes_all(self) -> object:
        """List all processes, those that do not run just now (status 0) included."""
        return [
            {
                "index": entry.role.index,
                "pid": entry.pid,
                "status": int(entry.alive),
                "rank": entry.role.rank,
                "description": _description(entry),
            }
            for entry in self._view.processes.entries()
        ]

    @rpc("core.shmmem")
    def shared_memory(self, unit: str = "b", store: str = "") -> object:
        """Show the use of shared memory in bytes, or in the unit k, m or g.

        Of all stores together, or of one by its name, or of `each` of them.
        """
        shift = _UNITS.get(unit[:1].lower())
        if shift is None:
            raise RpcFault(500, "bad units, must be one of (b|k|m|g)")
        usages = self._view.shared_memory()
        if store == "each":
            return {name: _store_sizes(usage, shift) for name, usage in sorted(usages.items())}
        if store:
            if store not in usages:
                raise RpcFault(404, f"no such store, must be one of ({'|'.join(sorted(usages))})")
            return _store_sizes(usages[store], shift)
        return _sizes(Usage.summed(usages.values()), shift)

    @rpc("core.echo")
    def echo(self, *values: str) -> object:
        """Answer with the parameters."""
        return list(values)

    @rpc("core.prints")
    def print_strings(self, *values: str) -> object:
        """Answer with the parameters as strings."""
        return list(values)

    @rpc("core.printi")
    def print_integers(self, *values: int) -> object:
        """Answer with the parameters as integers."""
        return list(values)

    @rpc("core.pwd")
    def working_directory(self) -> object:
        """Show the working directory."""
        return [os.getcwd()]

    @rpc("core.arg")
    def arguments(self) -> object:
        """Show the command line the server was started with."""
        return list(self._view.arguments)

    @rpc("core.kill")
    def kill(self, signal_number: int = signal.SIGTERM) -> object:
        """End the server, with TERM or the signal of this number."""
        self._view.kill(signal_number)
        return None

    @rpc("core.modules")
    def modules(self) -> object:
        """List the loaded modules, the last one first."""
        return [module.name for module in reversed(self._view.modules)]

    @rpc("core.ppdefines")
    def defines(self) -> object:
        """List the names the preprocessor knows."""
        return list(self._view.defines)

    @rpc("core.ppdefines_full")
    def defines_full(self) -> object:
        """List the names the preprocessor knows, with their values."""
        return [
            {"name": name, "type": "def", "value": value}
            for name, value in self._view.defines.items()
        ]

    @rpc("core.sockets_list")
    def sockets(self) -> object:
        """List the addresses the server listens on."""
        return [
            {
                "socket": {
                    "proto": address.transport.decode(),
                    "address": address.host.decode(),
                    "port": str(address.port),
                    "mcast": "no",
                    "mhomed": "no",
                    "virtual": "no",
                }
            }
            for address in self._view.sockets
        ]

    @rpc("core.aliases_list")
    def aliases(self) -> object:
        """List the names that count as this server."""
        return {
            "myself_callbacks": "no",
            "aliases": [
                {"alias": {"proto": proto or "*", "address": host, "port": port}}
                for proto, host, port in self._view.aliases
            ],
        }

    @rpc("core.tcp_info")
    def tcp(self) -> object:
        """Show the number of stream connections."""
        workers = sum(role.is_worker for role in self._view.processes.roles)
        return {
            "readers": workers,
            "opened_connections": self._view.statistics.total("core:tcp_connections"),
        }


def _sizes(usage: Usage, shift: int) -> dict[str, int]:
    names = ("total", "free", "used", "real_used", "max_used")
    return {**{name: getattr(usage, name) >> shift for name in names}, "fragments": usage.fragments}


def _store_sizes(usage: Usage, shift: int) -> dict[str, int]:
    return {**_sizes(usage, shift), "failures": usage.failures}


def _description(entry: ProcessEntry) -> str:
    if entry.role.is_worker:
        return f"SIP worker {entry.role.rank}"
    return _DESCRIPTIONS.get(entry.role.rank, entry.role.name)


def _platform() -> str:
    return f"{os.uname().machine}/{os.uname().sysname.lower()}"


def _interpreter() -> str:
    import platform

    return f"{platform.python_implementation().lower()} {platform.python_version()}"
