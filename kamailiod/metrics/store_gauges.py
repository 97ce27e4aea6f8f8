"""Gauges over the shared stores: how much memory they use, how many users are registered.

Owns names and sums; the stores count themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields

from kamailiod.metrics.exposition import Gauge
from shm import LocationCounts, Usage


def total_usage(usages: Iterable[Usage]) -> Usage:
    """Return the sum of the use of several stores."""
    listed = list(usages)
    sums = {
        field.name: sum(getattr(usage, field.name) for usage in listed) for field in fields(Usage)
    }
    return Usage(**sums)


def shared_memory_gauge(usage: Callable[[], Usage]) -> Gauge:
    """Return the metric kamailiod_shared_memory_bytes, by what the memory is."""

    def read() -> dict[str, float]:
        now = usage()
        return {"total": now.total, "used": now.real_used, "free": now.free, "peak": now.max_used}

    return Gauge(
        "kamailiod_shared_memory_bytes", "Memory of the shared stores.", read, label="state"
    )


def registrations_gauge(counts: Callable[[], Iterable[LocationCounts]]) -> Gauge:
    """Return the metric kamailiod_registered: users and contacts, expired ones not yet removed."""

    def read() -> dict[str, float]:
        tables = list(counts())
        return {
            "users": sum(table.records for table in tables),
            "contacts": sum(table.contacts for table in tables),
        }

    return Gauge("kamailiod_registered", "What is registered now.", read, label="what")
