"""The metrics page, read back by Prometheus's own parser."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kamailiod.metrics.exposition import Exposition, Gauge


@pytest.fixture
def samples(statistics, table):
    def read(*gauges, accept=""):
        page, _ = Exposition(statistics, table, gauges, {"version": "1.2"}).render(accept)
        found = {}
        for family in text_string_to_metric_families(page.decode()):
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                assert key not in found, "a sample twice"
                found[key] = sample.value
        return found

    return read


def test_requests_by_method_and_worker(statistics, samples):
    statistics.open(2)
    statistics.counter("core:rcv_requests_invite")(3)
    statistics.counter("core:unsupported_methods")(2)
    found = samples()
    name = "kamailiod_requests_total"
    assert found[name, ("method", "INVITE"), ("rank", "2")] == 3
    assert found[name, ("method", "INVITE"), ("rank", "1")] == 0
    assert found[name, ("method", "other"), ("rank", "2")] == 2
    assert (name, ("method", "INVITE"), ("rank", "-1")) not in found


def test_replies_by_class(statistics, samples):
    statistics.open(1)
    statistics.counter("core:rcv_replies_2xx")(4)
    statistics.counter("core:rcv_replies_2xx_reg")(4)
    statistics.counter("core:rcv_replies_486")(1)
    found = samples()
    assert found["kamailiod_replies_total", ("class", "2xx"), ("rank", "1")] == 4
    by_method = "kamailiod_replies_by_method_total"
    assert found[by_method, ("class", "2xx"), ("method", "REGISTER")] == 4
    assert found["kamailiod_core_rcv_replies_486_total", ("rank", "1")] == 1


def test_every_statistic_is_shown_once(statistics, samples):
    statistics.open(3)
    statistics.counter("registrar:accepted_regs")(9)
    statistics.counter("tm:inuse_transactions")(2)
    found = samples()
    assert found["kamailiod_registrar_accepted_regs_total", ("rank", "-1")] == 9
    assert found["kamailiod_tm_inuse_transactions", ("rank", "-1")] == 2
    assert found["kamailiod_info", ("version", "1.2")] == 1
    shown = {name for name, *_ in found}
    for statistic in ("core:steered", "core:handed_over", "core:script_errors", "core:waits"):
        assert f"kamailiod_{statistic.replace(':', '_')}_total" in shown


def test_handling_histogram(statistics, samples):
    statistics.open(1)
    observe = statistics.handling()
    observe(0.0003)
    observe(0.02)
    observe(60.0)
    found = samples()
    bucket = "kamailiod_handling_seconds_bucket"
    assert found[bucket, ("le", "0.0005")] == 1
    assert found[bucket, ("le", "5.0")] == 2
    assert found[bucket, ("le", "+Inf")] == 3
    assert found["kamailiod_handling_seconds_count",] == 3
    assert found["kamailiod_handling_seconds_sum",] == pytest.approx(60.0203)


def test_processes(table, samples):
    table.open(1)
    found = samples()
    labels = (("name", "sip1"), ("rank", "1"))
    assert found["kamailiod_process_up", *labels] == 1
    assert found["kamailiod_process_up", ("name", "sip2"), ("rank", "2")] == 0
    assert found["kamailiod_process_starts_total", *labels] == 1
    assert found["kamailiod_process_resident_memory_bytes", *labels] > 1 << 20
    cpu = found["kamailiod_process_cpu_seconds_total", ("mode", "user"), *labels]
    assert 0 < cpu <= os.times().user + 1


def test_gauges(samples):
    one = Gauge("kamailiod_one", "One number.", lambda: 5)
    many = Gauge("kamailiod_dialogs", "Dialogs.", lambda: {"early": 1, "confirmed": 2}, "state")
    found = samples(one, many)
    assert found["kamailiod_one",] == 5
    assert found["kamailiod_dialogs", ("state", "confirmed")] == 2


def test_openmetrics_on_request(statistics, table):
    page, content_type = Exposition(statistics, table).render("application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
