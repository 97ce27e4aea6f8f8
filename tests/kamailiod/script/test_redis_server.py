"""Commands to real Redis servers: replies, time-outs, healing, clusters, TLS, passwords."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from kamailiod.script.log import DEBUG, Log
from kamailiod.script.redis_address import RedisAddress, RedisAddressError, parse_redis_url
from kamailiod.script.redis_reply import ErrorReply, RedisFailure, RedisTimeout, Status
from kamailiod.script.redis_server import RedisServer
from kamailiod.script.redis_servers import RedisServers
from tests import redis_servers as real

Work = Callable[[RedisServer], Coroutine[Any, Any, Any]]


class Bench:
    """Runs work over a RedisServer in a loop of its own, as a worker would."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = Log(DEBUG, write=lambda level, text: self.lines.append(text))
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, place: str | RedisAddress, work: Work) -> Any:
        async def main() -> Any:
            self._loop = asyncio.get_running_loop()
            server = RedisServers(lambda: self._loop, self.log).server(place)
            try:
                return await work(server)
            finally:
                await server.close()

        return asyncio.run(main())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_urls() -> None:
    plain = parse_redis_url("redis://example.com")
    assert plain.nodes == (("example.com", 6379),)
    assert (plain.db, plain.tls, plain.cluster) == (0, False, False)
    full = parse_redis_url("rediss://me:p%40ss@h:7000/3?ca=/etc/ca.pem&verify=0&timeout=0.5")
    assert (full.user, full.password, full.db, full.tls) == ("me", "p@ss", 3, True)
    assert (full.authorities, full.verify, full.command_timeout) == ("/etc/ca.pem", False, 0.5)
    assert "p@ss" not in repr(full) + str(full)
    assert parse_redis_url("redis://:secret@h").password == "secret"
    nodes = parse_redis_url("redis://a:1,b:2,[::1]:3")
    assert nodes.nodes == (("a", 1), ("b", 2), ("::1", 3)) and nodes.cluster
    unix = parse_redis_url("unix:///run/redis.sock?db=2")
    assert (unix.unix, unix.db) == ("/run/redis.sock", 2)


@pytest.mark.parametrize(
    "text", ["mysql://h/x", "redis://h/x", "redis://h?what=1", "redis://h?timeout=x", "redis://a:b"]
)
def test_urls_that_are_none(text: str) -> None:
    with pytest.raises(RedisAddressError) as error:
        parse_redis_url(text)
    assert "secret" not in str(error.value)


def test_replies_keep_their_types(bench: Bench, redis_server: real.RedisServer) -> None:
    async def work(server: RedisServer) -> None:
        status = await server.command("SET", "k", b"a b\r\n\"'\0")
        assert status == b"OK" and isinstance(status, Status)
        value = await server.command(b"GET", b"k")
        assert value == b"a b\r\n\"'\0" and type(value) is bytes
        assert await server.command("INCRBY", "n", 41) == 41
        assert await server.command("GET", "none") is None
        error = await server.command("LPUSH", "k", "x")
        assert isinstance(error, ErrorReply) and error.startswith(b"WRONGTYPE ")
        assert await server.command("EVAL", "return {1, {'a', false}}", 0) == [1, [b"a", None]]

    bench.run(redis_server.url, work)
    assert bench.lines == []


def test_a_pipeline_goes_in_one_piece(bench: Bench, redis_server: real.RedisServer) -> None:
    async def work(server: RedisServer) -> Any:
        return await server.pipeline([("INCR", "n")] * 3 + [("NONSENSE",), ("GET", "n")])

    replies = bench.run(redis_server.url, work)
    assert replies[:3] == [1, 2, 3] and replies[4] == b"3"
    assert isinstance(replies[3], ErrorReply)


def test_many_at_once_share_few_connections(bench: Bench, redis_server: real.RedisServer) -> None:
    async def work(server: RedisServer) -> Any:
        await asyncio.gather(*[server.command("SET", f"k{n}", n) for n in range(200)])
        assert await asyncio.gather(*[server.command("GET", f"k{n}") for n in range(200)]) == [
            b"%d" % n for n in range(200)
        ]
        return await server.command("CLIENT", "LIST")

    assert 1 < bench.run(redis_server.url, work).count(b"\n") <= 8


def test_a_stall_is_an_error_in_time_and_heals(
    bench: Bench, redis_server: real.RedisServer
) -> None:
    address = replace(parse_redis_url(redis_server.url), command_timeout=0.3, connect_timeout=0.3)

    async def work(server: RedisServer) -> None:
        loop = asyncio.get_running_loop()
        assert await server.command("SET", "k", "v") == b"OK"
        redis_server.pause()
        begin = loop.time()
        calls = [server.command("INCR", "n") for _ in range(100)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, RedisTimeout) for one in ended)
        assert loop.time() - begin < 3
        redis_server.resume()
        assert await server.command("GET", "k") == b"v"

    bench.run(address, work)
    assert [line.split("redis://")[1].split(" ", 1)[1] for line in bench.lines] == [
        "fails: no answer in time", "works again",
    ]  # fmt: skip


def test_a_restart_is_not_noticed_and_an_absence_heals(
    bench: Bench, redis_server: real.RedisServer
) -> None:
    async def work(server: RedisServer) -> None:
        await asyncio.gather(*[server.command("INCR", "n") for _ in range(20)])
        redis_server.restart()
        assert await server.command("INCR", "n") == 1
        redis_server.kill()
        for _ in range(20):
            with pytest.raises(RedisFailure):
                await server.command("INCR", "n")
        redis_server.start()
        assert await asyncio.gather(*[server.command("INCR", "n") for _ in range(20)]) == [
            *range(1, 21)
        ]

    bench.run(redis_server.url, work)
    assert ["fails" in line for line in bench.lines] == [True, False]


def test_nothing_listens_at_the_start(bench: Bench) -> None:
    async def work(server: RedisServer) -> None:
        with pytest.raises(RedisFailure):
            await server.command("PING")

    bench.run(f"redis://:secret@127.0.0.1:{real.free_port()}", work)
    assert len(bench.lines) == 1 and "secret" not in bench.lines[0]


def test_a_cancelled_command_leaves_no_reply_behind(
    bench: Bench, redis_server: real.RedisServer
) -> None:
    async def work(server: RedisServer) -> None:
        await server.command("RPUSH", "list", "a")
        waiting = [asyncio.ensure_future(server.command("BLPOP", "none", 0)) for _ in range(8)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        replies = await asyncio.gather(*[server.command("ECHO", str(n)) for n in range(50)])
        assert replies == [b"%d" % n for n in range(50)]

    bench.run(redis_server.url, work)


def test_passwords_and_users(bench: Bench) -> None:
    async def ping(server: RedisServer) -> Any:
        return await server.command("PING")

    async def refused(server: RedisServer) -> None:
        with pytest.raises(RedisFailure, match="wrong user or password"):
            await server.command("PING")

    options = ("--requirepass", "s3cret", "--user", "sip", "on", ">hidden", "~*", "+@all")
    with real.running_redis(*options) as redis:
        place = f"{redis.host}:{redis.port}"
        assert bench.run(f"redis://:s3cret@{place}", ping) == b"PONG"
        assert bench.run(f"redis://sip:hidden@{place}/2", ping) == b"PONG"
        assert bench.run(f"unix://:s3cret@{redis.unix}?db=3", ping) == b"PONG"
        assert bench.lines == []
        bench.run(f"redis://:wr0ng@{place}", refused)
        bench.run(f"redis://sip:wr0ng@{place}", refused)
        assert isinstance(bench.run(f"redis://{place}", ping), ErrorReply)
    assert len(bench.lines) == 2
    assert not any("wr0ng" in line or "s3cret" in line for line in bench.lines)


def test_databases_are_apart(bench: Bench, redis_server: real.RedisServer) -> None:
    async def put(server: RedisServer) -> Any:
        return await server.command("INCR", "n")

    assert bench.run(redis_server.url + "/1", put) == 1
    assert bench.run(f"unix://{redis_server.unix}?db=2", put) == 1
    assert bench.run(redis_server.url + "/1", put) == 2


def test_tls(bench: Bench, redis_tls_server: real.RedisServer) -> None:
    async def ping(server: RedisServer) -> Any:
        return await server.command("PING")

    async def refused(server: RedisServer) -> None:
        with pytest.raises(RedisFailure):
            await server.command("PING")

    port = redis_tls_server.port
    assert bench.run(redis_tls_server.url, ping) == b"PONG"
    assert bench.run(f"rediss://localhost:{port}?verify=0", ping) == b"PONG"
    assert bench.lines == []
    bench.run(f"rediss://localhost:{port}", refused)
    assert "certificate" in bench.lines[0]
    bench.run(f"redis://localhost:{port}?timeout=1", refused)


def test_a_cluster_is_followed(bench: Bench, redis_cluster: real.RedisCluster) -> None:
    async def work(server: RedisServer) -> None:
        for n in range(60):
            assert await server.command("SET", f"k{n}", n) == b"OK"
        commands = [("GET", f"k{n}") for n in range(60)]
        assert await server.pipeline(commands) == [b"%d" % n for n in range(60)]
        script = "return redis.call('GET', KEYS[1])"
        assert await server.command("EVAL", script, 1, "k7") == b"7"
        found = [key async for keys in server.keys(b"k*") for key in keys]
        assert sorted(found) == sorted(b"k%d" % n for n in range(60))
        refused = await server.command("MULTI")
        assert isinstance(refused, ErrorReply)

    bench.run(redis_cluster.url, work)
    assert bench.lines == []
    counts = [node.command("DBSIZE") for node in redis_cluster.nodes]
    assert b":0\r\n" not in counts


def test_a_slot_that_moves_is_followed(bench: Bench, redis_cluster: real.RedisCluster) -> None:
    """ASK while a slot is on its way, MOVED when it has arrived."""
    source = redis_cluster.owner("k1")
    target = next(node for node in redis_cluster.nodes if node is not source)
    slot = source.command("CLUSTER", "KEYSLOT", "k1")[1:].strip()
    ids = {node: node.command("CLUSTER", "MYID").split(b"\r\n")[1] for node in redis_cluster.nodes}

    async def work(server: RedisServer) -> None:
        assert await server.command("GET", "k1") is None
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        assert await server.command("SET", "k1", "v") == b"OK"
        for node in (target, source, *redis_cluster.nodes):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        assert await server.command("GET", "k1") == b"v"
        assert redis_cluster.owner("k1") is target

    bench.run(redis_cluster.url, work)
    assert bench.lines == []


def test_a_cluster_whose_first_node_is_gone(bench: Bench, redis_cluster: real.RedisCluster) -> None:
    first, second, _ = redis_cluster.nodes

    async def work(server: RedisServer) -> None:
        key = next(f"k{n}" for n in range(1000) if redis_cluster.owner(f"k{n}") is second)
        first.kill()
        assert await server.command("SET", key, "v") == b"OK"

    url = f"redis://{first.host}:{first.port},{second.host}:{second.port}"
    bench.run(url, work)


def test_a_cluster_one_of_whose_nodes_hangs(bench: Bench, redis_cluster: real.RedisCluster) -> None:
    first, second, _ = redis_cluster.nodes
    theirs = next(f"k{n}" for n in range(1000) if redis_cluster.owner(f"k{n}") is first)
    ours = next(f"k{n}" for n in range(1000) if redis_cluster.owner(f"k{n}") is second)
    url = f"redis://{first.host}:{first.port},{second.host}:{second.port}?timeout=1"

    async def work(server: RedisServer) -> None:
        first.pause()
        assert await server.command("SET", ours, "v") == b"OK"
        calls = [server.command("GET", theirs) for _ in range(20)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, RedisTimeout) for one in ended)
        assert await server.command("GET", ours) == b"v"
        first.resume()
        assert await server.command("SET", theirs, "w") == b"OK"

    bench.run(url, work)


def test_blocking_use_before_the_fork(redis_server: real.RedisServer) -> None:
    lines: list[str] = []
    log = Log(DEBUG, write=lambda level, text: lines.append(text))
    server = RedisServers(lambda: None, log).server(redis_server.url)
    assert server.command_blocking("SET", "k", "v") == b"OK"
    assert server.pipeline_blocking([("GET", "k"), ("DEL", "k")]) == [b"v", 1]

    async def within_another_loop() -> Any:
        return await server.command("INCR", "n"), server.command_blocking("INCR", "n")

    assert asyncio.run(within_another_loop()) == (1, 2)
    assert redis_server.command("CLIENT", "LIST").count(b"id=") == 1
    redis_server.kill()
    with pytest.raises(RedisFailure):
        server.command_blocking("PING")
    assert len(lines) == 1


def test_a_session_keeps_its_connection(bench: Bench, redis_server: real.RedisServer) -> None:
    async def work(server: RedisServer) -> None:
        session = await server.session()
        assert await session.exchange([("MULTI",), ("INCR", "n")]) == [b"OK", b"QUEUED"]
        assert await server.command("GET", "n") is None
        assert await session.exchange([("EXEC",)]) == [[1]]
        await session.end()
        abandoned = await server.session()
        await abandoned.exchange([("MULTI",), ("INCR", "n")])
        await abandoned.end()
        assert await server.command("GET", "n") == b"1"
        with pytest.raises(RedisFailure):
            many = [await server.session() for _ in range(17)]
            assert not many

    bench.run(redis_server.url, work)


def test_the_library_is_loaded_when_it_is_used() -> None:
    program = "import sys, kamailiod.modules.ndb_redis; sys.exit('redis' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
