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

BUSY_SECONDS = 0.0001
"""A wake-up this soon after the last one means that datagrams are waiting in line."""

Receiver = Callable[[bytes, Source], None]


class UdpSockets:
    """The UDP sockets of one process, by the index of their listen address."""

    __slots__ = ("_hosts", "_idle_since", "_receiver", "_sockets")

    def __init__(self, sockets: Mapping[ListenAddress, socket.socket], receiver: Receiver) -> None:
        self._sockets = {address.index: member for address, member in sockets.items()}
        self._receiver = receiver
        self._hosts: dict[str, bytes] = {}
        self._idle_since = 0.0

    def open(
        self, loop: AbstractEventLoop, addresses: Mapping[ListenAddress, socket.socket]
    ) -> None:
        """Start reading on every socket."""
        for address, member in addresses.items():
            loop.add_reader(member.fileno(), self._drain, member, address)

    def _drain(self, member: socket.socket, address: ListenAddress) -> None:
        # Finding a socket empty costs a failed call and an exception, as much as a tenth of an
        # OPTIONS; so more than one datagram is asked for only when wake-ups follow each other.
        count = BATCH if monotonic() - self._idle_since < BUSY_SECONDS else 1
        receive = member.recvfrom
        receiver = self._receiver
        hosts = self._hosts
        try:
            for _ in range(count):
                data, remote = receive(65535)
                host = hosts.get(remote[0])
                if host is None:
                    host = self._remember(remote[0])
                receiver(data, Source(address, host, remote[1], 0, time()))
        except OSError:
            # Empty, or an ICMP error of an earlier send; the socket itself is fine.
            pass
        self._idle_since = monotonic()

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

