"""IP addresses as scripts write them: literals, IPv6 references, what kind of address one is.

Owns the tables of RFC 5735 and IANA's IPv6 registries with ipops' names; knows no message.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

Address = IPv4Address | IPv6Address
INVALID, IPV4, IPV6, REFERENCE = -1, 1, 2, 3
"""What ip_type says."""

# The first block that holds an address names its kind, so narrow ones stand before wide ones.
_KINDS_4 = tuple((IPv4Network(block), kind) for block, kind in (
    ("255.255.255.255/32", b"BROADCAST"), ("0.0.0.0/8", b"PRIVATE"), ("10.0.0.0/8", b"PRIVATE"),
    ("100.64.0.0/10", b"SHARED"), ("127.0.0.0/8", b"LOOPBACK"), ("169.254.0.0/16", b"LINK-LOCAL"),
    ("172.16.0.0/12", b"PRIVATE"), ("192.0.0.0/24", b"RESERVED"), ("192.0.2.0/24", b"TEST-NET"),
    ("192.88.99.0/24", b"6TO4-RELAY"), ("192.168.0.0/16", b"PRIVATE"),
    ("198.18.0.0/15", b"RESERVED"), ("198.51.100.0/24", b"TEST-NET"),
    ("203.0.113.0/24", b"TEST-NET"), ("224.0.0.0/4", b"MULTICAST"), ("240.0.0.0/4", b"RESERVED"),
))  # fmt: skip
_KINDS_6 = tuple((IPv6Network(block), kind) for block, kind in (
    ("::/128", b"UNSPECIFIED"), ("::1/128", b"LOOPBACK"), ("::ffff:0:0/96", b"IPV4MAP"),
    ("100::/64", b"DISCARD"), ("2001::/32", b"TEREDO"), ("2001:2::/48", b"BMWG"),
    ("2001:db8::/32", b"DOCUMENTATION"), ("2001:10::/28", b"ORCHID"), ("2002::/16", b"6TO4"),
    ("2000::/3", b"GLOBAL-UNICAST"), ("fc00::/7", b"UNIQUE-LOCAL-UNICAST"),
    ("fe80::/10", b"LINK-LOCAL-UNICAST"), ("ff00::/8", b"MULTICAST"),
))  # fmt: skip
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@lru_cache(maxsize=4096)
def parse_address(text: bytes) -> tuple[int, Address | None]:
    """Return what ip_type says of a text, and the address; (INVALID, None) when it is none."""
    try:
        plain = text.decode("ascii")
        if text[:1] == b"[" and text[-1:] == b"]":
            return REFERENCE, _ipv6(plain[1:-1])
        return (IPV6, _ipv6(plain)) if ":" in plain else (IPV4, IPv4Address(plain))
    except (AddressValueError, UnicodeError):
        return INVALID, None


def _ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise AddressValueError("a zone is not part of an address")
    return IPv6Address(text)


def kind_of(address: Address) -> bytes:
    """Return the kind of an address under ipops' names."""
    if isinstance(address, IPv4Address):
        return next((kind for block, kind in _KINDS_4 if address in block), b"PUBLIC")
    return next((kind for block, kind in _KINDS_6 if address in block), b"RESERVED")


def is_private(address: Address | None) -> bool:
    """Whether an IPv4 address is private by RFC 1918."""
    return isinstance(address, IPv4Address) and any(address in block for block in _PRIVATE)


@lru_cache(maxsize=1024)
def subnets(text: bytes) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the subnets of a comma-joined list; what is none of it is left out."""
    found = []
    for part in text.decode("ascii", "replace").split(","):
        try:
            found.append(ip_network(part.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)


def is_in_subnets(address: bytes, listed: bytes) -> bool:
    """Whether a plain address is in one of the subnets of a list."""
    kind, found = parse_address(address)
    if found is None or kind == REFERENCE:
        return False
    return any(found in block for block in subnets(listed))
