"""The embedded default as `make run` starts it, on other ports, with its subscribers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.end_to_end.running_server import ROOT, RunningServer
from tests.end_to_end.sip_client import Peer

VOICEMAIL = ("127.0.0.50", 5070)
"""Where voicemail.local is; the guide's script fixes the port."""


def embedded_default(
    folder: Path, *arguments: str, children: int = 2, http: bool = False
) -> RunningServer:  # fmt: skip
    """Return the default server, not yet started; voicemail.local leads to VOICEMAIL."""
    (folder / "run").mkdir()
    record = f"name=voicemail.local;addr={VOICEMAIL[0]}"
    return RunningServer(
        folder, ROOT / "deploy/kamailio.cfg",
        "--loadmodule", "corex", "--modparam", f"corex:dns_cache:s:{record}", *arguments,
        files={"deploy/pbx.lua": ROOT / "deploy/pbx.lua"}, children=children, http=http,
    )  # fmt: skip


def add_subscriber(server: RunningServer, user: str, password: str) -> None:
    """Add a subscriber to the running server's table."""
    with sqlite3.connect(server.folder / "run/kamailiod.sqlite") as database:
        database.execute(
            "insert into subscriber (username, domain, password, ha1, ha1b)"
            " values (?, '', ?, '', '')",
            (user, password),
        )


def registered(server: RunningServer, user: str, transport: str = "udp") -> Peer:
    """Return a phone of a new subscriber that has registered."""
    add_subscriber(server, user, "secret")
    phone = Peer((server.host, server.port), user, transport)
    phone.register("secret")
    return phone
