"""How a run of a script function ended: DONE, FAILED, or Suspended at a wait.

DONE and FAILED are plain integers because one of them is made for every message.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from lua.wait import Wait

DONE: Final = 0
FAILED: Final = 1


class Suspended:
    """A script function that waits: resume or cancel it exactly once.

    `coroutine` is its number in the runtime, `context` what it was started with, `wait` the work.
    """

    __slots__ = ("context", "coroutine", "wait")

    def __init__(self, context: object, coroutine: int, wait: Wait) -> None:
        self.context = context
        self.coroutine = coroutine
        self.wait = wait


Outcome: TypeAlias = Literal[0, 1] | Suspended
