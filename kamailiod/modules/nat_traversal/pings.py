"""Keeping NAT bindings open: which contacts are pinged how, and when one has been silent too long.

Owns the choice and its pace; sending is ping_sender.py's, contacts are usrloc's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kamailiod.modules.registration.locations import Locations
from kamailiod.modules.registration.routing import next_hop
from kamailiod.sip.uri import parse_uri
from shm import Binding, LocationStore

Contacts = Callable[[int], Iterator[tuple[bytes, bytes, Binding]]]
"""Gives (table, address-of-record, contact) of all contacts that have some flags."""


@dataclass(frozen=True, slots=True)
class PingRules:
    """What nathelper's and usrloc's modparams say; times in seconds, flags as masks (0: none)."""

    interval: int
    nated_only: bool
    nat_flag: int
    sip_flag: int
    disabling_flag: int
    sip: bool
    keepalive_timeout: int
    server_id: int | None

    def is_pinged(self, binding: Binding) -> bool:
        """Whether a contact is pinged at all."""
        flags = binding.cflags
        if self.nated_only and flags & self.nat_flag != self.nat_flag:
            return False
        if flags & self.disabling_flag:
            return False
        return self.server_id is None or binding.server_id == self.server_id

    def is_pinged_by_sip(self, binding: Binding) -> bool:
        """Whether a contact gets a SIP request instead of four zero bytes."""
        if not self.sip or not self.sip_flag:
            return False
        return not self.nated_only or bool(binding.cflags & self.sip_flag)


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping: where to, from which socket; by SIP unless `uri` is empty.

    `tag` tells the contact again when it answers.
    """

    hop: bytes
    socket: bytes
    uri: bytes = b""
    path: bytes = b""
    tag: bytes = b""


class Pings:
    """Goes through all contacts once an interval, an even share of them each second."""

    __slots__ = (
        "_contacts", "_left", "_locations", "_passed", "_per_second", "_round", "_rules", "_send",
    )  # fmt: skip

    def __init__(
        self, rules: PingRules, locations: Locations, contacts: Contacts,
        send: Callable[[Ping], object],
    ) -> None:  # fmt: skip
        self._rules = rules
        self._locations = locations
        self._contacts = contacts
        self._send = send
        self._round: Iterator[tuple[bytes, bytes, Binding]] = iter(())
        self._left = 0
        self._passed = 0
        self._per_second = 0

    def second(self, now: float) -> None:
        """Ping the next share; to be called once a second, `now` in unix seconds."""
        if not self._left:
            self._begin()
        self._left -= 1
        share = self._per_second
        for name, aor, binding in self._round:
            self._passed += 1
            self._look(name, aor, binding, now)
            share -= 1
            if not share and self._left:
                return

    def _begin(self) -> None:
        # As many as went by in the round before; in the last second of a round, all others.
        self._left = max(self._rules.interval, 1)
        expected = self._passed or self._locations.total().contacts
        self._per_second = -(-expected // self._left) or 1
        self._passed = 0
        self._round = self._contacts(self._rules.nat_flag if self._rules.nated_only else 0)

    def _look(self, name: bytes, aor: bytes, binding: Binding, now: float) -> None:
        rules = self._rules
        if (binding.expires and binding.expires <= now) or not rules.is_pinged(binding):
            return
        hop = next_hop(binding) or binding.contact
        uri = parse_uri(hop)
        if uri is None or uri.scheme != b"sip" or uri.transport not in (b"", b"udp"):
            return
        if not rules.is_pinged_by_sip(binding):
            self._send(Ping(hop, binding.socket))
            return
        table = self._locations.table(name)
        if rules.keepalive_timeout and _last_heard(binding) + rules.keepalive_timeout < now:
            expire(table, aor, binding.ruid, int(now))
            return
        tag = b"%b-%x" % (binding.ruid, table.hash_of(aor))
        self._send(Ping(hop, binding.socket, binding.contact, binding.path, tag))


def _last_heard(binding: Binding) -> float:
    return max(binding.keepalive, binding.last_modified)


def expire(table: LocationStore, aor: bytes, ruid: bytes, now: int) -> None:
    """Let a contact's time be over; usrloc removes it as it does all others."""
    table.update(
        aor, lambda found: [b._replace(expires=now) if b.ruid == ruid else b for b in found]
    )


def heard_of(locations: Locations, tag: bytes, now: int) -> bool:
    """Note that a contact, known by its ping's tag, has answered; False when it is unknown."""
    ruid, _, number = tag.rpartition(b"-")
    try:
        place = int(number, 16)
    except ValueError:
        return False
    for name in locations.names():
        table = locations.table(name)
        for aor, bindings in table.of_hash(place):
            if any(binding.ruid == ruid for binding in bindings):
                return table.update(
                    aor,
                    lambda found: [
                        b._replace(keepalive=now) if b.ruid == ruid else b for b in found
                    ],
                )
    return False
