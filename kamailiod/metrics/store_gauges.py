"""Metrics of the shared stores: how much memory they use, how many users are registered.

Owns names and labels; the stores count themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from kamailiod.metrics.exposition import Gauge
from shm import LocationCounts, Usage


def shared_memory_gauges(usages: Callable[[], Mapping[str, Usage]]) -> list[Gauge]:
    """Return the metrics of memory, of all stores together and of each by its name."""

    def all_stores() -> dict[str, float]:
        return _states(Usage.summed(usages().values()))

    def each() -> dict[tuple[str, ...], float]:
        return {
            (store, state): number
            for store, usage in usages().items()
            for state, number in _states(usage).items()
        }

    def refused() -> dict[str, float]:
        return {store: usage.failures for store, usage in usages().items()}

    return [
        Gauge("kamailiod_shared_memory_bytes", "Memory of the shared stores.", all_stores, "state"),
        Gauge("kamailiod_store_bytes", "Memory of each shared store.", each, ("store", "state")),
        Gauge(
            "kamailiod_store_refused", "Writes that found no room in a shared store.", refused,
            "store", counts=True,
        ),
    ]  # fmt: skip


def _states(usage: Usage) -> dict[str, float]:
    return {
        "total": usage.total, "used": usage.real_used, "free": usage.free, "peak": usage.max_used,
    }  # fmt: skip


def registrations_gauge(counts: Callable[[], Iterable[LocationCounts]]) -> Gauge:
    """Return the metric kamailiod_registered: users and contacts, expired ones not yet removed."""

    def read() -> dict[str, float]:
        tables = list(counts())
        return {
            "users": sum(table.records for table in tables),
            "contacts": sum(table.contacts for table in tables),
        }

    return Gauge("kamailiod_registered", "What is registered now.", read, label="what")
