"""Writers of a map that may be killed at any instant, and what must hold of it whenever they were.

Used by test_kill.py, where they die at chosen lines, and by tests/bench/kill_store.py, where they
are killed at random instants.  A writer that finds something wrong exits with a status of its own.
"""

import os
import random
from zlib import crc32

from shm import Counters, HashMap

WRITERS = 3
KEYS = 24
COLUMNS = ("operations", "bumps", "refused", "read")
NO_ROOM, TORN, CHANGED = 3, 4, 5


def checked(body: bytes) -> bytes:
    """Return a value that shows whether it is whole."""
    return b"%08x" % crc32(body) + body


def is_whole(value: bytes) -> bool:
    """Whether a value is one that `checked` gave."""
    return value[:8] == b"%08x" % crc32(value[8:])


def weigh(value: bytes) -> int:
    """Give the weight of a value: its first octet."""
    return value[0]


def plan(writer: int, number: int) -> tuple[bytes, bytes | None]:
    """Give the key and value (None: delete) of a writer's operation: the same whoever asks."""
    chance = random.Random(writer * 1_000_003 + number)
    key = b"%d:%d" % (writer, chance.randrange(KEYS))
    if chance.random() < 0.3:
        return key, None
    return key, checked(bytes([chance.randrange(256)]) * chance.randrange(700))


def write(records: HashMap, counters: Counters, writer: int) -> None:
    """Go on with a writer's operations, acknowledging each, for ever."""
    row = counters.row(writer)
    while True:
        number = row[0] + 1
        key, value = plan(writer, number)
        if value is None:
            records.delete(key)
        elif not records.put(key, value, number):
            os._exit(NO_ROOM)
        row[0] = number
        if not records.update(b"shared", add_one):
            os._exit(NO_ROOM)
        row[1] += 1


def add_one(old: bytes | None, expires: int) -> tuple[bytes, int]:
    """Add 1 to a number in decimal."""
    return b"%d" % (int(old or b"0") + 1), expires


def overfill(records: HashMap, counters: Counters, writer: int) -> None:
    """Write more than there is room for, for ever: what is refused changes nothing."""
    row, chance = counters.row(writer), random.Random(os.getpid())
    while True:
        key = b"%d:%d" % (writer, chance.randrange(400))
        before = records.get(key)
        value = checked(b"%c" % chance.randrange(256) * chance.randrange(1500))
        written = records.put(key, value) if chance.random() < 0.9 else records.delete(key)
        after = records.get(key)
        if written and after not in (value, None):
            os._exit(CHANGED)
        if not written:
            row[2] += 1
            if after != before:
                os._exit(CHANGED)
        row[0] += 1


def read(records: HashMap, counters: Counters) -> None:
    """Read everything in both ways, for ever: no value is torn."""
    row = counters.row(WRITERS)
    while True:
        for key, value in records.items():
            row[3] += 1
            if key != b"shared" and not is_whole(value):
                os._exit(TORN)
        for writer in range(WRITERS):
            for number in range(KEYS):
                value = records.get(b"%d:%d" % (writer, number))
                if value is not None and not is_whole(value):
                    os._exit(TORN)


def expected(writer: int, done: int) -> dict[bytes, bytes]:
    """Give what a writer's keys hold after so many operations."""
    model: dict[bytes, bytes] = {}
    for number in range(1, done + 1):
        key, value = plan(writer, number)
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
    return model


def differences(records: HashMap, counters: Counters, kills: int) -> list[str]:
    """Name what an acknowledged operation left other than it should, while nobody writes."""
    found: list[str] = []
    bumps = counters.total("bumps")
    shared = int(records.get(b"shared") or b"0")
    if not bumps <= shared <= bumps + kills:
        found.append(f"{bumps} times counted, {kills} kills, and the number is {shared}")
    for writer in range(WRITERS):
        done = counters.values("operations")[writer]
        model, held = expected(writer, done), dict(records.items(b"%d:" % writer))
        # The operation after the last acknowledged one may have been done, or not.
        key, value = plan(writer, done + 1)
        if held.pop(key, None) not in (model.pop(key, None), value):
            found.append(f"{key!r} is neither as before nor as after operation {done + 1}")
        if held != model:
            found.append(f"writer {writer}: {set(held.items()) ^ set(model.items())}")
    return found
