"""Which IPv4 addresses are nobody's on the Internet: RFC 1918, 6598, 7335.

Owns those blocks; knows no message.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/29")
_RESERVED = ("192.0.0.0/24",)

_REMEMBERED = 4096


class PrivateAddresses:
    """Tells private addresses from public ones; `reserved` adds blocks reserved by the IETF."""

    __slots__ = ("_blocks", "_known")

    def __init__(self, reserved: bool) -> None:
        networks = map(IPv4Network, (*_PRIVATE, *(_RESERVED if reserved else ())))
        self._blocks = [(int(n.network_address), int(n.netmask)) for n in networks]
        self._known: dict[bytes, bool] = {}

    def __contains__(self, host: bytes) -> bool:
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[host] = self._look(host)
        return known

    def _look(self, host: bytes) -> bool:
        try:
            address = int(IPv4Address(host.decode("ascii", "replace")))
        except AddressValueError:
            return False
        return any(address & mask == network for network, mask in self._blocks)
