"""The page that Prometheus reads: statistics, stores, processes and shared memory as metrics.

Owns metric names, labels and help texts; numbers come from Statistics, ProcessTable and gauges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from kamailiod.metrics import families
from kamailiod.metrics.core_statistics import REQUEST_STATISTICS
from kamailiod.metrics.process_table import ProcessTable
from kamailiod.metrics.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number, read at each scrape, or several by the values of one label or of more.

    With `counts` it is a counter: it never goes down.
    """

    name: str
    help: str
    read: Callable[[], float | Mapping[str, float] | Mapping[tuple[str, ...], float]]
    label: str | tuple[str, ...] = ""
    counts: bool = False


class Exposition:
    """Renders all metrics; `gauges` are what others know, `info` labels what runs here."""

    def __init__(
        self,
        statistics: Statistics,
        processes: ProcessTable,
        gauges: Sequence[Gauge] = (),
        info: Mapping[str, str] | None = None,
    ) -> None:
        self._statistics = statistics
        self._processes = processes
        self._gauges = tuple(gauges)
        self._info = dict(info or {})
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, in the format that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; called by the registry."""
        if self._info:
            yield InfoMetricFamily("kamailiod", "What runs here.", value=self._info)
        yield self._requests()
        yield from self._replies()
        for name in self._statistics.names:
            if name not in families.OWN_FAMILY and name not in self._statistics.derived:
                yield self._statistic(name)
        yield self._handling()
        yield from self._process_metrics()
        for gauge in self._gauges:
            yield _gauge_family(gauge)

    def _by_rank(self, name: str) -> Iterable[tuple[str, int]]:
        """Return what each process counted; others than SIP workers only when they did."""
        found = self._statistics.by_rank(name)
        return [(str(rank), value) for rank, value in found.items() if rank > 0 or value]

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "kamailiod_requests", "SIP requests received.", labels=("method", "rank")
        )
        columns = {
            method.decode(): name
            for method, name in REQUEST_STATISTICS.items()
            if name in self._statistics
        }
        columns["other"] = "core:unsupported_methods"
        for method, name in columns.items():
            for rank, value in self._by_rank(name):
                family.add_metric((method, rank), value)
        return family

    def _replies(self) -> Iterator[Metric]:
        classes = CounterMetricFamily(
            "kamailiod_replies", "SIP replies received.", labels=("class", "rank")
        )
        for reply_class, name in families.REPLY_CLASSES.items():
            for rank, value in self._by_rank(name):
                classes.add_metric((reply_class, rank), value)
        yield classes
        methods = CounterMetricFamily(
            "kamailiod_replies_by_method", "SIP replies received.", labels=("class", "method")
        )
        for (reply_class, method), name in families.REPLY_METHODS.items():
            methods.add_metric((reply_class, method), sum(self._statistics.by_rank(name).values()))
        yield methods

    def _statistic(self, name: str) -> Metric:
        kind = GaugeMetricFamily if self._statistics.is_gauge(name) else CounterMetricFamily
        family = kind(families.metric_name(name), families.help_text(name), labels=("rank",))
        for rank, value in self._by_rank(name):
            family.add_metric((rank,), value)
        return family

    def _handling(self) -> Metric:
        snapshot = self._statistics.handling_snapshot()
        buckets = [
            (str(bound), float(count))
            for bound, count in zip(snapshot.bounds, snapshot.buckets, strict=False)
        ]
        buckets.append(("+Inf", float(snapshot.count)))
        return HistogramMetricFamily(
            "kamailiod_handling_seconds",
            "How long a worker was busy with one message, waits not counted.",
            buckets=buckets,
            sum_value=snapshot.sum,
        )

    def _process_metrics(self) -> Iterator[Metric]:
        """Yield CPU time, memory and life of each process."""
        import psutil

        labels = ("rank", "name")
        up = GaugeMetricFamily("kamailiod_process_up", "Whether the process runs.", labels=labels)
        starts = CounterMetricFamily(
            "kamailiod_process_starts", "How often the process was started.", labels=labels
        )
        cpu = CounterMetricFamily(
            "kamailiod_process_cpu_seconds", "CPU time used.", labels=(*labels, "mode")
        )
        memory = GaugeMetricFamily(
            "kamailiod_process_resident_memory_bytes",
            "Memory in use, that shared with other processes included.",
            labels=labels,
        )
        for entry in self._processes.entries():
            values = (str(entry.role.rank), entry.role.name)
            up.add_metric(values, entry.alive)
            starts.add_metric(values, entry.starts)
            try:
                process = psutil.Process(entry.pid)
                times, resident = process.cpu_times(), process.memory_info().rss
            except (psutil.Error, ValueError):
                continue
            cpu.add_metric((*values, "user"), times.user)
            cpu.add_metric((*values, "system"), times.system)
            memory.add_metric(values, resident)
        yield from (up, starts, cpu, memory)


def _gauge_family(gauge: Gauge) -> Metric:
    value = gauge.read()
    kind = CounterMetricFamily if gauge.counts else GaugeMetricFamily
    if isinstance(value, Mapping):
        labels = (gauge.label,) if isinstance(gauge.label, str) else gauge.label
        family = kind(gauge.name, gauge.help, labels=labels)
        for key, number in value.items():
            family.add_metric((key,) if isinstance(key, str) else key, number)
        return family
    return kind(gauge.name, gauge.help, value=value)
