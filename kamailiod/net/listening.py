"""Binding the sockets: once, by the supervisor, one a worker and address.

Owns the listening sockets over the life of the server, so that a restarted worker gets its own
back; it reads and sends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kamailiod.net.address import ListenAddress
from kamailiod.net.errors import BindError
from kamailiod.net.steering import attach

_RECEIVE_BUFFER = 4 * 1024 * 1024


class ListeningSockets:
    """All bound sockets: for each address one a worker, by rank 1..workers.

    `steered` is the last byte offset that the kernel's program searches for the Call-ID, 0 when
    there is no steering.
    """

    def __init__(self, addresses: Sequence[ListenAddress], workers: int, hash_offset: int) -> None:
        self.addresses = addresses
        self.workers = workers
        self.steered = 0
        self._members: dict[tuple[int, int], socket.socket] = {}
        for address in addresses:
            for rank in range(1, workers + 1):
                self._members[address.index, rank] = _bound(address)
        if workers > 1:
            covered = [
                attach(self._members[address.index, 1], workers, hash_offset)
                for address in addresses
                if address.transport == b"udp"
            ]
            self.steered = min(covered, default=0)

    def of_worker(self, rank: int, transport: bytes) -> dict[ListenAddress, socket.socket]:
        """Return a worker's sockets of one transport."""
        return {
            address: self._members[address.index, rank]
            for address in self.addresses
            if address.transport == transport
        }

    def close(self) -> None:
        """Close them all; done by the supervisor at the end."""
        for member in self._members.values():
            member.close()


def _bound(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if b":" in address.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if address.transport == b"udp" else socket.SOCK_STREAM
    member = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            member.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        member.bind((address.host.decode(), address.port))
        if kind == socket.SOCK_STREAM:
            member.listen(1024)
    except OSError as error:
        member.close()
        raise BindError(address.text.decode(), error.strerror or str(error)) from error
    member.setblocking(False)
    return member


def refuse_taken(addresses: Sequence[ListenAddress]) -> None:
    """Raise BindError when another program already has one of the ports.

    SO_REUSEPORT would let two servers of one user share a port in silence: a plain bind tells.
    """
    for address in addresses:
        family = socket.AF_INET6 if b":" in address.host else socket.AF_INET
        kind = socket.SOCK_DGRAM if address.transport == b"udp" else socket.SOCK_STREAM
        with socket.socket(family, kind) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host.decode(), address.port))
            except OSError as error:
                raise BindError(address.text.decode(), error.strerror or str(error)) from error
