"""What modparam("mqueue", "mqueue", "name=q;size=20;addmode=2") says of one queue.

Owns the syntax; it makes no queue.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm.stores.queue import Uniqueness

_NUMBERS = ("size", "dbmode", "addmode")


@dataclass(frozen=True, slots=True)
class QueueDefinition:
    """One queue; `size` is the most items, 0 for as many as the memory holds.

    `dbmode`: 1 read at the start and written at the end, 2 written only, 3 read only.
    """

    name: str
    size: int = 0
    dbmode: int = 0
    uniqueness: Uniqueness = Uniqueness.NONE

    @property
    def is_read(self) -> bool:
        """Whether its items come from the database."""
        return self.dbmode in (1, 3)

    @property
    def is_written(self) -> bool:
        """Whether its items are to be in the database after the end."""
        return self.dbmode in (1, 2)


def parse_definition(text: str) -> QueueDefinition:
    """Return the queue that a modparam defines; raises ValueError for one that is none."""
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    given = {name.strip().lower(): value.strip() for name, _, value in parts}
    name = given.pop("name", "")
    if not name or not all(key in _NUMBERS and value.isdecimal() for key, value in given.items()):
        raise ValueError(f"mqueue: invalid parameter [{text}]")
    size, dbmode, addmode = (int(given.get(key, "0")) for key in _NUMBERS)
    return defined(name, size, dbmode, addmode)


def defined(name: str, size: int, dbmode: int, addmode: int) -> QueueDefinition:
    """Return a queue by its values; raises ValueError for numbers without a meaning."""
    if addmode not in tuple(Uniqueness) or dbmode not in range(4):
        raise ValueError(f"mqueue: queue {name}: addmode is 0 to 2, dbmode is 0 to 3")
    return QueueDefinition(name, size, dbmode, Uniqueness(addmode))
