"""What modules are given: the implementation of script/services.py for a running server.

Owns the loaded modules, the shared segments and calls between processes; it decides nothing.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgpack

from kamailiod.cfg import Settings
from kamailiod.loading import module_params
from kamailiod.metrics.statistics import Statistics
from kamailiod.net.address import ListenAddress, Source
from kamailiod.net.network import Network
from kamailiod.script.context import Context, Route
from kamailiod.script.databases import Databases
from kamailiod.script.engine import Engine
from kamailiod.script.log import Log
from kamailiod.script.module import Module
from kamailiod.script.pseudovariables import PseudoVariables
from kamailiod.script.redis_servers import RedisServers
from kamailiod.sip.message import parse
from shm import HashMap, Segment
from shm.layout import PAYLOAD, WORD
from workers import PayloadTooLong, Process, TimerWheel

M = TypeVar("M", bound=Module)

CALL = b"C"
"""First byte of a mailbox payload that has a registered function run."""

_FAKED = (
    b"OPTIONS sip:you@kamailiod.invalid SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n"
    b"From: <sip:you@kamailiod.invalid>;tag=faked\r\nTo: <sip:you@kamailiod.invalid>\r\n"
    b"Call-ID: faked@kamailiod.invalid\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class ProcessServices:
    """Services of one server; after the fork, of one process of it."""

    def __init__(
        self, kinds: Mapping[str, type[Module]], given: Any, settings: Settings, log: Log,
        network: Network, defines: Mapping[str, str], worker_count: int, instance: str,
        memory: int, signature: tuple[tuple[bytes, ...], tuple[bytes, ...]], config_file: str,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.log = log
        self.network = network
        self.defines = defines
        self.worker_count = worker_count
        self.instance = instance
        self.reply_signature, self.request_signature = signature
        self.config_file = config_file
        self.rank = 0
        self.variables = PseudoVariables(log)
        self.databases = Databases(
            lambda: getattr(self, "loop", None), log, lambda: self.worker_count
        )
        self.redis = RedisServers(lambda: getattr(self, "loop", None), log)
        self.modules: dict[str, Module] = {}
        self.segments: list[Segment] = []
        self.maps: dict[str, HashMap] = {}
        self.statistics: Statistics
        self.script: Engine
        self.timers: TimerWheel
        self.loop: AbstractEventLoop
        self._kinds = kinds
        self._given = given
        self._memory = memory
        self._functions: dict[str, Callable[..., object]] = {}
        self._process: Process | None = None

    def load(self, name: str) -> Module:
        """Return the module of this name, made with its modparams when it is new."""
        module = self.modules.get(name)
        if module is None:
            kind = self._kinds[name]
            module = kind(module_params(kind, self._given), self)
            self.modules[name] = module
        return module

    def module(self, kind: type[M]) -> M:
        """Return another module; one that was not loaded is, and a NOTICE names it."""
        if kind.name not in self.modules:
            self.log.info("core", f"module {kind.name} is needed by another one: loaded")
        found = self.load(kind.name)
        assert isinstance(found, kind)
        return found

    def loaded(self, name: str) -> bool:
        """Whether a module of this name is loaded."""
        return name in self.modules

    def hash_map(
        self, store: str, buckets: int, share: float, hash_length: int = 0,
        code: Callable[[bytes], int] | None = None, weigh: Callable[[bytes], int] | None = None,
    ) -> HashMap:  # fmt: skip
        """Create a hash map in a segment of its own, of this share of the -m memory."""
        heap = int(self._memory * share)
        segment = Segment.create(self.instance, store, HashMap.segment_size(buckets, heap))
        self.segments.append(segment)
        self.maps[store] = HashMap(
            segment, buckets, hash_length=hash_length, code=code, weigh=weigh
        )
        return self.maps[store]

    def words(self, store: str, count: int) -> memoryview:
        """Create an array of 64-bit numbers, all 0, in a segment of its own."""
        segment = Segment.create(self.instance, store, PAYLOAD + count * WORD)
        self.segments.append(segment)
        return segment.words[PAYLOAD // WORD :][:count]

    def enter(self, rank: int, process: Process) -> None:
        """Become the services of a process, after the fork."""
        self.rank = rank
        self._process = process
        if rank != 0:
            self.loop = process.loop
            self.timers = process.timers

    def on_worker(self, name: str, function: Callable[..., object]) -> None:
        """Register a function that other processes may call by tell_worker."""
        self._functions[name] = function

    def tell_worker(self, rank: int, name: str, *arguments: object) -> bool:
        """Have a registered function run in another process (or in this one, at once)."""
        if rank == self.rank:
            self._functions[name](*arguments)
            return True
        process = self._process
        if process is None:
            return False
        try:
            return process.mailbox.send(rank, CALL + msgpack.packb((name, *arguments)))
        except PayloadTooLong:
            return False

    def take_call(self, payload: bytes) -> None:
        """Run what another process asked for by tell_worker."""
        name, *arguments = msgpack.unpackb(payload)
        function = self._functions.get(name)
        if function is not None:
            function(*arguments)

    def faked_context(self) -> Context:
        """Return a context with a faked message; nothing can be sent from it."""
        sockets = self.network.sockets
        local = sockets[0] if sockets else ListenAddress(0, b"udp", b"127.0.0.1", 5060)
        return Context(parse(_FAKED), Source(local, b"127.0.0.1", 0, 0, 0.0), Route.EVENT)

    def close(self) -> None:
        """Remove the shared segments; done by the supervisor at the very end."""
        self.maps.clear()
        for segment in self.segments:
            segment.unlink()
