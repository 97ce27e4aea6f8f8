"""What FEEDBACK and NETWORK pipes go by: the processors' load and the octets that wait to be read.

Owns those numbers for all processes and the PID controller that makes a drop rate of the load.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path

WORDS = 9
"""How many shared words it takes."""

_LOAD, _DROP_RATE, _WAITING, _SETPOINT, _KI, _KP, _KD, _INTEGRAL, _LAST_ERROR = range(WORDS)
_DOUBLE = struct.Struct("<d")
_WORD = struct.Struct("<Q")
_TABLES = ("udp", "udp6", "tcp", "tcp6")

Gains = tuple[float, float, float]


class SystemLoad:
    """Numbers in `words`, written by the timer process (and by commands), read by all."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self.gains = (-25.0, 0.0, 0.0)

    @property
    def gains(self) -> Gains:
        """The gains of the controller: integral, proportional, derivative."""
        return self._get(_KI), self._get(_KP), self._get(_KD)

    @gains.setter
    def gains(self, gains: Gains) -> None:
        for index, gain in zip((_KI, _KP, _KD), gains, strict=True):
            self._set(index, gain)

    @property
    def load(self) -> float:
        """The processors' load, 0 to 1."""
        return self._get(_LOAD)

    @property
    def drop_rate(self) -> float:
        """How many percent of the requests FEEDBACK pipes refuse."""
        return self._get(_DROP_RATE)

    @property
    def waiting(self) -> int:
        """The octets that waited to be read when it was looked last."""
        count: int = self._words[_WAITING]
        return count

    @waiting.setter
    def waiting(self, count: int) -> None:
        self._words[_WAITING] = count

    def set_setpoint(self, percent: int) -> None:
        """Set the load that FEEDBACK pipes aim at."""
        self._set(_SETPOINT, percent / 100)

    def push(self, load: float) -> None:
        """Take a measured load and correct the drop rate by it.

        The integral grows only while the load is too high, or until it is used up: a long quiet
        time cannot be made up for by refusing less than nothing.
        """
        integral_gain, proportional, derivative = self.gains
        error = self._get(_SETPOINT) - load
        change = error - self._get(_LAST_ERROR)
        integral = self._get(_INTEGRAL)
        if integral < 0 or error < 0:
            integral += error
        output = proportional * error + integral_gain * integral + derivative * change
        self._set(_LOAD, load)
        self._set(_INTEGRAL, integral)
        self._set(_LAST_ERROR, error)
        self._set(_DROP_RATE, min(max(output, 0.0), 100.0))

    def measure(self, ports: Collection[int]) -> None:
        """Measure the processors' load, and what waits in the sockets of these local ports."""
        self.push(processor_load())
        self.waiting = waiting_octets(ports)

    def shown_gains(self) -> str:
        """Return the gains as the commands show them."""
        integral, proportional, derivative = self.gains
        return f"ki[{integral:f}] kp[{proportional:f}] kd[{derivative:f}] "

    def _get(self, index: int) -> float:
        value: float = _DOUBLE.unpack(_WORD.pack(self._words[index]))[0]
        return value

    def _set(self, index: int, value: float) -> None:
        self._words[index] = _WORD.unpack(_DOUBLE.pack(value))[0]


def processor_load() -> float:
    """Return the load of all processors since the last call, 0 to 1; the first call gives 0."""
    import psutil  # not needed by most processes, and slow to import

    return psutil.cpu_percent() / 100


def waiting_octets(ports: Collection[int], folder: str = "/proc/net") -> int:
    """Return how many octets wait in the sockets of these local ports, 0 where nobody tells."""
    return sum(_waiting_in(Path(folder, name), ports) for name in _TABLES)


def _waiting_in(table: Path, ports: Collection[int]) -> int:
    # sl local_address rem_address st tx_queue:rx_queue ...; all numbers are hexadecimal.
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return 0
    rows = (line.split() for line in lines)
    return sum(
        int(row[4].partition(":")[2], 16)
        for row in rows
        if len(row) > 4 and int(row[1].rpartition(":")[2], 16) in ports
    )
