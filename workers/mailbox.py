"""Messages between the processes of one server; knows nothing of what is in them.

Every process has one inbox: an AF_UNIX datagram socket pair made before the fork. All processes
hold its sending end; the supervisor keeps both, so a restarted process finds its inbox and what
is queued in it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workers.errors import NoEventLoop, PayloadTooLong, UnknownRank

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

MAX_PAYLOAD = 70 * 1024
_QUEUE_BYTES = 4 << 20
_DRAIN = 64
# Linux: as SO_SNDBUF, but above net.core.wmem_max; the socket module has no name for it.
_SO_SNDBUFFORCE = 32


class Mailboxes:
    """The inboxes of all processes, by rank; made by the supervisor before the first fork."""

    __slots__ = ("_pairs",)

    def __init__(self, ranks: Iterable[int], *, queue_bytes: int = _QUEUE_BYTES) -> None:
        self._pairs = {rank: _socket_pair(queue_bytes) for rank in ranks}

    def mailbox(self, rank: int, loop: AbstractEventLoop | None = None) -> Mailbox:
        """Return the view of the process of this rank; raises UnknownRank."""
        if rank not in self._pairs:
            raise UnknownRank(f"no process has rank {rank}")
        senders = {other: sender for other, (_, sender) in self._pairs.items()}
        return Mailbox(rank, self._pairs[rank][0], senders, loop)

    def close(self) -> None:
        """Close all sockets in this process."""
        for pair in self._pairs.values():
            for end in pair:
                end.close()


class Mailbox:
    """One process's own view: it sends to any rank and receives from its own inbox.

    The counts `sent`, `received` and `full` (payloads refused because the queue of the receiver
    was full) start with 0 in every process.
    """

    __slots__ = ("_inbox", "_loop", "_senders", "full", "rank", "received", "sent")

    def __init__(
        self,
        rank: int,
        inbox: socket.socket,
        senders: dict[int, socket.socket],
        loop: AbstractEventLoop | None,
    ) -> None:
        self.rank = rank
        self.sent = 0
        self.received = 0
        self.full = 0
        self._inbox = inbox
        self._senders = senders
        self._loop = loop

    def send(self, rank: int, payload: bytes) -> bool:
        """Queue the payload for that process without waiting; False when its queue is full.

        Raises UnknownRank, and PayloadTooLong above MAX_PAYLOAD bytes.
        """
        if len(payload) > MAX_PAYLOAD:
            raise PayloadTooLong(f"{len(payload)} bytes, a mailbox carries {MAX_PAYLOAD}")
        try:
            self._senders[rank].send(payload)
        except BlockingIOError:
            self.full += 1
            return False
        except KeyError:
            raise UnknownRank(f"no process has rank {rank}") from None
        self.sent += 1
        return True

    def open(self, callback: Callable[[bytes], object]) -> None:
        """Have the loop call back with each payload, oldest first, up to 64 a wake-up."""
        if self._loop is None:
            raise NoEventLoop("this process has no event loop to receive on")
        self._loop.add_reader(self._inbox.fileno(), self._drain, callback)

    def close(self) -> None:
        """Stop calling back; what arrives from now on stays queued."""
        if self._loop is not None:
            self._loop.remove_reader(self._inbox.fileno())

    def _drain(self, callback: Callable[[bytes], object]) -> None:
        receive = self._inbox.recv
        for _ in range(_DRAIN):
            try:
                payload = receive(MAX_PAYLOAD)
            except BlockingIOError:
                return
            self.received += 1
            callback(payload)


def _socket_pair(queue_bytes: int) -> tuple[socket.socket, socket.socket]:
    """Return (inbox, sending end), both non-blocking.

    What is queued counts against the sending end's SO_SNDBUF only. The two are each other's peer,
    which exempts them from net.unix.max_dgram_qlen.
    """
    inbox, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (inbox, sender):
        end.setblocking(False)
    try:
        sender.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, queue_bytes)
    except PermissionError:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, queue_bytes)
    return inbox, sender
