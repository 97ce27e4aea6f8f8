"""The same requests to Kamailio and to the dispatcher: the answers must be the same."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("kamailio"), reason="Kamailio is not installed")

CONFIG = """
debug=-1
log_stderror=yes
children=1
listen=udp:127.0.0.1:{port}
loadmodule "kex.so"
loadmodule "sl.so"
loadmodule "jsonrpcs.so"
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{directory}/rpc.sock")
request_route {{ exit; }}
"""

REQUESTS = [
    {"jsonrpc": "2.0", "method": "core.nope", "id": 7},
    {"jsonrpc": "2.0", "method": "core.echo", "params": ["x"]},
    {"jsonrpc": "2.0", "method": "core.echo", "params": ["x", 3], "id": 1},
    {"jsonrpc": "2.0", "method": "core.echo", "params": {"a": "x", "b": 3}, "id": "abc"},
    {"jsonrpc": "2.0", "method": "core.echo", "params": ["a", True, "b"], "id": 1},
    {"jsonrpc": "2.0", "method": "core.echo", "params": "x", "id": 4},
    {"jsonrpc": "2.0", "method": "core.prints", "id": 4},
    {"jsonrpc": "2.0", "method": "core.printi", "params": [1, 2], "id": 4},
    {"jsonrpc": "2.0", "method": "core.echo", "params": ["x"], "id": 3.5},
    {"jsonrpc": "1.0", "method": "core.echo", "params": ["x"], "id": 5},
    {"method": "core.echo", "params": ["x"], "id": 3},
    {"jsonrpc": "2.0", "id": 3},
    [1, 2],
    [{"jsonrpc": "2.0", "method": "core.echo", "params": ["x"], "id": 5}],
    {"jsonrpc": "2.0", "method": "system.methodHelp", "params": ["nope"], "id": 1},
    {"jsonrpc": "2.0", "method": "system.methodHelp", "id": 1},
    {"jsonrpc": "2.0", "method": "system.methodSignature", "params": ["core.ps"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.get_statistics", "params": ["drop_requests"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.get_statistics", "params": ["nope:"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.get_statistics", "id": 1},
    {"jsonrpc": "2.0", "method": "stats.fetch", "params": ["core:drop_requests"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.fetchn", "params": ["sl:1xx_replies"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.reset_statistics", "params": ["sl:1xx_replies"], "id": 1},
    {"jsonrpc": "2.0", "method": "stats.clear_statistics", "params": ["sl:1xx_replies"], "id": 1},
]


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kamailio")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (directory / "k.cfg").write_text(CONFIG.format(port=port, directory=directory))
    arguments = ["-f", str(directory / "k.cfg"), "-DD", "-E", "-m", "32"]
    process = subprocess.Popen(
        ["kamailio", *arguments, "-Y", str(directory), "-w", str(directory)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not (directory / "rpc.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield directory
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.fixture
def ask_kamailio(kamailio):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind(str(kamailio / "own.sock"))
        own.settimeout(5)

        def ask(request):
            own.sendto(json.dumps(request).encode(), str(kamailio / "rpc.sock"))
            return json.loads(own.recv(65536))

        yield ask
    os.unlink(kamailio / "own.sock")


@pytest.mark.parametrize("request_", REQUESTS, ids=json.dumps)
def test_the_same_answer(dispatcher, ask_kamailio, request_):
    ours = asyncio.run(dispatcher.answer_json(json.dumps(request_)))
    assert ours == ask_kamailio(request_)


SHAPES = [
    "core.psx", "core.psa", "core.uptime", "core.shmmem", "core.info", "core.sockets_list",
    "core.aliases_list", "core.modules", "core.version", "core.pwd", "core.arg", "core.runinfo",
    "core.ps",
]  # fmt: skip


@pytest.mark.parametrize("method", SHAPES)
def test_the_same_shape(dispatcher, ask_kamailio, method):
    request = {"jsonrpc": "2.0", "method": method, "id": 1}
    ours = asyncio.run(dispatcher.answer(request))
    assert shape(ours["result"]) == shape(ask_kamailio(request)["result"])


def test_kamailios_core_commands_are_here(dispatcher, ask_kamailio):
    theirs = ask_kamailio({"jsonrpc": "2.0", "method": "system.listMethods", "id": 1})["result"]
    missing = {name for name in theirs if name.startswith(("core.", "system.", "stats."))}
    assert missing - set(dispatcher.commands) == {
        "core.tcp_list", "core.tcp_options", "core.udp4_raw_info",
    }  # fmt: skip


def shape(value):
    """The keys and types of an answer; of a list, those of its first two elements."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:2]][: 1 if isinstance(value[0], dict) else 2]
    return type(value).__name__
