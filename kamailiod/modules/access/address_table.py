"""Groups of addresses: hosts, subnets and domain names, found at the price of a few look-ups.

Owns matching and Kamailio's order of it; where records come from is address_source.py's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kamailiod.modules.access.errors import TableError
from kamailiod.net.literal import octets

_BITS = {4: 32, 16: 128}


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """One record as written; `mask` 0 stands for a single address, `port` 0 for any."""

    group: int
    address: str
    mask: int
    port: int
    tag: str | None


class Match(NamedTuple):
    """What was found: the group of the record and its tag, empty when it has none."""

    group: int
    tag: bytes


class _Entry(NamedTuple):
    order: tuple[int, int]
    group: int
    port: int
    tag: bytes

    def takes(self, group: int, port: int) -> bool:
        """Whether the entry is of this group (0: any) and for this port."""
        return group in (0, self.group) and self.port in (0, port)


class AddressTable:
    """An immutable table of records; raises TableError for one that cannot be.

    Of single addresses and names the last record that fits wins, of subnets the first of the
    lowest group.
    """

    def __init__(self, records: Iterable[AddressRecord], most_subnets: int) -> None:
        self._hosts: dict[bytes, list[_Entry]] = {}
        self._names: dict[bytes, list[_Entry]] = {}
        self._subnets: dict[int, dict[int, dict[int, list[_Entry]]]] = {4: {}, 16: {}}
        self.hosts: list[AddressRecord] = []
        self.names: list[AddressRecord] = []
        self.subnets: list[AddressRecord] = []
        for number, record in enumerate(records):
            self._add(number, record)
        if len(self.subnets) > most_subnets:
            raise TableError(f"{len(self.subnets)} subnets, max_subnets is {most_subnets}")
        self.subnets.sort(key=lambda record: record.group)
        masked = {
            length: [
                (((1 << prefix) - 1) << (_BITS[length] - prefix), networks)
                for prefix, networks in sorted(subnets.items(), reverse=True)
            ]
            for length, subnets in self._subnets.items()
        }
        self._masked: dict[int, list[tuple[int, dict[int, list[_Entry]]]]] = masked

    def find(self, host: bytes, port: int, group: int = 0) -> Match | None:
        """Return the record of a group, or of any, that an address and port fit.

        `host` is an IP literal or a name; names are compared as they are written.
        """
        address = octets(host)
        if address is None:
            return _first(self._names.get(host, ()), port, group)
        return _first(self._hosts.get(address, ()), port, group) or self._subnet(
            address, port, group
        )

    def _subnet(self, address: bytes, port: int, group: int) -> Match | None:
        number = int.from_bytes(address, "big")
        fitting = [
            entry
            for mask, networks in self._masked[len(address)]
            for entry in networks.get(number & mask, ())
            if entry.takes(group, port)
        ]
        if not fitting:
            return None
        found = min(fitting)
        return Match(found.group, found.tag)

    def _add(self, number: int, record: AddressRecord) -> None:
        if record.group < 1:
            raise TableError(f"{record.address}: group {record.group} is not 1 or more")
        tag = (record.tag or "").encode()
        entry = _Entry((record.group, number), record.group, record.port, tag)
        address = octets(record.address.encode())
        if address is None:
            self._names.setdefault(record.address.encode(), []).insert(0, entry)
            self.names.append(record)
            return
        bits = _BITS[len(address)]
        if not 0 <= record.mask <= bits:
            raise TableError(f"{record.address}: mask {record.mask} is not 0 to {bits}")
        if record.mask in (0, bits):
            self._hosts.setdefault(address, []).insert(0, entry)
            self.hosts.append(record)
            return
        network = int(ipaddress.ip_network((address, record.mask), strict=False).network_address)
        networks = self._subnets[len(address)].setdefault(record.mask, {})
        networks.setdefault(network, []).append(entry)
        self.subnets.append(record)

    def __iter__(self) -> Iterator[AddressRecord]:
        yield from self.hosts
        yield from self.subnets
        yield from self.names


def _first(entries: Iterable[_Entry], port: int, group: int) -> Match | None:
    for entry in entries:
        if entry.takes(group, port):
            return Match(entry.group, entry.tag)
    return None
