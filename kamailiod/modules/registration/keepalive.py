"""usrloc's own keep-alives (ka_mode): requests to contacts, how long their answers take.

Owns the choice of contacts, its pace and what an answer changes; sending is tm's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from kamailiod.modules.registration.locations import Locations
from kamailiod.modules.registration.path import first_hop
from kamailiod.modules.tm_functions.local_request import LocalRequest
from kamailiod.net.ownership import owner_rank
from kamailiod.sip.message import SipMessage
from kamailiod.sip.name_addr import parse_addresses
from shm import Binding

ALL, NAT_ONLY, UDP_ONLY = 1, 2, 4
"""Bits of ka_mode."""

OWN_ONLY = 1
"""ka_filter."""

_A_SECOND = 1000


@dataclass(frozen=True, slots=True)
class KeepAliveRules:
    """usrloc's modparams of keep-alives; `timeout` in seconds, 0 for never."""

    mode: int
    filter: int
    method: bytes
    from_uri: bytes
    domain: bytes
    timeout: int
    nat_flag: int
    server_id: int

    def wants(self, contact: Binding) -> bool:
        """Whether a contact is kept alive."""
        if self.mode & NAT_ONLY and not contact.cflags & self.nat_flag:
            return False
        if self.mode & UDP_ONLY and contact.socket and not contact.socket.startswith(b"udp:"):
            return False
        return not self.filter & OWN_ONLY or contact.server_id == self.server_id

    def is_silent(self, contact: Binding, now: float) -> bool:
        """Whether a contact has not answered for too long."""
        heard = max(contact.keepalive, contact.last_modified)
        return self.timeout > 0 and now - heard > self.timeout


class KeepAliveRound:
    """The timer process's part: goes through all contacts, some each second, again and again.

    `ask(rank, table, aor, ruid, call_id)` has a worker send.
    """

    def __init__(
        self,
        rules: KeepAliveRules,
        locations: Locations,
        workers: int,
        ask: Callable[[int, bytes, bytes, bytes, bytes], object],
    ) -> None:
        self._rules = rules
        self._locations = locations
        self._workers = workers
        self._ask = ask
        self._left: Iterator[tuple[bytes, bytes, Binding]] = iter(())
        self._goes_on = False
        self._numbers = count()
        self._call_id = os.urandom(8).hex().encode()

    def begin(self) -> None:
        """Start anew with the first contact, unless a round still goes on."""
        if not self._goes_on:
            self._left = self._contacts()
            self._goes_on = True

    def go_on(self) -> None:
        """Ask the next contacts, and remove those that have been silent for too long."""
        now = time.time()
        rules = self._rules
        some = list(islice(self._left, _A_SECOND))
        self._goes_on = len(some) == _A_SECOND
        for table, aor, contact in some:
            if rules.is_silent(contact, now):
                self._remove(table, aor, contact.ruid)
                continue
            call_id = b"%08x-%b" % (next(self._numbers), self._call_id)
            rank = owner_rank(call_id, self._workers)
            self._ask(rank, table, aor, contact.ruid, call_id)

    def _contacts(self) -> Iterator[tuple[bytes, bytes, Binding]]:
        for table in self._locations.names():
            for aor, contacts in self._locations.memory(table).items():
                for contact in contacts:
                    if self._rules.wants(contact):
                        yield table, aor, contact

    def _remove(self, table: bytes, aor: bytes, ruid: bytes) -> None:
        def drop(bindings: list[Binding]) -> list[Binding]:
            return [binding for binding in bindings if binding.ruid != ruid]

        self._locations.table(table).update(aor, drop)


class KeepAliveSender:
    """A worker's part: sends the requests and keeps what their answers say.

    `answered(round trip in microseconds, contact, reply)` hears of each answer.
    """

    def __init__(
        self,
        rules: KeepAliveRules,
        locations: Locations,
        send: Callable[[LocalRequest, Callable[[int, SipMessage | None], object]], object],
        answered: Callable[[int, Binding, SipMessage], None],
    ) -> None:
        self._rules = rules
        self._locations = locations
        self._send = send
        self._answered = answered

    def send(self, table: bytes, aor: bytes, ruid: bytes, call_id: bytes) -> None:
        """Send a keep-alive to a contact that is still there."""
        found = [b for b in self._locations.memory(table).bindings(aor, 0) if b.ruid == ruid]
        if not found:
            return
        contact = found[0]
        started = time.perf_counter()

        def heard(status: int, reply: SipMessage | None) -> None:
            if reply is not None:
                took = int((time.perf_counter() - started) * 1e6)
                self._note(table, aor, ruid, took)
                self._answered(took, contact, reply)

        self._send(self._request(aor, contact, call_id), heard)

    def _request(self, aor: bytes, contact: Binding, call_id: bytes) -> LocalRequest:
        rules = self._rules
        address = aor if b"@" in aor else b"%b@%b" % (aor, rules.domain)
        hops = parse_addresses(contact.path) if contact.path else None
        routes = tuple(b"<%b>" % hop.uri_text for hop in hops or ())
        hop = first_hop(contact.path) if contact.path else contact.received
        return LocalRequest(
            rules.method, contact.contact, b"<%b>;tag=%b" % (rules.from_uri, call_id[:8]),
            b"<sip:%b>" % address, call_id, 80, routes, next_hop=hop,
        )  # fmt: skip

    def _note(self, table: bytes, aor: bytes, ruid: bytes, took: int) -> None:
        now = int(time.time())

        def note(bindings: list[Binding]) -> list[Binding]:
            return [
                b._replace(keepalive=now, round_trip=took) if b.ruid == ruid else b
                for b in bindings
            ]

        # Not for the database: it is no change of a registration.
        self._locations.memory(table).update(aor, note)
