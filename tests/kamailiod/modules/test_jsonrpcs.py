"""JSON-RPC from scripts, and over a real datagram socket and FIFO."""

import asyncio
import json
import os
import socket
import stat

import pytest

from kamailiod.modules.jsonrpcs import Jsonrpcs
from tests.kamailiod.fakes import context_of

MESSAGE = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n"
)


async def answer(text):
    try:
        request = json.loads(text)
    except ValueError:
        return None
    if request["method"] == "t.fault":
        return {"jsonrpc": "2.0", "error": {"code": 404, "message": "Not there"}, "id": 1}
    return {"jsonrpc": "2.0", "result": request.get("params"), "id": request["id"]}


@pytest.fixture
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def start(services, loop, tmp_path):
    services.loop = loop
    services.settings.run_dir = str(tmp_path)
    modules = []

    def load(**params):
        module = services.load(Jsonrpcs, fifo_reply_dir=str(tmp_path), **params)
        module.use(answer)
        module.child_init(-2)
        modules.append(module)
        return module

    yield load
    for module in modules:
        module.child_exit(-2)


def request(**fields):
    return json.dumps({"jsonrpc": "2.0", "method": "t.echo", "params": ["x"], "id": 1, **fields})


def test_exec_leaves_the_answer_in_jsonrpl(services, loop):
    module = services.load(Jsonrpcs)
    module.use(answer)
    context = context_of(MESSAGE)
    assert module.reply(context, b"body", None) is None
    wait = module.exec(context, request().encode())
    assert loop.run_until_complete(wait.awaitable_factory()) == 1
    assert module.reply(context, b"code", None) == 200
    assert module.reply(context, b"text", None) == b"OK"
    assert json.loads(module.response(context)) == {"jsonrpc": "2.0", "result": ["x"], "id": 1}
    wait = module.execx(context, request(method="t.fault").encode())
    assert loop.run_until_complete(wait.awaitable_factory()) == 1
    assert module.reply(context, b"code", None) == 404
    assert module.reply(context, b"text", None) == b"Not there"
    wait = module.exec(context, b"garbage")
    assert loop.run_until_complete(wait.awaitable_factory()) == -1
    assert module.reply(context, b"code", None) == 404, "as in Kamailio, the last answer stays"


def test_dispatch_without_http_is_logged(services):
    module = services.load(Jsonrpcs)
    assert module.dispatch(context_of(MESSAGE)) == 1
    assert "no HTTP request" in services.lines[-1]


def test_datagrams(start, loop, tmp_path):
    start(dgram_socket="d.sock", transport=4, dgram_mode=0o600)
    path = tmp_path / "d.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as own:
        own.bind(str(tmp_path / "own"))

        async def ask(text):
            own.sendto(text.encode(), str(path))
            return await asyncio.wait_for(loop.sock_recv(own, 65536), 5)

        own.sendto(b"garbage", str(path))
        reply = loop.run_until_complete(ask(request(id=7)))
        assert json.loads(reply) == {"jsonrpc": "2.0", "result": ["x"], "id": 7}
        assert b'\n\t"result"' in reply


def test_a_fifo(start, loop, tmp_path):
    start(fifo_name="f", transport=2, pretty_format=0)
    os.mkfifo(tmp_path / "reply")
    reader = os.open(tmp_path / "reply", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "f", os.O_WRONLY | os.O_NONBLOCK)

    async def read():
        data = b""
        while data.count(b"}") < 2 or not data.endswith(b"}"):
            await asyncio.sleep(0.001)
            try:
                data += os.read(reader, 1 << 20)
            except BlockingIOError:
                continue
        return data

    try:
        first = request(id=1, reply_name="reply")
        os.write(writer, b"garbage\n" + first[:20].encode())
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0.01))
        os.write(writer, (first[20:] + request(id=2, reply_name="reply")).encode())
        data = loop.run_until_complete(asyncio.wait_for(read(), 5)).decode()
        one, end = json.JSONDecoder().raw_decode(data)
        assert (one["id"], json.loads(data[end:])["id"]) == (1, 2)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_long_answer_comes_whole_over_a_fifo(start, loop, tmp_path):
    long = ["x" * 50_000] * 4

    async def large(text):
        return {"result": long, "id": 1}

    start(fifo_name="f", transport=2, pretty_format=0).use(large)
    os.mkfifo(tmp_path / "reply")
    reader = os.open(tmp_path / "reply", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "f", os.O_WRONLY | os.O_NONBLOCK)

    async def read():
        data = b""
        while not data.endswith(b'"id": 1}'):
            await asyncio.sleep(0.001)
            try:
                data += os.read(reader, 1 << 20)
            except BlockingIOError:
                continue
        return data

    try:
        os.write(writer, request(reply_name="reply").encode())
        data = loop.run_until_complete(asyncio.wait_for(read(), 5))
        assert json.loads(data)["result"] == long
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("name", ["../reply", "/etc/passwd", "", ".", "plain", "missing"])
def test_only_a_fifo_in_the_directory_gets_an_answer(start, services, loop, tmp_path, name):
    start(fifo_name="f", transport=2)
    (tmp_path / "plain").write_text("kept")
    writer = os.open(tmp_path / "f", os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, request(reply_name=name).encode())
    os.close(writer)

    async def refused():
        while not services.lines:
            await asyncio.sleep(0.001)

    loop.run_until_complete(asyncio.wait_for(refused(), 5))
    assert "no answer to FIFO" in services.lines[-1]
    assert (tmp_path / "plain").read_text() == "kept"


def test_files_are_removed_at_the_end_and_replaced_at_the_start(start, tmp_path):
    start().child_exit(-2)
    assert list(tmp_path.iterdir()) == []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(tmp_path / "kamailio_rpc.sock"))
    start()
    assert {path.name for path in tmp_path.iterdir()} == {"kamailio_rpc.sock", "kamailio_rpc.fifo"}


def test_another_file_in_the_way_is_kept(start, tmp_path):
    (tmp_path / "kamailio_rpc.sock").write_text("precious")
    with pytest.raises(OSError, match=r"kamailio_rpc\.sock"):
        start(transport=4)
    assert (tmp_path / "kamailio_rpc.sock").read_text() == "precious"


def test_workers_open_nothing(services, tmp_path):
    services.settings.run_dir = str(tmp_path)
    services.load(Jsonrpcs).child_init(1)
    assert list(tmp_path.iterdir()) == []
