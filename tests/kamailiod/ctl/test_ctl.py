"""kamailiod-ctl against a real HTTP server with fake commands."""

import io
import socket
import sqlite3

import pytest

from kamailiod.ctl.__main__ import help_text, main
from kamailiod.ctl.commands import COMMANDS
from tests.kamailiod.ctl.recording_server import RecordingServer

ANSWERS = {
    "auth_db.list": [
        {"username": "alice", "domain": "example.com"},
        {"username": "bob", "domain": ""},
    ],
    "auth_db.add": {},
    "auth_db.rm": {},
    "ul.dump": {
        "Domains": [
            {
                "Domain": {
                    "Domain": "location",
                    "AoRs": [
                        {
                            "Info": {
                                "AoR": "alice",
                                "Contacts": [
                                    {"Contact": {"Address": "sip:a@1", "Expires": 60}},
                                    {"Contact": {"Address": "sip:b@2", "Expires": "expired"}},
                                ],
                            }
                        }
                    ],
                }
            }
        ]
    },
    "ul.lookup": {
        "AoR": "bob",
        "Contacts": [{"Contact": {"Address": "sip:\x1b[2J@1", "Expires": "permanent"}}],
    },
    "ul.rm": {},
    "dlg.list": [
        {"call-id": "x1", "from_uri": "sip:a", "to_uri": "sip:b", "state": 4, "duration": 7}
    ],
    "stats.fetchn": {"core.rcv_requests": 12, "core.drop_requests": 0},
    "core.psa": [{"index": 1, "pid": 7, "status": 1, "rank": 1, "description": "SIP worker 1"}],
    "core.uptime": {"now": "N", "up_since": "S", "uptime": 5},
    "app_lua.reload": {},
    "core.echo": ["a", "b"],
    "t.nested": {"a": [1]},
    "t.fault": (404, "Not there"),
}


@pytest.fixture
def server():
    with RecordingServer(ANSWERS) as running:
        yield running


@pytest.fixture
def ctl(server, capsys):
    def run(*words):
        code = main(["--url", server.url, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("words", "calls", "output"),
    [
        ("add alice secret", [("auth_db.add", "alice", "secret")], "added alice\n"),
        ("add a b c.org", [("auth_db.add", "a", "b", "c.org")], "added a\n"),
        ("rm alice", [("auth_db.rm", "alice")], "removed alice\n"),
        (
            "passwd alice new",
            [("auth_db.list",), ("auth_db.add", "alice", "new", "example.com")],
            "changed the password of alice\n",
        ),
        ("list", [("auth_db.list",)], "USER   DOMAIN\nalice  example.com\nbob\n"),
        ("list example.com", [("auth_db.list",)], "USER   DOMAIN\nalice  example.com\n"),
        (
            "online",
            [("ul.dump",)],
            "USER   CONTACT  EXPIRES  USER AGENT\nalice  sip:a@1       60\n",
        ),
        (
            "ul show bob",
            [("ul.lookup", "location", "bob")],
            "USER  CONTACT     EXPIRES    USER AGENT\nbob   sip:?[2J@1  permanent\n",
        ),
        ("ul rm bob", [("ul.rm", "location", "bob")], "removed the contacts of bob\n"),
        (
            "stats",
            [("stats.fetchn", "all")],
            "STATISTIC          VALUE\ncore.rcv_requests     12\n",
        ),
        (
            "stats core sl:x",
            [("stats.fetchn", "core:", "sl:x")],
            "STATISTIC           VALUE\ncore.rcv_requests      12\ncore.drop_requests      0\n",
        ),
        ("ps", [("core.psa",)], "RANK  PID  STATE  PROCESS\n   1    7  runs   SIP worker 1\n"),
        ("uptime", [("core.uptime",)], "now       N\nup_since  S\nuptime    5\n"),
        ("reload", [("app_lua.reload",)], "the Lua script is being reloaded\n"),
        ("rpc core.echo a -b", [("core.echo", "a", "-b")], "a\nb\n"),
        ("rpc t.nested", [("t.nested",)], '{\n  "a": [\n    1\n  ]\n}\n'),
    ],
)
def test_command(ctl, server, words, calls, output):
    assert ctl(*words.split()) == (0, output, "")
    assert server.calls == calls


def test_calls_are_listed(ctl):
    assert ctl("dlg", "list") == (
        0,
        "CALL  FROM   TO     STATE      SECONDS\nx1    sip:a  sip:b  confirmed        7\n",
        "",
    )


def test_a_password_from_standard_input(ctl, server, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))
    assert ctl("add", "alice", "-")[0] == 0
    assert server.calls == [("auth_db.add", "alice", "from stdin")]


def test_no_password_on_standard_input(ctl, server, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert ctl("add", "alice", "-")[0] == 2
    assert server.calls == []


def test_a_password_is_changed_only_where_there_is_one(ctl, server):
    assert ctl("passwd", "carol", "x") == (1, "", "error 404: no such subscriber: carol\n")
    assert ctl("passwd", "alice@other.org", "x")[0] == 1
    assert server.calls == [("auth_db.list",)] * 2


def test_tables_are_made_without_a_server(ctl, server, tmp_path):
    url = f"sqlite:///{tmp_path}/k.db"
    assert ctl("create_tables", url, "acc", "dialog") == (0, "acc is there\ndialog is there\n", "")
    assert ctl("create_tables", url)[0] == 0
    with sqlite3.connect(tmp_path / "k.db") as connection:
        rows = connection.execute("SELECT table_version FROM version WHERE table_name = 'location'")
        assert rows.fetchall() == [(9,)]
    connection.close()
    code, _, said = ctl("create_tables", url, "nowhere")
    assert code == 1 and "nowhere" in said
    assert ctl("create_tables", "text:///x")[0] == 1
    assert ctl("create_tables")[0] == 2
    assert server.calls == []


def test_a_fault(ctl):
    assert ctl("rpc", "t.fault") == (1, "", "error 404: Not there\n")


def test_a_missing_command(ctl):
    code, _, error = ctl("rpc", "core.nope")
    assert code == 1
    assert error == "error 500: the server has no command core.nope; is its module loaded?\n"


@pytest.mark.parametrize(
    "words", [["nope"], ["add", "alice"], ["ul"], ["ul", "rm"], ["rpc"], ["rm", "a", "b", "c"]]
)
def test_wrong_usage(ctl, server, words):
    code, output, error = ctl(*words)
    assert (code, output) == (2, "")
    assert error.startswith("usage: kamailiod-ctl ")
    assert server.calls == []


def test_no_server(capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert main(["--url", f"http://127.0.0.1:{port}/rpc", "uptime"]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"no server at http://127.0.0.1:{port}/rpc (")
    assert "Connection refused" in error


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "nonsense"])
def test_other_urls(url, capsys):
    assert main(["--url", url, "uptime"]) == 3
    assert capsys.readouterr().err == f"{url} is no http URL\n"


def test_a_server_that_speaks_otherwise(server, capsys):
    assert main(["--url", server.url.replace("/rpc", "/other"), "uptime"]) == 3
    assert "does not speak JSON-RPC: not here" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["help"]])
def test_help_lists_every_command(words, capsys):
    assert main(words) == 0
    output = capsys.readouterr().out
    assert output == help_text() + "\n"
    assert all(command.usage in output for command in COMMANDS)
