"""From `listen` lines to addresses: host names, interfaces, both transports, advertised parts.

Owns that expansion; binding is in net/listening.py.
"""

from __future__ import annotations

import socket

from kamailiod.cfg import Listen, Settings
from kamailiod.net.address import ListenAddress

SUPPORTED = ("udp", "tcp")


class ListenError(Exception):
    """A listen line names what this machine or this server does not have."""


def plan(settings: Settings, listen: tuple[Listen, ...], tcp: bool) -> list[ListenAddress]:
    """Return the addresses to bind, in config order; without any, all of this machine's IPv4."""
    addresses: list[ListenAddress] = []
    entries: list[tuple[str, str, int, Listen | None]] = [
        (entry.proto, host, entry.port or settings.port, entry)
        for entry in listen
        for host in _hosts(entry.host)
    ]
    if not entries:
        entries = [("", host, settings.port, None) for host in _machine_hosts()]
    for proto, host, port, entry in entries:
        for transport in (proto,) if proto else SUPPORTED:
            if transport == "tcp" and not tcp:
                continue
            if transport not in SUPPORTED:
                raise ListenError(f"transport {transport} is not supported yet: {host}:{port}")
            advertise = entry.advertise if entry else None
            addresses.append(ListenAddress(
                len(addresses), transport.encode(), host.encode(), port,
                (advertise.host if advertise else settings.advertised_address or "").encode(),
                (advertise.port if advertise else settings.advertised_port) or 0,
                (entry.name if entry else "").encode(),
            ))  # fmt: skip
    return addresses


def _hosts(name: str) -> list[str]:
    if name in ("*", "0.0.0.0"):
        return _machine_hosts()
    import psutil  # only when a listen line may name an interface

    try:
        socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
        return [name]
    except OSError:
        pass
    interface = psutil.net_if_addrs().get(name)
    if interface is not None:
        return [a.address for a in interface if a.family == socket.AF_INET]
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ListenError(f"cannot resolve listen address {name}: {error.strerror}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _machine_hosts() -> list[str]:
    import psutil  # only when no address is configured

    return [
        address.address
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family == socket.AF_INET
    ]
