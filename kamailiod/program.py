"""What each process of the server does: workers serve SIP, one keeps time, one answers RPC.

Owns the life of one process after the fork; server.py has composed what it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgpack

from kamailiod.http_process import HttpProcess
from kamailiod.metrics.statistics import Statistics
from kamailiod.modules.sl import Sl
from kamailiod.modules.tm import Tm
from kamailiod.net.address import Source, Target
from kamailiod.net.connection_directory import ConnectionDirectory
from kamailiod.net.listening import ListeningSockets
from kamailiod.net.stream import StreamConnections, StreamLimits
from kamailiod.net.udp import UdpSockets
from kamailiod.process_services import CALL, ProcessServices
from kamailiod.receive import Receiver
from kamailiod.script.engine import Engine
from lua import LuaError
from shm import ShmError
from workers import PROC_RPC, Mailbox, PayloadTooLong, Process, Role, StartRefused

_MESSAGE, _SEND = b"M", b"S"
_IDLE_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a process's work."""

    streams: StreamLimits
    hash_offset: int = 0
    waiting_requests: int = 10_000


class ServerProgram:
    """The program that the supervisor runs in every process (workers.Program)."""

    def __init__(
        self, services: ProcessServices, engine: Engine, listening: ListeningSockets,
        statistics: Statistics, limits: Limits, http: HttpProcess,
    ) -> None:  # fmt: skip
        self.services = services
        self.engine = engine
        self.listening = listening
        self.statistics = statistics
        self.limits = limits
        self.http = http
        self.failure = ""
        self._receiver: Receiver | None = None
        self._streams: StreamConnections | None = None
        self._directory: ConnectionDirectory | None = None

    def mod_init(self) -> None:
        """Initialise every module, load the scripts and run their mod_init."""
        self.statistics.open(0)
        try:
            connections = self.limits.streams.connections * self.services.worker_count
            table = self.services.hash_map("connections", connections, 0.02)
            self._directory = ConnectionDirectory(table)
            for module in list(self.services.modules.values()):
                module.mod_init()
            self.engine.load()
            if not self.engine.initialise(b"mod_init"):
                raise StartRefused("the script's mod_init failed")
            for module in list(self.services.modules.values()):
                module.script_init()
        except (LuaError, ShmError, StartRefused, ValueError) as error:
            self.failure = str(error)
            raise StartRefused(self.failure) from error

    def child_init(self, rank: int, process: Process) -> None:
        """Wire a process: counters, sockets, mailbox, modules, the script's child_init."""
        services = self.services
        services.enter(rank, process)
        services.log.index = process.role.index
        statistics = self.statistics
        statistics.open(process.role.index)
        self.http.enter(process.role.index)
        if rank != 0:
            self.engine.open(
                process.loop, statistics.counter("core:waits"),
                statistics.counter("core:script_errors"),
            )  # fmt: skip
            process.mailbox.open(self._take)
        if rank > 0:
            self._serve(rank, process)
        for module in services.modules.values():
            module.child_init(rank)
        if rank > 0:
            self._listen(rank, process)
        if rank == PROC_RPC:
            self.http.start(process.loop)
        if not self.engine.initialise(b"child_init", rank):
            self.services.log.error("script", f"child_init({rank}) failed")

    def _serve(self, rank: int, process: Process) -> None:
        services = self.services
        counter = self.statistics.counter
        self._streams = StreamConnections(
            rank, services.worker_count, self._receive, self.limits.streams, process.loop,
            self._directory,
        )  # fmt: skip
        sockets = self.listening.of_worker(rank, b"udp")
        services.network.open(
            UdpSockets(sockets, self._receive), self._streams, self._elsewhere(process.mailbox),
            counter("core:datagrams_sent"), counter("core:send_failures"),
        )  # fmt: skip

    def _listen(self, rank: int, process: Process) -> None:
        services = self.services
        self._receiver = Receiver(
            rank, services.worker_count, self.limits.hash_offset, services.network, self.engine,
            services.module(Tm), services.module(Sl), services.log, self.statistics.counter,
            self.statistics.handling(), self._hand_over(process.mailbox),
            self.limits.waiting_requests, services.settings.force_rport,
        )  # fmt: skip
        sockets = self.listening.of_worker(rank, b"udp")
        udp = UdpSockets(sockets, self._receiver.receive)
        udp.open(process.loop, sockets)
        streams = self._streams
        assert streams is not None
        streams.receiver = self._receiver.receive
        process.loop.run_until_complete(streams.open(self.listening.of_worker(rank, b"tcp")))
        open_connections = self.statistics.setter("core:tcp_connections")

        def check() -> None:
            streams.close_idle()
            open_connections(streams.count())

        process.timers.every(_IDLE_CHECK_SECONDS, check)

    def _receive(self, data: bytes, source: Source) -> None:
        if self._receiver is not None:
            self._receiver.receive(data, source)

    def _hand_over(self, mailbox: Mailbox) -> Callable[[int, bytes, Source], bool]:
        full = self.statistics.counter("core:mailbox_full")

        def hand_over(rank: int, data: bytes, source: Source) -> bool:
            payload = _MESSAGE + msgpack.packb((
                source.local.index, source.host, source.port, source.connection_id,
                source.received_at, data,
            ))  # fmt: skip
            try:
                sent = mailbox.send(rank, payload)
            except PayloadTooLong:
                sent = False
            if not sent:
                full()
            return sent

        return hand_over

    def _elsewhere(self, mailbox: Mailbox) -> Callable[[int, Target, bytes], bool]:
        def elsewhere(rank: int, target: Target, data: bytes) -> bool:
            try:
                return mailbox.send(rank, _SEND + _packed_target(target, data))
            except PayloadTooLong:
                return False

        return elsewhere

    def _take(self, payload: bytes) -> None:
        kind = payload[:1]
        if kind == CALL:
            self.services.take_call(payload[1:])
        elif kind == _MESSAGE and self._receiver is not None:
            index, host, port, connection, received_at, data = msgpack.unpackb(payload[1:])
            local = self.listening.addresses[index]
            self._receiver.receive(data, Source(local, host, port, connection, received_at))
        elif kind == _SEND and self._streams is not None:
            transport, host, port, index, connection, data = msgpack.unpackb(payload[1:])
            target = Target(transport, host, port, self.listening.addresses[index], connection)
            self._streams.send(target, data)

    def child_exit(self, rank: int) -> None:
        """End a process: its modules, and in the supervisor everything that is shared."""
        for module in self.services.modules.values():
            module.child_exit(rank)
        if rank == PROC_RPC:
            self.http.stop(self.services.loop)
        if rank == 0:
            self.listening.close()
            self.services.close()

    def report(self, rank: int) -> None:
        """Log what USR1 asks for: shared memory in the supervisor, counts in the workers."""
        log = self.services.log
        if rank == 0:
            for name, table in self.services.maps.items():
                usage = table.usage()
                text = f"shared memory {name}: {usage.used} of {usage.total} bytes used"
                log.line(0, "core", text)
        elif rank > 0:
            requests = self.statistics.by_rank("core:rcv_requests")[rank]
            transactions = len(self.services.module(Tm).transactions)
            log.line(
                0, "core", f"requests: {requests}, transactions: {transactions}, "
                f"waiting: {self.engine.waiting}, lua: {self.engine.memory()} bytes",
            )  # fmt: skip

    def worker_died(self, role: Role, status: int) -> None:
        """Count and log a death; the supervisor restarts the process."""
        self.statistics.counter("core:worker_restarts")()
        for table in self.services.maps.values():
            table.sweep()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        self.services.log.line(
            -2, "core", f"process {role.name} (rank {role.rank}) died: {how}; it is restarted"
        )


def _packed_target(target: Target, data: bytes) -> bytes:
    packed: bytes = msgpack.packb((
        target.transport, target.host, target.port, target.local.index, target.connection_id, data,
    ))  # fmt: skip
    return packed

