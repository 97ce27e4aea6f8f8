"""The one place that composes: command line and config in, a running server out.

Owns the order of start-up and what is given to whom; no behaviour of its own.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from kamailiod import __version__
from kamailiod.auto_aliases import auto_aliases
from kamailiod.cfg import ConfigError, Settings, compile_routes, load, resolved_text
from kamailiod.http_process import HttpProcess
from kamailiod.listening_plan import ListenError, plan
from kamailiod.loading import (
    ALWAYS,
    functions_in,
    ineffective_params,
    module_classes,
    modules_in_question,
    script_modules,
)
from kamailiod.metrics.core_statistics import CORE_STATISTICS, GAUGES
from kamailiod.metrics.statistics import Statistics
from kamailiod.modules.app_lua import AppLua
from kamailiod.modules.corex import Corex
from kamailiod.net.address import ListenAddress
from kamailiod.net.errors import BindError
from kamailiod.net.listening import ListeningSockets, refuse_taken
from kamailiod.net.network import Network
from kamailiod.net.resolver import Resolver
from kamailiod.net.stream import StreamLimits
from kamailiod.options import CommandLine, build
from kamailiod.process_services import ProcessServices
from kamailiod.program import Limits, ServerProgram
from kamailiod.rpc.http import refuse_taken as refuse_taken_http
from kamailiod.script.engine import Engine, ScriptSettings
from kamailiod.script.functions import catalogue, kemi_functions, known_functions, native_functions
from kamailiod.script.log import (
    FACILITIES,
    NOTICE,
    WARNING,
    Log,
    Syslog,
    as_logger,
    to_stderr,
    to_stderr_in_colours,
)
from kamailiod.script.module import Module
from kamailiod.sip.uri import parse_uri
from lua import LuaError, check
from shm import ShmError
from workers import (
    Mailboxes,
    PidFile,
    Privileges,
    Role,
    Supervisor,
    WorkersError,
    daemonise,
    process_table,
)

FAILED = 255
_DEFAULT_MEMORY = 64


class Server:
    """A server of one config; `run` serves until it is told to stop."""

    def __init__(self, command_line: CommandLine) -> None:
        self._line = command_line
        self._config_file = os.path.abspath(command_line.config)
        self._kinds = module_classes()
        self._catalogue = catalogue(self._kinds, ALWAYS)
        self._config = load(
            command_line.config, command_line.config_options(), self._catalogue
        )
        self._settings = _with_command_line(self._config.settings, command_line)
        self._foreground = command_line.foreground or not self._settings.fork
        self._hash_offset = max(0, self._settings.call_id_hash_offset)
        self._log = _log(self._settings, self._foreground, command_line.log_format == "json")

    def check(self) -> list[str]:
        """Return all faults of the Lua scripts as `file:line:column: what`."""
        faults: list[str] = []
        known = known_functions(self._kinds.values())
        for path in self._scripts():
            try:
                faults += [
                    f"{f.file}:{f.line}:{f.column}: {f.message}" for f in check(path, known)
                ]
            except LuaError as error:
                faults.append(str(error))
        return faults

    def _scripts(self) -> list[str]:
        return [
            str(parameter.value)
            for parameter in self._config.module_parameters
            if parameter.name == "load" and re.fullmatch(parameter.module, "app_lua", re.IGNORECASE)
        ]

    def run(self) -> int:
        """Start, serve and end; returns the exit status, faults named on stderr or the log."""
        startup = None if self._foreground else daemonise(keep_stderr=self._line.log_to_stderr)
        try:
            status, reason = self._serve(startup.succeeded if startup else None)
        except (ListenError, BindError, ShmError, WorkersError, OSError) as error:
            status, reason = FAILED, str(error)
        if status and startup is not None:
            startup.failed(f"kamailiod: {reason}")
        elif status and reason:
            print(f"kamailiod: {reason}", file=sys.stderr)
        return status

    def _serve(self, ready: Callable[[], object] | None) -> tuple[int, str]:
        settings = self._settings
        addresses = plan(settings, settings.listen, not settings.disable_tcp)
        for path in self._scripts():
            if not os.access(path, os.R_OK):
                return FAILED, f"cannot read script {path}"
        aliases = (*settings.alias, *auto_aliases(settings, addresses))
        settings = self._settings = replace(settings, alias=aliases)
        refuse_taken(addresses)
        if self._line.http is not None:
            refuse_taken_http(*self._line.http)
        listening = ListeningSockets(addresses, settings.children, self._hash_offset)
        self._take_privileges()
        roles = process_table(settings.children)
        services = self._services(addresses)
        self._load_modules(services)
        statistics = self._statistics(services, roles)
        services.statistics = statistics
        try:
            return self._supervise(services, statistics, listening, roles, ready)
        finally:
            statistics.close()

    def _supervise(
        self, services: ProcessServices, statistics: Statistics, listening: ListeningSockets,
        roles: tuple[Role, ...], ready: Callable[[], object] | None,
    ) -> tuple[int, str]:  # fmt: skip
        engine = self._engine(services)
        services.script = engine
        http = HttpProcess(
            self._line.http, services, statistics, roles, sys.argv, time.time()
        )
        limits = self._limits()
        program = ServerProgram(services, engine, listening, statistics, limits, http)
        pid_files = self._pid_files()

        def on_ready() -> None:
            for file in pid_files:
                file.write()
            self._announce(listening, services)
            if ready is not None:
                ready()

        supervisor = Supervisor(
            program, roles, Mailboxes([role.rank for role in roles]), on_ready=on_ready,
            log=as_logger(self._log, "core"),
        )  # fmt: skip
        try:
            status = supervisor.run()
        finally:
            for file in pid_files:
                file.remove()
        return status, program.failure or "start-up failed, see the log"

    def _pid_files(self) -> list[PidFile]:
        line = self._line
        files = [PidFile(line.pid_file)] if line.pid_file else []
        return files + ([PidFile(line.pgid_file, of_group=True)] if line.pgid_file else [])

    def _take_privileges(self) -> None:
        settings = self._settings
        limit = settings.open_files_limit
        Privileges(
            settings.user, settings.group,
            settings.workdir if settings.workdir != "/" or not self._foreground else None,
            False if settings.disable_core_dump else None, limit if limit > 0 else None,
            settings.chroot,
        ).take()  # fmt: skip

    def _services(self, addresses: list[ListenAddress]) -> ProcessServices:
        settings = self._settings
        aliases = [
            (alias.host.lower().encode(), alias.port, alias.proto.encode())
            for alias in settings.alias
        ]
        resolver = Resolver()
        network = Network(addresses, aliases, resolver)
        memory = (self._line.shared_memory or settings.shm_mem_size or _DEFAULT_MEMORY) << 20
        return ProcessServices(
            self._kinds, self._config.module_parameters, settings, self._log, network,
            self._config.defines, settings.children, _instance(addresses), memory,
            _signatures(settings), self._config_file,
        )  # fmt: skip

    def _load_modules(self, services: ProcessServices) -> None:
        names = [module.name for module in self._config.load_modules if module.name in self._kinds]
        for name in (*ALWAYS, *names):
            services.load(name)
        used = set(self._config.modules_used(self._catalogue))
        for path in self._scripts():
            used |= script_modules(self._kinds, functions_in(path), services.modules)
        for name in sorted(used - self._without()):
            if services.loaded(name):
                continue
            services.log.line(NOTICE, "core", f"module {name} is used and was not loaded: loaded")
            services.load(name)
        for module in services.modules.values():
            services.variables.register_module(module)
            for parameter in ineffective_params(type(module), self._config):
                services.log.warning(
                    "core", f"{parameter.position}: modparam {parameter.name} has no effect here"
                )
        corex = services.modules.get("corex")
        if isinstance(corex, Corex):
            services.network.resolver.add_static(corex.static_records)
        for warning in self._config.warnings:
            services.log.warning("core", str(warning))
        for flag in self._line.without_effect:
            services.log.warning("core", f"command line: {flag} has no effect here")

    def _without(self) -> set[str]:
        # A script that asks whether a module is there must find only what the config has; but one
        # whose config names no module apart from app_lua has all.
        loaded = {module.name for module in self._config.load_modules}
        if loaded <= {"app_lua"}:
            return set()
        found = {name for path in self._scripts() for name in modules_in_question(path)}
        return found - loaded - {*ALWAYS, *self._config.modules_used(self._catalogue)}

    def _statistics(self, services: ProcessServices, roles: tuple[Role, ...]) -> Statistics:
        names = list(CORE_STATISTICS)
        gauges = set(GAUGES)
        for module in services.modules.values():
            names += module.statistics
            gauges.update(module.gauges)
        return Statistics.create(services.instance, names, roles, gauges=gauges)

    def _engine(self, services: ProcessServices) -> Engine:
        app_lua = services.module(AppLua)
        modules = list(services.modules.values())
        without = self._without()
        shown = [module for module in modules if module.name not in without]
        chunk = compile_routes(self._config, self._catalogue) if self._config.routes else None
        engine_name = self._config.engine.name if self._config.engine else ""
        return Engine(
            ScriptSettings(
                app_lua.scripts(), self._settings.kemi, engine_name == "lua",
                bool(app_lua.params.nil_concat), bool(app_lua.params.nonblocking),
                app_lua.params.instruction_budget,
            ),
            chunk, kemi_functions(shown), native_functions(modules), services.variables,
            services.log, lambda value: _is_myself(services.network, value),
            services.faked_context, _event_callbacks(services.modules),
        )  # fmt: skip

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(
            StreamLimits(
                settings.tcp_max_connections, float(settings.tcp_connection_lifetime),
                float(settings.tcp_connect_timeout), settings.tcp_crlf_ping,
                settings.tcp_conn_wq_max,
            ),
            self._hash_offset,
        )  # fmt: skip

    def _announce(self, listening: ListeningSockets, services: ProcessServices) -> None:
        texts = ", ".join(address.text.decode() for address in listening.addresses)
        self._say(f"kamailiod {__version__}: SIP on {texts}")
        if listening.steered == 0 and self._settings.children > 1:
            self._log.warning("core", "no steering by the kernel: the mailbox does it")
        if self._line.http is not None:
            host, port = self._line.http
            self._say(f"metrics, health and RPC: http://{host}:{port}/")
            if services.loaded("auth_db"):
                self._say("add a phone: kamailiod-ctl add alice secret")

    def _say(self, text: str) -> None:
        if self._line.foreground:
            print(text, flush=True)
        else:
            self._log.line(WARNING, "core", text)


def run(command_line: CommandLine) -> int:
    """Do what the command line asks: print the config, check it, or serve."""
    try:
        if command_line.print_config:
            print(resolved_text(command_line.config, command_line.config_options()), end="")
            if not command_line.check:
                return 0
        server = Server(command_line)
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"kamailiod: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAILED
    if command_line.check:
        faults = server.check()
        for line in faults:
            print(line, file=sys.stderr)
        if faults:
            return FAILED
        print("config file ok, exiting...")
        return 0
    return server.run()


def _with_command_line(settings: Settings, line: CommandLine) -> Settings:
    changes: dict[str, object] = {}
    if line.listen:
        changes["listen"] = line.listen
    if line.aliases:
        changes["alias"] = (*settings.alias, *line.aliases)
    alone = line.do_not_fork or not settings.fork
    given = {
        "children": 1 if alone else line.children, "debug": line.debug,
        "user": line.user, "group": line.group,
        "workdir": line.working_directory, "run_dir": line.run_directory,
        "server_id": line.server_id, "chroot": line.chroot,
        "auto_aliases": line.auto_aliases,
    }  # fmt: skip
    changes.update({name: value for name, value in given.items() if value is not None})
    if line.no_tcp:
        changes["disable_tcp"] = True
    if line.log_to_stderr:
        changes["log_stderror"] = True
    if line.log_colours:
        changes["log_color"] = True
    return replace(settings, **changes)  # type: ignore[arg-type]  # the names are fields of Settings


def _log(settings: Settings, foreground: bool, as_json: bool) -> Log:
    if settings.log_stderror or foreground:
        in_colours = settings.log_color and not as_json
        return Log(settings.debug, as_json, to_stderr_in_colours if in_colours else to_stderr)
    facility = FACILITIES.get(settings.log_facility.upper(), 3 << 3)
    return Log(settings.debug, as_json, Syslog(facility, settings.log_name or "kamailiod"))


def _signatures(settings: Settings) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    if not settings.server_signature:
        return (), ()
    product = f"kamailiod ({__version__} ({build()}))"
    server = settings.server_header or f"Server: {product}"
    agent = settings.user_agent_header or f"User-Agent: {product}"
    return (server.strip().encode(),), (agent.strip().encode(),)


def _instance(addresses: list[ListenAddress]) -> str:
    first = addresses[0]
    host = re.sub(r"[^0-9A-Za-z.]", "-", first.host.decode())
    return f"{host}-{first.port}"


def _is_myself(network: Network, value: bytes) -> bool:
    uri = parse_uri(value)
    if uri is not None and uri.is_sip:
        return network.is_myself(uri.host, uri.effective_port, uri.transport)
    return network.is_myself(value)


def _event_callbacks(modules: Mapping[str, Module]) -> dict[str, str]:
    found = {}
    for name, module in modules.items():
        callback = getattr(module.params, "event_callback", "")
        if callback:
            found[name] = str(callback)
    return found

