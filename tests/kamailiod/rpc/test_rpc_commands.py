"""What the core's commands answer."""

import os
import signal


def test_processes(ask):
    assert ask("core.psx") == [{"IDX": 1, "PID": os.getpid(), "DSC": "SIP worker 1"}]
    assert ask("core.ps") == [os.getpid(), "SIP worker 1"]
    statuses = [(entry["rank"], entry["status"]) for entry in ask("core.psa")]
    assert statuses == [(0, 0), (1, 1), (2, 0), (-1, 0), (-2, 0)]


def test_shared_memory_in_units(ask):
    assert ask("core.shmmem")["total"] == 32 << 20
    assert ask("core.shmmem", "m") == {
        "total": 32, "free": 29, "used": 2, "real_used": 3, "max_used": 4, "fragments": 1,
    }  # fmt: skip
    assert ask("core.shmmem", "x")["code"] == 500
    dialog = {
        "total": 12, "free": 11, "used": 1, "real_used": 1, "max_used": 2, "fragments": 0,
        "failures": 7,
    }  # fmt: skip
    assert ask("core.shmmem", "m", "dialog") == dialog
    assert ask("core.shmmem", "m", "each")["dialog"] == dialog
    assert list(ask("core.shmmem", "b", "each")) == ["dialog", "location"]
    assert ask("core.shmmem", "b", "none")["message"].endswith("(dialog|location)")


def test_kill_ends_the_server(ask, view):
    ask("core.kill")
    ask("core.kill", 2)
    assert view.kill.__self__ == [signal.SIGTERM, signal.SIGINT]


def test_facts(ask):
    assert ask("core.version").startswith("kamailiod 0.1.0 (")
    assert ask("core.modules") == ["sl", "tm"]
    assert ask("core.arg") == ["kamailiod", "-f", "x.cfg"]
    assert ask("core.ppdefines") == ["WITH_X"]
    assert ask("core.flags") == "pure python"
    socket = ask("core.sockets_list")[0]["socket"]
    assert (socket["proto"], socket["address"], socket["port"]) == ("udp", "127.0.0.1", "15990")


def test_help_of_every_command(ask):
    for method in ask("system.listMethods"):
        assert ask("system.methodHelp", method).endswith((".", "..."))


def test_statistics(ask, statistics):
    statistics.open(1)
    statistics.counter("core:drop_requests")(3)
    assert ask("stats.get_statistics", "core:drop_requests") == ["core:drop_requests = 3"]
    assert ask("stats.fetch", "drop_requests") == {"core.drop_requests": "3"}
    assert ask("stats.fetchn", "core.drop_requests") == {"core.drop_requests": 3}
    assert len(ask("stats.fetch", "all")) == len(statistics.names)
    assert ask("stats.reset_statistics", "core:drop_requests") == {}
    assert ask("stats.fetchn", "drop_requests") == {"core.drop_requests": 0}
    assert ask("stats.fetchn", "core:")["core.rcv_requests"] == 0
