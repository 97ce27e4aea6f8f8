"""The Grafana dashboard asks for metrics that there are."""

import json
import os
import re
from pathlib import Path

from kamailiod.loading import module_classes
from kamailiod.metrics.core_statistics import CORE_STATISTICS
from kamailiod.metrics.exposition import Exposition
from kamailiod.metrics.statistics import Statistics
from kamailiod.metrics.store_gauges import registrations_gauge, shared_memory_gauges
from shm import LocationCounts, Usage
from workers import process_table

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def page(table):
    kinds = module_classes().values()
    names = [*CORE_STATISTICS, *(name for kind in kinds for name in kind.statistics)]
    gauges = {name for kind in kinds for name in getattr(kind, "gauges", ())}
    statistics = Statistics.create(
        f"test-{os.getpid()}-dash",
        names,
        process_table(2),
        gauges=gauges | {"tm:inuse_transactions"},
    )
    usages = {"a": Usage(10, 1, 2, 3, 7, 1, 0), "b": Usage(20, 1, 2, 3, 17, 1, 4)}
    statistics.derive("shmem:used_size", lambda: 2)
    try:
        exposition = Exposition(
            statistics,
            table,
            [
                *shared_memory_gauges(lambda: usages),
                registrations_gauge(lambda: [LocationCounts(1, 2), LocationCounts(10, 20)]),
            ],
        )
        table.open(1)
        return exposition.render()[0].decode()
    finally:
        statistics.close()


def test_every_metric_of_the_dashboard_exists(table):
    shown = set(re.findall(r"^(kamailiod_\w+)", page(table), re.MULTILINE))
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for text in expressions for name in re.findall(r"kamailiod_\w+", text)}
    assert len(asked) > 15
    assert asked <= shown


def test_sums_over_stores(table):
    text = page(table)
    assert 'kamailiod_shared_memory_bytes{state="total"} 30.0' in text
    assert 'kamailiod_shared_memory_bytes{state="free"} 24.0' in text
    assert 'kamailiod_store_bytes{state="total",store="a"} 10.0' in text
    assert 'kamailiod_store_bytes{state="free",store="b"} 17.0' in text
    assert 'kamailiod_store_refused_total{store="b"} 4.0' in text
    assert "shmem" not in text
    assert 'kamailiod_registered{what="users"} 11.0' in text
    assert 'kamailiod_registered{what="contacts"} 22.0' in text
