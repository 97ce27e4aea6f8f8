"""Module ipops: questions about IP addresses and to DNS.

Owns the script functions and variables; the machinery is in address_operations/.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import ClassVar

from kamailiod.modules.address_operations.addresses import (
    IPV4,
    IPV6,
    REFERENCE,
    Address,
    is_in_subnets,
    is_private,
    kind_of,
    parse_address,
)
from kamailiod.modules.address_operations.answers import Answers
from kamailiod.modules.address_operations.queries import DnsQueries, Record
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, Params, Variable, kemi, pseudo_variable
from kamailiod.script.services import Services
from lua import Wait

BAD_ADDRESS = -3
NOT_FOUND = -4
NO_RECORDS = -3


class Ipops(Module):
    """Address and DNS functions: 1 for true or done, negative otherwise."""

    name: ClassVar[str] = "ipops"

    def __init__(self, params: Params, services: Services) -> None:
        super().__init__(params, services)
        self.queries = DnsQueries()
        self._hosts = Answers("hosts")
        self._services = Answers("services")
        self._pointers = Answers("pointers")
        self._names = Answers("names")
        self._own_address: bytes | None = None

    def mod_init(self) -> None:
        """Look this machine's own address up, in the hosts file."""
        self._own_address = listed_address(socket.gethostname())

    @kemi("ipops.is_ip")
    def is_ip(self, context: Context, address: bytes) -> int:
        """Whether a text is an IPv4 or IPv6 address or an IPv6 reference: 1 or -1."""
        return 1 if parse_address(address)[0] > 0 else -1

    @kemi("ipops.is_pure_ip")
    def is_pure_ip(self, context: Context, address: bytes) -> int:
        """Whether a text is an IPv4 or IPv6 address, without brackets: 1 or -1."""
        return 1 if parse_address(address)[0] in (IPV4, IPV6) else -1

    @kemi("ipops.is_ip4", native="is_ipv4")
    def is_ip4(self, context: Context, address: bytes) -> int:
        """Whether a text is an IPv4 address: 1 or -1."""
        return 1 if parse_address(address)[0] == IPV4 else -1

    @kemi("ipops.is_ip6", native="is_ipv6")
    def is_ip6(self, context: Context, address: bytes) -> int:
        """Whether a text is an IPv6 address, without brackets: 1 or -1."""
        return 1 if parse_address(address)[0] == IPV6 else -1

    @kemi("ipops.is_ip6_reference", native="is_ipv6_reference")
    def is_ip6_reference(self, context: Context, address: bytes) -> int:
        """Whether a text is an IPv6 address in brackets: 1 or -1."""
        return 1 if parse_address(address)[0] == REFERENCE else -1

    @kemi("ipops.ip_type")
    def ip_type(self, context: Context, address: bytes) -> int:
        """Return 1 for an IPv4 address, 2 IPv6, 3 IPv6 reference, -1 none."""
        return parse_address(address)[0]

    @kemi("ipops.detailed_ip_type")
    def detailed_ip_type(self, context: Context, address: bytes, target: Variable) -> int:
        """Store in a variable what kind of address it is, such as PRIVATE; -1 for none."""
        return self._kind(context, parse_address(address)[1], target)

    @kemi("ipops.detailed_ipv4_type")
    def detailed_ipv4_type(self, context: Context, address: bytes, target: Variable) -> int:
        """Store in a variable what kind of IPv4 address it is; -1 for none."""
        kind, found = parse_address(address)
        return self._kind(context, found if kind == IPV4 else None, target)

    @kemi("ipops.detailed_ipv6_type")
    def detailed_ipv6_type(self, context: Context, address: bytes, target: Variable) -> int:
        """Store in a variable what kind of IPv6 address or reference it is; -1 for none."""
        kind, found = parse_address(address)
        return self._kind(context, found if kind != IPV4 else None, target)

    def _kind(self, context: Context, address: Address | None, target: bytes) -> int:
        accessor = self.services.variables.compile(target) if address is not None else None
        if address is None or accessor is None:
            return -1
        return 1 if accessor.set(context, kind_of(address)) else -1

    @kemi("ipops.compare_ips")
    def compare_ips(self, context: Context, one: bytes, other: bytes) -> int:
        """Whether two addresses are the same, brackets or not: 1 or -1."""
        first = parse_address(one)[1]
        return 1 if first is not None and first == parse_address(other)[1] else -1

    @kemi("ipops.compare_pure_ips")
    def compare_pure_ips(self, context: Context, one: bytes, other: bytes) -> int:
        """Whether two addresses without brackets are the same: 1 or -1."""
        if REFERENCE in (parse_address(one)[0], parse_address(other)[0]):
            return -1
        return self.compare_ips(context, one, other)

    @kemi("ipops.ip_is_in_subnet", native=())
    def ip_is_in_subnet(self, context: Context, address: bytes, subnets: bytes) -> int:
        """Whether an address is in one of the subnets of a comma-joined list: 1 or -1."""
        return 1 if is_in_subnets(address, subnets) else -1

    @kemi("ipops.is_in_subnet", native=("is_in_subnet", "ip_is_in_subnet"))
    def is_in_subnet(self, context: Context, address: bytes, subnets: bytes) -> int:
        """Whether an address is in one of the subnets of a comma-joined list: 1 or -1."""
        return 1 if is_in_subnets(address, subnets) else -1

    @kemi("ipops.is_ip_rfc1918")
    def is_ip_rfc1918(self, context: Context, address: bytes) -> int:
        """Whether a text is a private IPv4 address (RFC 1918): 1 or -1."""
        return 1 if is_private(parse_address(address)[1]) else -1

    @kemi("ipops.dns_sys_match_ip", waits=True)
    def dns_sys_match_ip(self, context: Context, host: bytes, address: bytes) -> int | Wait:
        """Whether an address is one of a host's: 1, -1; -3 it is none, -4 there is no such host."""
        wanted = parse_address(address)[1]
        if wanted is None:
            return BAD_ADDRESS

        def compare(found: list[Record] | None) -> int:
            if found is None:
                return NOT_FOUND
            return 1 if any(_address(record) == wanted for record in found) else -1

        return self._addresses(host, compare)

    @kemi("ipops.dns_int_match_ip", waits=True)
    def dns_int_match_ip(self, context: Context, host: bytes, address: bytes) -> int | Wait:
        """Do as dns_sys_match_ip; there is one resolver here."""
        return self.dns_sys_match_ip(context, host, address)

    @kemi("ipops.dns_query", waits=True)
    def dns_query(self, context: Context, host: bytes, name: bytes) -> int | Wait:
        """Look the addresses of a host up for $dns(name=>...): 1, -4 there are none."""

        def store(found: list[Record] | None) -> int:
            self._hosts.store(context, name, found)
            return NOT_FOUND if found is None else 1

        return self._addresses(host, store)

    @kemi("ipops.srv_query", waits=True)
    def srv_query(self, context: Context, service: bytes, name: bytes) -> int | Wait:
        """Look SRV records up for $srvquery(name=>...): 1, -3 there are none."""
        return self._records(context, self.queries.services, self._services, service, name)

    @kemi("ipops.naptr_query", waits=True)
    def naptr_query(self, context: Context, domain: bytes, name: bytes) -> int | Wait:
        """Look NAPTR records up for $naptrquery(name=>...): 1, -3 there are none."""
        return self._records(context, self.queries.pointers, self._pointers, domain, name)

    @kemi("ipops.ptr_query", waits=True)
    def ptr_query(self, context: Context, address: bytes, name: bytes) -> int | Wait:
        """Look the name of an address up for $ptrquery(name=>...): 1, -1 no address, -3 no name."""
        found = parse_address(address)[1]
        if found is None:
            return -1

        async def work() -> int:
            host = await self.queries.host(str(found))
            self._names.store(context, name, None if host is None else [{b"hostname": host}])
            return NO_RECORDS if host is None else 1

        return Wait(work)

    @kemi("ipops.dns_set_local_ttl")
    def dns_set_local_ttl(self, context: Context, seconds: int) -> int:
        """Accept how long DNS answers are kept; every query of a script asks anew here."""
        return 1

    @pseudo_variable("dns")
    def host_answers(self, context: Context, inner: bytes, index: object) -> Value:
        """$dns(name=>key): count, ipv4, ipv6 (whether there is one), addr[n], type[n]."""
        return self._hosts.read(context, inner)

    @pseudo_variable("srvquery")
    def service_answers(self, context: Context, inner: bytes, index: object) -> Value:
        """$srvquery(name=>key): count, port[n], priority[n], target[n], weight[n]."""
        return _or_none(self._services.read(context, inner), inner)

    @pseudo_variable("naptrquery")
    def pointer_answers(self, context: Context, inner: bytes, index: object) -> Value:
        """$naptrquery(name=>key): count, order, pref, flags, services, regex, replace [n]."""
        return _or_none(self._pointers.read(context, inner), inner)

    @pseudo_variable("ptrquery")
    def name_answers(self, context: Context, inner: bytes, index: object) -> Value:
        """$ptrquery(name=>hostname)."""
        return self._names.read(context, inner)

    @pseudo_variable("HN")
    def host_name(self, context: Context, inner: bytes, index: object) -> Value:
        """$HN(n) this machine's name, $HN(f) in full, $HN(d) its domain, $HN(i) its address."""
        full = socket.gethostname().encode()
        short, _, domain = full.partition(b".")
        if inner == b"i":
            return self._own_address
        return {b"n": short, b"f": full, b"d": domain or None}.get(inner)

    def _addresses(
        self, host: bytes, use: Callable[[list[Record] | None], int]
    ) -> int | Wait:
        literal = parse_address(host)[1]
        if literal is not None:
            kind = 4 if isinstance(literal, IPv4Address) else 6
            return use([{b"addr": str(literal).encode(), b"type": kind}])

        async def work() -> int:
            return use(await self.queries.addresses(host))

        return Wait(work)

    def _records(
        self, context: Context, ask: Callable[[bytes], Awaitable[list[Record] | None]],
        answers: Answers, asked: bytes, name: bytes,
    ) -> Wait:  # fmt: skip
        async def work() -> int:
            found = await ask(asked)
            answers.store(context, name, found)
            return NO_RECORDS if found is None else 1

        return Wait(work)


def _address(record: Record) -> Address | None:
    address = record[b"addr"]
    return parse_address(address)[1] if isinstance(address, bytes) else None


def _or_none(value: Value, inner: bytes) -> Value:
    # Kamailio counts 0 records of a name that was never asked for.
    return 0 if value is None and inner.rstrip().endswith(b"count") else value


def listed_address(name: str, hosts: str = "/etc/hosts") -> bytes | None:
    """Return the address that the hosts file has for a name; a name server is not asked."""
    try:
        with open(hosts, encoding="utf-8") as file:
            entries = [line.partition("#")[0].split() for line in file]
    except OSError:
        return None
    return next((entry[0].encode() for entry in entries if name in entry[1:]), None)
