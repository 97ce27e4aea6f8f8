"""What a waiting function hands back: the description of work that is yet to be awaited.

It must not know any event loop: whoever runs the script decides how the work is awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class Wait:
    """Work a script waits for: what `awaitable_factory()` makes is awaited and gives the value."""

    __slots__ = ("awaitable_factory",)

    def __init__(self, awaitable_factory: Callable[[], Awaitable[object]]) -> None:
        self.awaitable_factory = awaitable_factory
