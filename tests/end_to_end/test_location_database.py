"""Registrations survive a restart: written at the end, or at once, and there again at the start."""

from __future__ import annotations

import json
import socket
import sqlite3
import urllib.request
from pathlib import Path

import pytest

from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.waiting import wait_until

CONFIG = """#!KAMAILIO
debug=0
log_stderror=yes
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_url", "sqlite:///location.db")
modparam("usrloc", "db_mode", {mode})
modparam("usrloc", "timer_interval", 600)
request_route {{
    if (method == "REGISTER") {{
        save("location");
        exit;
    }}
    if (lookup("location")) {{
        append_to_reply("X-Uri: $ru\\r\\n");
        sl_send_reply("200", "Found");
    }} else {{
        sl_send_reply("404", "Not Found");
    }}
    exit;
}}
loadmodule "textops.so"
"""


def ask(server: RunningServer, method: str, number: int) -> str:
    """Send one request for user `u<number>` and return the status line and the headers."""
    contact = f"Contact: <sip:u{number}@192.0.2.1:5070>\r\n" if method == "REGISTER" else ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((server.host, 0))
        phone.settimeout(5)
        text = (
            f"{method} sip:u{number}@{server.host} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {server.host}:{phone.getsockname()[1]};branch=z9hG4bK{number}\r\n"
            f"From: <sip:u{number}@{server.host}>;tag=f\r\nTo: <sip:u{number}@{server.host}>\r\n"
            f"Call-ID: {number}-{method}-abcdefgh\r\nCSeq: 1 {method}\r\n{contact}"
            "Max-Forwards: 10\r\nContent-Length: 0\r\n\r\n"
        )
        phone.sendto(text.encode(), (server.host, server.port))
        return phone.recv(65535).decode()


def rows(folder: Path) -> int:
    connection = sqlite3.connect(folder / "location.db")
    try:
        return int(connection.execute("SELECT COUNT(*) FROM location").fetchone()[0])
    finally:
        connection.close()


def command(server: RunningServer, method: str, *params: object) -> object:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    request = urllib.request.Request(
        f"http://{server.host}:{server.http_port}/rpc", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_registrations_survive_a_restart(tmp_path: Path, mode: int) -> None:
    config = CONFIG.format(mode=mode)
    with RunningServer(tmp_path, config, http=True) as server:
        for number in range(20):
            assert ask(server, "REGISTER", number).startswith("SIP/2.0 200")
        if mode == 2:
            assert rows(tmp_path) == 0
            command(server, "ul.flush")
        wait_until(lambda: rows(tmp_path) == 20, "20 rows")
        assert command(server, "ul.db_contacts", "location") == 20
        assert ask(server, "REGISTER", 20).startswith("SIP/2.0 200")
    assert rows(tmp_path) == 21
    with RunningServer(tmp_path, config) as server:
        for number in range(21):
            assert f"X-Uri: sip:u{number}@192.0.2.1:5070" in ask(server, "OPTIONS", number)
        assert ask(server, "OPTIONS", 99).startswith("SIP/2.0 404")
