"""What can be wrong with a config: owns Fault, the list that collects them, and ConfigError."""

from collections.abc import Sequence
from dataclasses import dataclass

from .source import Position


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a config file, at a line and column that count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(Exception):
    """The config cannot be used; `faults` names every reason, in the order of the files."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Findings:
    """The faults and warnings met so far; a fault makes the config unusable, a warning does not."""

    __slots__ = ("faults", "warnings")

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def fault(self, position: Position, message: str) -> None:
        """Note a fault at position."""
        _append(self.faults, position, message)

    def warn(self, position: Position, message: str) -> None:
        """Note a warning at position."""
        _append(self.warnings, position, message)


def _append(found: list[Fault], position: Position, message: str) -> None:
    found.append(Fault(position.file, position.line, position.column, message))
