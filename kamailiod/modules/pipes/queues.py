"""Which pipe the requests of a method go through: the queues of ratelimit.

Owns the order in which queues are looked at; it knows no pipe but by number.
"""

from __future__ import annotations

from shm import HashMap, Published

ANY = b"*"

Queue = tuple[int, bytes]
"""The number of a pipe, and a method or ANY."""


class Queues:
    """At most `MOST` queues, seen by all processes; their number is fixed once they are set."""

    MOST = 10

    def __init__(self, records: HashMap) -> None:
        self._published: Published[tuple[Queue, ...]] = Published(records, b"queues", _made, ())

    def all(self) -> tuple[Queue, ...]:
        """Return the queues in their order."""
        return self._published.get()

    def set_all(self, queues: tuple[Queue, ...]) -> None:
        """Set all queues."""
        self._published.set(queues)

    def replace(self, number: int, queue: Queue) -> bool:
        """Put a queue in the place of another; False when there is none of this number."""
        queues = list(self.all())
        if not 0 <= number < len(queues):
            return False
        queues[number] = queue
        return self._published.set(queues)

    def pipe_of(self, method: bytes) -> int:
        """Return the pipe of the first queue that takes a method, -1 when none does."""
        wanted = method.upper()
        for pipe, own in self._published.get():
            if own in (ANY, wanted):
                return pipe
        return -1


def _made(value: object) -> tuple[Queue, ...]:
    assert isinstance(value, list)
    return tuple((pipe, method) for pipe, method in value)
