"""A virtual clock, a network that only remembers, and a transaction user that only listens."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from kamailiod.sip.message import SipMessage, parse
from kamailiod.sip.transaction import ClientTransaction, Timing, Transaction

VIA = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKup\r\n"
HEAD = b"From: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\nCall-ID: c\r\n"


class Pending:
    """One scheduled call."""

    def __init__(self, world: World) -> None:
        self.world = world

    def cancel(self) -> None:
        self.world.pending.discard(self)


class World:
    """Effects and transaction user of machines; `log` holds (time, what happened)."""

    def __init__(self, works: bool = True) -> None:
        self.now = 0.0
        self.works = works
        self.sent: list[tuple[float, Any, bytes]] = []
        self.log: list[tuple[float, str, int]] = []
        self.pending: set[Pending] = set()
        self.again = 0
        self._heap: list[tuple[float, int, Pending, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = count()

    def send(self, target: Any, data: bytes) -> bool:
        self.sent.append((self.now, target, data))
        return self.works

    def schedule(self, delay: float, callback: Callable[..., object], *args: Any) -> Pending:
        assert delay > 0
        handle = Pending(self)
        self.pending.add(handle)
        heappush(self._heap, (self.now + delay, next(self._numbers), handle, callback, args))
        return handle

    def run(self, until: float) -> None:
        """Let time pass up to an instant, that included."""
        while self._heap and self._heap[0][0] <= until:
            at, _, handle, callback, args = heappop(self._heap)
            if handle in self.pending:
                self.pending.discard(handle)
                self.now = at
                callback(*args)
        self.now = until

    def reply_received(self, client: ClientTransaction, reply: SipMessage) -> None:
        self.log.append((self.now, "reply", reply.status))

    def client_failed(self, client: ClientTransaction, code: int) -> None:
        self.log.append((self.now, "failed", code))

    def retransmitted(self) -> None:
        self.again += 1

    def client_ended(self, client: ClientTransaction) -> None:
        self.log.append((self.now, "client ended", client.code))

    def server_ended(self, server: Transaction) -> None:
        self.log.append((self.now, "server ended", server.final_code))

    @property
    def instants(self) -> list[float]:
        return [at for at, _, _ in self.sent]

    @property
    def happened(self) -> list[tuple[str, int]]:
        return [(what, code) for _, what, code in self.log]


def request(method: bytes) -> SipMessage:
    found = parse(
        b"%s sip:b@b.example SIP/2.0\r\n%s%sCSeq: 1 %s\r\n\r\n" % (method, VIA, HEAD, method)
    )
    assert found.fault is None
    return found


def reply(code: int, method: bytes = b"INVITE") -> SipMessage:
    found = parse(
        b"SIP/2.0 %d R\r\n%s%sCSeq: 1 %s\r\n\r\n"
        % (code, VIA, HEAD.replace(b"b.example>", b"b.example>;tag=2"), method)
    )
    assert found.fault is None
    return found


def server(
    world: World, method: bytes, reliable: bool = False, timing: Timing | None = None
) -> Transaction:
    return Transaction(
        "key", request(method), None, "up", reliable, timing or Timing(), world, world, (1, 1)
    )


def client(
    world: World, method: bytes, reliable: bool = False, timing: Timing | None = None
) -> ClientTransaction:
    return ClientTransaction(
        server(World(), method), 0, b"z9hG4bKup", request(method).data, "down", reliable,
        method == b"INVITE", timing or Timing(), world, world,
    )  # fmt: skip
