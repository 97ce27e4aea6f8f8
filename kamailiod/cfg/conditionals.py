"""The nesting of #!ifdef ... #!else ... #!endif in one file: owns which text counts."""

from .faults import Findings
from .source import Position


class Conditionals:
    """A stack of open conditions; `active` says whether the text at hand counts."""

    __slots__ = ("_findings", "_stack", "active")

    def __init__(self, findings: Findings) -> None:
        self.active = True
        self._findings = findings
        self._stack: list[_Condition] = []

    def open(self, position: Position, holds: bool) -> None:
        """An #!if... that holds or not."""
        self._stack.append(_Condition(position, holds, self.active))
        self.active = self.active and holds

    def turn(self, directive: str, position: Position) -> None:
        """An #!else or #!endif."""
        if not self._stack:
            self._findings.fault(position, f"#!{directive} without #!ifdef")
            return
        condition = self._stack[-1]
        if directive == "endif":
            self._stack.pop()
            self.active = condition.outer
        elif condition.turned:
            self._findings.fault(position, "second #!else of one #!ifdef")
        else:
            condition.turned = True
            self.active = condition.outer and not condition.holds

    def close(self) -> None:
        """The end of the file: what is still open is a fault."""
        for condition in self._stack:
            self._findings.fault(condition.position, "#!ifdef without #!endif")
        self._stack.clear()


class _Condition:
    __slots__ = ("holds", "outer", "position", "turned")

    def __init__(self, position: Position, holds: bool, outer: bool) -> None:
        self.position = position
        self.holds = holds
        self.outer = outer
        self.turned = False
