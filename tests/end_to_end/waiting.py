"""Waiting for a condition: the only way these tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], what: str, seconds: float = 8.0,
    explain: Callable[[], str] = str,
) -> T:  # fmt: skip
    """Return the condition's value once it is true; fails with `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}\n{explain()}"
        time.sleep(0.01)
    return value
