"""Which worker has the stream connection to a remote address, for all processes.

Owns the entries in a shared map; the connections themselves are in stream.py.
"""

from __future__ import annotations

from shm import HashMap


class ConnectionDirectory:
    """Connection numbers by remote (transport, host, port), in shared memory.

    An entry may outlive its connection when a worker is killed: what is sent there then opens a
    new one.
    """

    __slots__ = ("_map",)

    def __init__(self, table: HashMap) -> None:
        self._map = table

    def find(self, transport: bytes, host: bytes, port: int) -> int:
        """Return the number of the connection to a remote address, 0 when there is none."""
        found = self._map.get(_key(transport, host, port))
        return int.from_bytes(found, "big") if found is not None else 0

    def add(self, transport: bytes, host: bytes, port: int, number: int) -> None:
        """Enter a new connection; an older one to the same address is forgotten."""
        self._map.put(_key(transport, host, port), number.to_bytes(8, "big"))

    def remove(self, transport: bytes, host: bytes, port: int, number: int) -> None:
        """Strike a closed connection out, unless a newer one has taken its place."""
        if self.find(transport, host, port) == number:
            self._map.delete(_key(transport, host, port))

    def remove_all_of(self, rank: int, workers: int) -> None:
        """Strike out what a worker had before it was killed."""
        for key, value in list(self._map.items()):
            if int.from_bytes(value, "big") % workers == rank - 1:
                self._map.delete(key)


def _key(transport: bytes, host: bytes, port: int) -> bytes:
    return b"%s:%s:%d" % (transport, host, port)
