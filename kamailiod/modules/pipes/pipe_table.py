"""The pipes that all workers share, by name.

Owns pipes in a shared map and their intervals; replying to who was not let in is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kamailiod.modules.pipes.pipe import Algorithm, Pipe, unpack
from kamailiod.modules.pipes.system_load import SystemLoad
from shm import KEEP, Change, HashMap

PASSED, LIMITED, NOT_FOUND, NO_ALGORITHM = 1, -1, -2, 2
"""What `check` gives: Kamailio's return values of pl_check."""


class PipeTable:
    """Pipes by name; `interval` is seconds, `scale` how many times its limit one lets in."""

    def __init__(self, pipes: HashMap, load: SystemLoad, interval: int, scale: int = 1) -> None:
        self._pipes = pipes
        self._load = load
        self._seconds = max(interval, 1)
        self._scale = scale

    def check(self, name: bytes, now: float, limit: int = 0) -> int:
        """Count a request in a pipe: PASSED, LIMITED, NO_ALGORITHM or NOT_FOUND.

        A `limit` above 0 becomes the pipe's.
        """
        interval = int(now) // self._seconds
        load, scale = self._load, self._scale
        result = NOT_FOUND

        def count(old: bytes | None, expires: int) -> Change:
            nonlocal result
            if old is None:
                return KEEP
            pipe = unpack(old)
            pipe.advance(interval)
            if limit > 0:
                pipe.limit = limit
            passed = pipe.lets_in(scale, load.drop_rate, load.waiting)
            result = PASSED if passed else LIMITED
            if pipe.algorithm is Algorithm.NOP:
                result = NO_ALGORITHM
            return pipe.packed(), expires

        self._pipes.update(name, count)
        return result

    def add(self, name: bytes, algorithm: Algorithm, limit: int, now: float) -> bool:
        """Make a pipe unless there is one of this name; False when there is no room."""
        made = Pipe(algorithm, limit, int(now) // self._seconds).packed()
        self._take_setpoint(algorithm, limit)
        return self._pipes.update(name, lambda old, _: (made, 0) if old is None else KEEP)

    def change(self, name: bytes, algorithm: Algorithm, limit: int) -> bool:
        """Give a pipe another algorithm and limit; False when there is none of this name."""

        def change(pipe: Pipe) -> Pipe:
            pipe.algorithm, pipe.limit = algorithm, limit
            return pipe

        changed = self._replace(name, change)
        if changed:
            self._take_setpoint(algorithm, limit)
        return changed

    def reset(self, name: bytes, now: float) -> bool:
        """Let the counters of a pipe start at 0; False when there is none of this name."""
        interval = int(now) // self._seconds
        return self._replace(name, lambda pipe: Pipe(pipe.algorithm, pipe.limit, interval))

    def remove(self, name: bytes) -> bool:
        """Remove a pipe; False when there is none of this name."""
        return self._pipes.delete(name)

    def conflicts(self, name: bytes, limit: int, now: float) -> bool:
        """Whether a FEEDBACK pipe besides this one has another limit."""
        return any(
            pipe.algorithm is Algorithm.FEEDBACK and pipe.limit != limit and other != name
            for other, pipe in self.pipes(now)
        )

    def __contains__(self, name: bytes) -> bool:
        return self._pipes.get(name) is not None

    def find(self, name: bytes, now: float) -> Pipe | None:
        """Return a pipe as it is now."""
        found = self._pipes.get(name)
        return None if found is None else self._now(found, now)

    def pipes(self, now: float) -> Iterator[tuple[bytes, Pipe]]:
        """Go through names and pipes as they are now, blocking nobody."""
        for name, value in self._pipes.items():
            yield name, self._now(value, now)

    def shown_load(self, pipe: Pipe) -> int:
        """Return what the commands show as a pipe's load."""
        if pipe.algorithm is Algorithm.NETWORK:
            return 1 if self._load.waiting > pipe.limit else -1
        if pipe.algorithm is Algorithm.FEEDBACK:
            return int(self._load.drop_rate)
        return pipe.load(self._scale) if pipe.algorithm is Algorithm.RED else 0

    def remove_unused(self, intervals: int, now: float) -> int:
        """Remove the pipes that nothing came through for so many intervals; how many."""
        unused = [name for name, pipe in self.pipes(now) if pipe.unused >= intervals]
        return sum(map(self._pipes.delete, unused))

    def _replace(self, name: bytes, change: Callable[[Pipe], Pipe]) -> bool:
        found = False

        def replace(old: bytes | None, expires: int) -> Change:
            nonlocal found
            if old is None:
                return KEEP
            found = True
            return change(unpack(old)).packed(), expires

        return self._pipes.update(name, replace) and found

    def _take_setpoint(self, algorithm: Algorithm, limit: int) -> None:
        if algorithm is Algorithm.FEEDBACK:
            self._load.set_setpoint(limit)

    def _now(self, value: bytes, now: float) -> Pipe:
        pipe = unpack(value)
        pipe.advance(int(now) // self._seconds)
        return pipe
