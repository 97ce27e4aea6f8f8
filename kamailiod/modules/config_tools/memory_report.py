"""What a process and the shared stores use of memory, as lines for the log.

Owns the wording only.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping

from shm import HashMap, Usage

_PAGE = resource.getpagesize()


def private_summary() -> str:
    """Return one line on this process's own memory."""
    size, resident, shared = _pages()
    return (
        f"private memory: {resident * _PAGE} bytes resident, {shared * _PAGE} of them shared,"
        f" {size * _PAGE} of addresses"
    )


def private_status() -> Iterator[str]:
    """Return lines on this process's own memory: what it uses, and the most it has used."""
    yield private_summary()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield f"private memory: at most {most * 1024} bytes were resident"


def shared_summary(maps: Mapping[str, HashMap]) -> str:
    """Return one line on all shared stores."""
    usages = [table.usage() for table in maps.values()]
    total, used = sum(usage.total for usage in usages), sum(usage.real_used for usage in usages)
    return f"shared memory: {used} of {total} bytes used in {len(usages)} stores"


def shared_status(maps: Mapping[str, HashMap]) -> Iterator[str]:
    """Return lines on the shared stores, one each."""
    yield shared_summary(maps)
    for name, table in maps.items():
        yield _store(name, table.usage())


def _store(name: str, usage: Usage) -> str:
    return (
        f"shared memory of {name}: {usage.real_used} of {usage.total} bytes used, at most"
        f" {usage.max_used}, {usage.fragments} free blocks, {usage.failures} failures"
    )


def _pages() -> tuple[int, int, int]:
    with open("/proc/self/statm", encoding="ascii") as file:
        size, resident, shared = file.read().split()[:3]
    return int(size), int(resident), int(shared)
