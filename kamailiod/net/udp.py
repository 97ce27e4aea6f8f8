"""UDP sockets of one worker: drained in batches, sent on directly.

Owns the file descriptors while the process runs; the supervisor bound them (listening.py).
"""

from __future__ import annotations

import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from time import monotonic, time

from kamailiod.net.address import ListenAddress, Source, Target

BATCH = 64
"""Datagrams read at most per wake-up, so that timers and other sockets get their turn."""

BUSY_RATE = 300
"""Messages a second on one socket from which on they are fetched by the clock."""

WINDOW = 32
"""After how many messages the rate is looked at."""

PAUSE = 0.002
"""Seconds between two fetches of a busy socket: the most that a message waits for company."""

QUIET_ROUNDS = 8
"""Fetches without a message after which a socket is quiet again."""

Receiver = Callable[[bytes, Source], None]


class UdpSockets:
    """The UDP sockets of one process, by the index of their listen address."""

    __slots__ = ("_hosts", "_receiver", "_sockets")

    def __init__(self, sockets: Mapping[ListenAddress, socket.socket], receiver: Receiver) -> None:
        self._sockets = {address.index: member for address, member in sockets.items()}
        self._receiver = receiver
        self._hosts: dict[str, bytes] = {}

    def open(
        self, loop: AbstractEventLoop, addresses: Mapping[ListenAddress, socket.socket]
    ) -> None:
        """Start reading on every socket."""
        for address, member in addresses.items():
            _Reader(loop, member, address, self._drain).start()

    def _drain(self, member: socket.socket, address: ListenAddress) -> int:
        receive = member.recvfrom
        receiver = self._receiver
        hosts = self._hosts
        count = 0
        try:
            while count < BATCH:
                data, remote = receive(65535)
                host = hosts.get(remote[0])
                if host is None:
                    host = self._remember(remote[0])
                count += 1
                receiver(data, Source(address, host, remote[1], 0, time()))
        except OSError:
            # Empty, or an ICMP error of an earlier send is reported here; the socket itself is fine.
            return count
        return count

    def _remember(self, host: str) -> bytes:
        if len(self._hosts) > 10000:
            self._hosts.clear()
        encoded = host.partition("%")[0].encode("ascii")
        self._hosts[host] = encoded
        return encoded

    def send(self, target: Target, data: bytes) -> bool:
        """Send one datagram; False when the system refuses it."""
        try:
            self._sockets[target.local.index].sendto(data, (target.host.decode(), target.port))
        except BlockingIOError:
            return False
        except (OSError, KeyError, UnicodeDecodeError, OverflowError):
            return False
        return True


class _Reader:
    """Reads one socket: when woken while there is little to do, by the clock while there is much.

    A wake-up costs more than a message: caches are cold, the interpreter's most of all.  So above
    some hundred messages a second they are fetched every PAUSE instead of one by one, as network
    cards do with interrupts.
    """

    __slots__ = ("_address", "_drain", "_loop", "_member", "_quiet", "_since", "_taken")

    def __init__(
        self, loop: AbstractEventLoop, member: socket.socket, address: ListenAddress,
        drain: Callable[[socket.socket, ListenAddress], int],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._member = member
        self._address = address
        self._drain = drain
        self._taken = 0
        self._quiet = 0
        self._since = 0.0

    def start(self) -> None:
        """Wait for the socket to become readable."""
        self._loop.add_reader(self._member.fileno(), self._woken)

    def _woken(self) -> None:
        self._taken += self._drain(self._member, self._address)
        if self._taken < WINDOW:
            return
        now = monotonic()
        busy = now - self._since < WINDOW / BUSY_RATE
        self._since = now
        self._taken = 0
        if busy:
            self._quiet = 0
            self._loop.remove_reader(self._member.fileno())
            self._loop.call_later(PAUSE, self._fetch)

    def _fetch(self) -> None:
        if self._drain(self._member, self._address):
            self._quiet = 0
        else:
            self._quiet += 1
            if self._quiet > QUIET_ROUNDS:
                self._since = monotonic()
                self.start()
                return
        self._loop.call_later(PAUSE, self._fetch)
