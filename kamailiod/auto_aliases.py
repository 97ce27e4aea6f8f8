"""The names of the listening addresses, which count as this server's own (Kamailio's auto_aliases).

Owns where such names come from: the listen lines and the machine's hosts file.  The DNS is not
asked for the names of addresses, because a start must not wait for it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from kamailiod.cfg import Address, Settings
from kamailiod.net.address import ListenAddress
from kamailiod.net.resolver import is_literal

HOSTS_FILE = "/etc/hosts"


def auto_aliases(
    settings: Settings, addresses: Iterable[ListenAddress], hosts_file: str = HOSTS_FILE
) -> tuple[Address, ...]:
    """Return the names in the listen lines, and the hosts file's for each address, with ports.

    There are none when auto_aliases is off.
    """
    if not settings.auto_aliases:
        return ()
    names = _names_by_address(hosts_file)
    bound = [
        (address.transport.decode(), address.host.decode(), address.port) for address in addresses
    ]
    found = [
        Address(transport, names[host], port) for transport, host, port in bound if host in names
    ]
    no_names = {"*", *(name for _, name in socket.if_nameindex())}
    for entry in settings.listen:
        if not is_literal(entry.host.encode()) and entry.host not in no_names:
            found += [
                Address(transport, entry.host, port)
                for transport, _, port in bound
                if entry.proto in ("", transport) and port == (entry.port or settings.port)
            ]
    return tuple(dict.fromkeys(found))


def _names_by_address(path: str) -> dict[str, str]:
    """Return the first name of each address; a file that cannot be read names none."""
    names: dict[str, str] = {}
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.partition("#")[0].split()
                if len(words) > 1:
                    names.setdefault(words[0], words[1])
    except OSError:
        return {}
    return names
