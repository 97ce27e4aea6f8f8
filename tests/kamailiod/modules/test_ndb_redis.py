"""ndb_redis on a real Redis: from Lua and native routes, what goes wrong included."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from kamailiod.modules.ndb_redis import NdbRedis
from kamailiod.modules.pv import Pv
from kamailiod.modules.redis_clients.command_text import CommandError, split_command
from kamailiod.modules.redis_clients.definition import parse_definition
from kamailiod.script.context import Context
from kamailiod.script.redis_address import RedisAddress
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.native_calls import NativeCalls
from tests.redis_servers import (
    RedisCluster,
    RedisServer,
    free_port,
    running_redis,
    running_sentinel,
)


class Script:
    """Runs Lua lines over ndb_redis with one server, srv1."""

    def __init__(self, services: FakeServices, *servers: str, **params: object) -> None:
        self.services = services
        self.module = services.load(NdbRedis, server=list(servers), **params)
        services.start()
        self.calls = LuaCalls(services, [self.module, services.load(Pv)])
        self.context = services.faked_context()

    def __call__(self, text: str, context: Context | None = None) -> Any:
        return self.calls(context or self.context, f"local r = KSR.ndb_redis; {text}")

    def read(self, name: str, context: Context | None = None) -> Any:
        return self.services.variables.accessors[name.encode()].get(context or self.context)


def definition(server: RedisServer, name: str = "srv1", **more: object) -> str:
    extra = "".join(f";{key}={value}" for key, value in more.items())
    return f"name={name};addr={server.host};port={server.port}{extra}"


@pytest.fixture
def script(services: FakeServices, redis_server: RedisServer) -> Script:
    return Script(services, definition(redis_server))


def test_kinds_of_replies(script: Script) -> None:
    """As Debian's Kamailio gives them; $avp is the first value."""
    expected: list[tuple[str, int, int | None, object, object, object]] = [
        ("SET k v", 0, 5, None, b"OK", b"OK"),
        ("GET k", 0, 1, b"v", b"v", b"v"),
        ("GET nothing", 0, 4, None, None, None),
        ("INCR n", 0, 3, 1, None, 1),
        ("RPUSH l a b c", 0, 3, 3, None, 3),
        ("LRANGE l 0 -1", 0, 2, None, None, b"a"),
        ("SET k v w", -1, 6, None, b"ERR syntax error", None),
        ("ECHO 100%", 0, 1, b"100%", b"100%", b"100%"),
        ("ECHO 100%%", 0, 1, b"100%", b"100%", b"100%"),
        ("  SET  k3   v3 ", 0, 5, None, b"OK", b"OK"),
        ("GET a\\tb", 0, 4, None, None, None),
        ("ECHO 'a'", 0, 1, b"'a'", b"'a'", b"'a'"),
        ("ECHO a%sb", -1, None, None, None, None),
        ("ECHO a%bb", -1, None, None, None, None),
        ("   ", -1, None, None, None, None),
        ("SET big 9999999999", 0, 5, None, b"OK", b"OK"),
        ("INCR big", 0, 3, 10000000000, None, 10000000000),
        ("EVAL return{{'x',7},8} 0", 0, 2, None, None, b"x"),
    ]
    for command, code, kind, value, info, first in expected:
        assert script(f'return r.redis_cmd("srv1", "{command}", "x")') == code, command
        keys = ("type", "value", "info")
        found = tuple(script.read(f"$redis(x=>{key})") for key in keys)
        assert found == (kind, value, info), command
        assert script.read("$avp(x)") == first, command


def test_arrays_in_arrays(script: Script) -> None:
    assert (
        script('return r.redis_cmd("srv1", "EVAL return{{\'x\',7,{}},8,\'y\',false} 0", "x")') == 0
    )
    expected = {
        "size": 4, "value": None, "value[1]": 8, "value[2]": b"y", "value[3]": None,
        "value[9]": None, "value[-1]": None, "type": 2, "type[0]": 2, "type[1]": 3,
        "type[3]": 4, "type[4]": None,
        "value[0]": None, "value[0]=>size": 3, "value[0]=>value[0]": b"x",
        "value[0]=>value[1]": 7, "value[0]=>type[1]": 3, "value[0]=>type": 2,
        "value[0]=>value": None, "value[0]=>value[2]=>size": 0, "info": None,
        "value[1]=>value[0]": None, "size[1]": None, "what": None, "type[0]=>value": None,
    }  # fmt: skip
    for key, value in expected.items():
        assert script.read(f"$redis(x=>{key})") == value, key
    script.context.variables[b"i"] = 2
    assert script.read("$redis(x=>value[$var(i)])") == b"y"
    assert script.read("$redis( x => value[ 1 ] )") == 8
    assert script.read("$redis(never=>type)") is None
    assert script.read("$redis(x)") is None
    names = ("rpl_str", "rpl_arr", "rpl_int", "rpl_nil", "rpl_sts", "rpl_err")
    assert [script.read(f"$redisd({name})") for name in names] == [1, 2, 3, 4, 5, 6]
    assert script.read("$redisd(what)") is None


def test_values_beside_the_command(script: Script, redis_server: RedisServer) -> None:
    assert script('return r.redis_cmd_p1("srv1", "ECHO %s", "a b", "x")') == 0
    assert script.read("$redis(x=>value)") == b"a b"
    assert script('return r.redis_cmd_p2("srv1", "SET %s %b", "a b", "", "x")') == 0
    assert redis_server.get("a b") == b""
    assert script('return r.redis_cmd_p2("srv1", "SET k:%s x%sy", "1 2", "m n", "x")') == 0
    assert redis_server.get("k:1 2") == b"xm ny"
    assert script('return r.redis_cmd_p3("srv1", "MGET %s %s %s", "a b", "no", "k:1 2", "x")') == 0
    assert script.read("$redis(x=>size)") == 3
    assert script.read("$redis(x=>value[2])") == b"xm ny"
    # Values too many are left out, too few are an error.
    assert script('return r.redis_cmd_p1("srv1", "ECHO x", "ab", "x")') == 0
    assert script('return r.redis_cmd_p1("srv1", "MGET %s %s", "ab", "x")') == -1
    assert script.read("$redis(x=>type)") is None
    assert script('return r.redis_cmd_p1("srv1", "ECHO %s", "a%sb", "x")') == 0
    assert script.read("$redis(x=>value)") == b"a%sb"


def test_the_second_name(script: Script) -> None:
    assert script('return KSR.redis.redis_cmd("srv1", "SET k v", "x")') == 0
    assert script('return KSR.redis.redis_cmd_p1("srv1", "GET %s", "k", "y")') == 0
    assert script('return KSR.pv.get("$avp(y)")') == b"v"
    assert script('return KSR.redis.redis_cmd_p2("srv1", "MSET %s %s", "a", "1", "x")') == 0
    assert script('return KSR.redis.redis_cmd_p3("srv1", "MGET %s %s %s", "a", "b", "c", "x")') == 0
    assert script('return KSR.pv.get("$redis(x=>value[0])")') == b"1"
    assert script('return KSR.redis.redis_free("x")') == 1


HOSTILE = (
    "a b", "x\r\nDEL k\r\n", "x\r\n*1\r\n$8\r\nFLUSHALL\r\n", "' DEL k '", '" ; FLUSHALL "',
    "%s %b %", "\0", "\\", "x y z", "$6\r\n", "",
)  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_never_becomes_a_command(
    script: Script, redis_server: RedisServer, value: str
) -> None:
    redis_server.command("SET", "k", "kept")
    context = script.context
    context.variables[b"v"] = value.encode()
    mine = 'local v = KSR.pv.get("$var(v)"); return '
    assert script(mine + 'r.redis_cmd_p2("srv1", "SET key:%s %s", v, v, "x")') == 0
    assert script(mine + 'r.redis_cmd_p1("srv1", "GET key:%s", v, "x")') == 0
    assert script.read("$redis(x=>value)") == value.encode()
    assert redis_server.get(f"key:{value}") == value.encode()
    assert redis_server.command("DBSIZE") == b":2\r\n"
    assert redis_server.get("k") == b"kept"


def test_joined_text_is_split_at_spaces_only(script: Script, redis_server: RedisServer) -> None:
    """The guide's form: a CRLF in it stays within its word."""
    redis_server.command("SET", "k", "kept")
    assert script('return r.redis_cmd("srv1", "SET j a\\r\\nDEL", "x")') == 0
    assert redis_server.get("j") == b"a\r\nDEL"
    assert redis_server.get("k") == b"kept"


def test_what_is_wrong_with_a_call(script: Script) -> None:
    assert script('return r.redis_cmd("nosuch", "GET k", "x")') == -1
    assert script('return r.redis_cmd("srv1", "", "x")') == -1
    assert script('return r.redis_cmd("srv1", "GET k", "")') == -1
    for command in ("SUBSCRIBE c", "monitor", "AUTH secret", "CLIENT REPLY OFF", "QUIT", "HELLO 3"):
        assert script(f'return r.redis_cmd("srv1", "{command}", "x")') == -1, command
    assert script('return r.redis_cmd_p1("srv1", "%s c", "SUBSCRIBE", "x")') == -1
    assert script('return r.redis_cmd("srv1", "PING", "x")') == 0
    assert not any("secret" in line for line in script.services.lines)


def test_a_failure_takes_the_old_reply_away(script: Script, redis_server: RedisServer) -> None:
    script('r.redis_cmd("srv1", "ECHO old", "x")')
    redis_server.kill()
    assert script('return r.redis_cmd("srv1", "GET k", "x")') == -1
    assert script.read("$redis(x=>value)") is None
    assert script.read("$avp(x)") is None


def test_replies_are_freed(script: Script) -> None:
    script('r.redis_cmd("srv1", "ECHO a", "x")')
    for name, code in (("x", 1), ("x", 1), ("never", -1), ("", -1)):
        assert script(f'return r.redis_free("{name}")') == code, name
    assert script.read("$redis(x=>value)") is None


def test_replies_belong_to_the_request(script: Script) -> None:
    other = script.services.faked_context()
    script('r.redis_cmd("srv1", "ECHO mine", "x")')
    script('r.redis_cmd("srv1", "ECHO yours", "x")', other)
    assert script.read("$redis(x=>value)") == b"mine"
    assert script.read("$redis(x=>value)", other) == b"yours"


def test_a_transaction_of_one_request_is_not_disturbed(
    script: Script, redis_server: RedisServer
) -> None:
    """MULTI is kept with the request: another one's commands are not queued in it."""
    other = script.services.faked_context()
    loop = asyncio.new_event_loop()
    script.services.loop = loop
    try:
        assert script('return r.redis_cmd("srv1", "RPUSH l a b", "x")') == 0
        assert script('return r.redis_cmd("srv1", "MULTI", "x")') == 0
        assert script('return r.redis_cmd("srv1", "LRANGE l 0 -1", "q")') == 0
        assert script.read("$redis(q=>info)") == b"QUEUED"
        assert script('return r.redis_cmd("srv1", "INCR n", "x")', other) == 0
        assert script.read("$redis(x=>value)", other) == 1
        assert script('return r.redis_cmd("srv1", "INCR n", "q")') == 0
        assert script('return r.redis_cmd("srv1", "EXEC", "x")') == 0
        assert script.read("$redis(x=>value[0]=>value[1])") == b"b"
        assert script.read("$redis(x=>value[1])") == 2
        assert script('return r.redis_cmd("srv1", "EXEC", "x")') == -1
        assert script('return r.redis_cmd("srv1", "SELECT 3", "x")') == 0
        assert script('return r.redis_cmd("srv1", "INCR n", "x")') == 0
        assert script.read("$redis(x=>value)") == 1
        assert script('return r.redis_cmd("srv1", "INCR n", "x")', other) == 0
        assert script.read("$redis(x=>value)", other) == 3
        assert script('return r.redis_cmd("srv1", "SELECT 99", "x")') == -1
        assert script('return r.redis_cmd("srv1", "SELECT a", "x")') == -1
    finally:
        script.services.loop = None
        loop.close()


NATIVE = """
modparam("ndb_redis", "server", "name=srv1;addr=127.0.0.1;port=1")
request_route {{
{lines}
}}
"""


def native(
    services: FakeServices, server: RedisServer, folder: Path, lines: str, **params: object
) -> Context:
    module = services.load(NdbRedis, server=[definition(server)], **params)
    services.start()
    text = NATIVE.format(lines=lines)
    calls = NativeCalls(services, [module, services.load(Pv)], folder, text)
    return calls.run(services.faked_context())


def test_native_commands(services: FakeServices, redis_server: RedisServer, tmp_path: Path) -> None:
    lines = """
    redis_cmd("srv1", "SET k v", "r"); $var(a) = $rc;
    redis_cmd("srv1", "GET %s", "k", "r"); $var(b) = $rc; $var(c) = $redis(r=>value);
    redis_cmd("srv1", "SET %s %s", "a b", "c \\"d", "r"); $var(d) = $rc;
    redis_cmd("srv1", "MGET %s %s %s", "a b", "no", "k", "r"); $var(e) = $redis(r=>value[0]);
    redis_cmd("srv1", "NONSENSE x", "r"); $var(f) = $rc; $var(g) = $redis(r=>type);
    redis_cmd("nosuch", "GET k", "r"); $var(h) = $rc;
    redis_cmd("srv1", "ECHO a%sb", "r"); $var(i) = $rc;
    redis_cmd("srv1", "GET %s", "", "r"); $var(j) = $redis(r=>type);
    redis_free("r"); $var(k) = $rc; redis_free("never"); $var(l) = $rc;
    $var(m) = $redisd(rpl_nil);
    """
    found = native(services, redis_server, tmp_path, lines).variables
    assert found == {
        b"a": 1, b"b": 1, b"c": b"v", b"d": 1, b"e": b'c "d', b"f": -1, b"g": 6, b"h": -1, b"i": -1,
        b"j": 4, b"k": 1, b"l": -1, b"m": 4,
    }  # fmt: skip


def test_native_pipelines(
    services: FakeServices, redis_server: RedisServer, tmp_path: Path
) -> None:
    lines = """
    redis_pipe_cmd("srv1", "SET p 1", "p1"); $var(a) = $rc; $var(b) = $redis(p1=>type);
    redis_pipe_cmd("srv1", "INCRBY %s %s", "p", "4", "p2"); redis_pipe_cmd("srv1", "BAD", "p3");
    redis_execute("srv1"); $var(c) = $rc;
    $var(d) = $redis(p1=>info); $var(e) = $redis(p2=>value); $var(f) = $redis(p3=>type);
    $var(z) = $avp(p2);
    redis_execute("srv1"); $var(g) = $rc; redis_execute("nosuch"); $var(h) = $rc;
    redis_pipe_cmd("srv1", "SET q 1", "q1"); redis_cmd("srv1", "GET q", "q2");
    $var(i) = $redis(q1=>info); $var(j) = $redis(q2=>value);
    redis_pipe_cmd("srv1", "GET %s", "q1"); $var(k) = $rc;
    redis_pipe_cmd("nosuch", "GET x", "q1"); $var(l) = $rc;
    redis_pipe_cmd("srv1", "SELECT 2", "s"); redis_pipe_cmd("srv1", "SET s2 1", "s");
    redis_execute("srv1"); $var(m) = $rc;
    redis_cmd("srv1", "EXISTS s2", "s"); $var(n) = $redis(s=>value);
    """
    found = native(services, redis_server, tmp_path, lines).variables
    assert found == {
        b"a": 1, b"b": 0, b"c": 1, b"d": b"OK", b"e": 5, b"f": 6, b"z": 5, b"g": -1, b"h": -1,
        b"i": b"OK", b"j": b"1", b"k": -1, b"l": -1, b"m": 1, b"n": 0,
    }  # fmt: skip


def test_a_pipeline_is_bounded(services: FakeServices, redis_server: RedisServer) -> None:
    module = services.load(NdbRedis, server=[definition(redis_server)])
    services.start()
    context = services.faked_context()
    codes = [module.native_pipe_cmd(context, b"srv1", b"PING", b"r") for _ in range(1001)]
    assert codes == [1] * 1000 + [-1]


def test_native_codes_of_a_disabled_server(services: FakeServices, tmp_path: Path) -> None:
    with running_redis() as server:
        server.kill()
        lines = """
        redis_cmd("srv1", "GET k", "r"); $var(a) = $rc;
        redis_cmd("srv1", "GET k", "r"); $var(b) = $rc;
        redis_pipe_cmd("srv1", "GET k", "r"); redis_execute("srv1"); $var(c) = $rc;
        """
        found = native(
            services, server, tmp_path, lines, allowed_timeouts=0, disable_time=60
        ).variables
    assert found == {b"a": -1, b"b": -1, b"c": -2}


def test_disabling_and_enabling(services: FakeServices, redis_server: RedisServer) -> None:
    script = Script(
        services, definition(redis_server), allowed_timeouts=1, disable_time=1, cmd_timeout=200
    )
    get = 'return r.redis_cmd("srv1", "GET k", "x")'
    assert script(get) == 0
    redis_server.kill()
    assert [script(get) for _ in range(4)] == [-1, -1, -2, -2]
    redis_server.start()
    assert script(get) == -2
    deadline = time.monotonic() + 5
    while script(get) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = "\n".join(services.lines)
    assert text.count("is disabled for 1 seconds") == 1 and "is enabled again" in text


def test_a_stall_gives_the_error_code_in_time(
    services: FakeServices, redis_server: RedisServer
) -> None:
    script = Script(services, definition(redis_server), cmd_timeout=200, connect_timeout=200)
    get = 'return r.redis_cmd("srv1", "GET k", "x")'
    assert script(get) == 0
    redis_server.pause()
    begin = time.monotonic()
    assert script(get) == -1
    assert time.monotonic() - begin < 2
    redis_server.resume()
    assert script(get) == 0


def test_restart(script: Script, redis_server: RedisServer) -> None:
    get = 'return r.redis_cmd("srv1", "GET k", "x")'
    assert script(get) == 0
    redis_server.restart()
    assert script(get) == 0


def test_flush_on_reconnect(services: FakeServices, redis_server: RedisServer) -> None:
    script = Script(
        services, definition(redis_server), flush_on_reconnect=1, cmd_timeout=200,
        connect_timeout=200,
    )  # fmt: skip
    assert script('return r.redis_cmd("srv1", "SET k v", "x")') == 0
    redis_server.pause()
    assert script('return r.redis_cmd("srv1", "SET k w", "x")') == -1
    redis_server.resume()
    assert script('return r.redis_cmd("srv1", "SET l w", "x")') == 0
    assert redis_server.get("k") is None
    assert redis_server.get("l") == b"w"
    assert script('return r.redis_cmd("srv1", "GET l", "x")') == 0
    assert redis_server.get("l") == b"w"


def test_cluster(services: FakeServices, redis_cluster: RedisCluster) -> None:
    servers = [definition(node, f"n{i}") for i, node in enumerate(redis_cluster.nodes)]
    script = Script(services, *servers, cluster=1)
    for n in range(20):
        assert script(f'return r.redis_cmd("n0", "SET k{n} v{n}", "x")') == 0
    assert script('return r.redis_cmd("n2", "GET k7", "x")') == 0
    assert script.read("$redis(x=>value)") == b"v7"
    assert script('return r.redis_cmd("n0", "MULTI", "x")') == -1
    context = script.context
    assert script.module.native_pipe_cmd(context, b"n0", b"GET k", b"x") == -1
    assert script.module.native_execute(context, b"n0") == -1


@pytest.mark.parametrize("dynamic", [0, 1])
def test_nodes_that_are_not_defined(
    services: FakeServices, redis_cluster: RedisCluster, dynamic: int
) -> None:
    first = redis_cluster.nodes[0]
    script = Script(services, definition(first, "c"), cluster=1, allow_dynamic_nodes=dynamic)
    key = next(f"k{n}" for n in range(1000) if redis_cluster.owner(f"k{n}") is not first)
    own = next(f"k{n}" for n in range(1000) if redis_cluster.owner(f"k{n}") is first)
    assert script(f'return r.redis_cmd("c", "SET {own} v", "x")') == 0
    assert script(f'return r.redis_cmd("c", "SET {key} v", "x")') == (0 if dynamic else -1)


def test_passwords_stay_out_of_the_log(services: FakeServices) -> None:
    with running_redis("--requirepass", "right-one") as server:
        good = definition(server, "good", **{"pass": "right-one", "db": 3})
        bad = definition(server, "bad", **{"pass": "wr0ng-one"})
        script = Script(services, good, bad)
        assert script('return r.redis_cmd("good", "PING", "x")') == 0
        assert script('return r.redis_cmd("bad", "PING", "x")') == -1
    text = "\n".join(services.lines)
    assert "wrong user or password" in text
    assert "wr0ng-one" not in text and "right-one" not in text


def test_tls_and_unix_sockets(services: FakeServices, redis_tls_server: RedisServer) -> None:
    port, path = redis_tls_server.port, redis_tls_server.unix
    script = Script(
        services,
        f"name=tls;addr=localhost;port={port};tls=1",
        f"name=open;addr=localhost;port={port};tls=1;verify=0",
        f"name=unix;unix={path}",
        ca_path=str(redis_tls_server.certificate),
    )
    for name in ("tls", "open", "unix"):
        assert script(f'return r.redis_cmd("{name}", "PING", "x")') == 0, name


def test_sentinels(services: FakeServices, redis_server: RedisServer) -> None:
    """The primary is where the sentinels say, also after it has changed."""
    with running_redis() as second, running_sentinel() as sentinel:
        watch = ("SENTINEL", "MONITOR", "grp")
        sentinel.command(*watch, redis_server.host, str(redis_server.port), "1")
        script = Script(
            services,
            "name=s;sentinel_group=grp;sentinel_master=1;"
            f"sentinel=127.0.0.1:{free_port()};sentinel={sentinel.host}:{sentinel.port}",
            f"name=r;sentinel_group=grp;sentinel_master=0;sentinel=127.0.0.1:{sentinel.port}",
        )
        assert script('return r.redis_cmd("s", "SET k first", "x")') == 0
        assert redis_server.get("k") == b"first"
        sentinel.command("SENTINEL", "REMOVE", "grp")
        sentinel.command(*watch, second.host, str(second.port), "1")
        redis_server.kill()
        assert script('return r.redis_cmd("s", "SET k second", "x")') == 0
        assert second.get("k") == b"second"
        assert script('return r.redis_cmd("r", "GET k", "x")') == -1
        redis_server.start()
        redis_server.command("REPLICAOF", second.host, str(second.port))
        deadline = time.monotonic() + 20
        while script('return r.redis_cmd("r", "GET k", "x")') != 0:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert b"role:slave" in redis_server.command("INFO", "replication")
        assert script('return r.redis_cmd("r", "SET k third", "x")') == -1
        assert script.read("$redis(x=>info)").startswith(b"READONLY")


def test_nobody_listens_at_the_start(services: FakeServices) -> None:
    script = Script(services, f"name=srv1;addr=127.0.0.1;port={free_port()}")
    assert script('return r.redis_cmd("srv1", "PING", "x")') == -1


def test_definitions() -> None:
    defaults = RedisAddress(command_timeout=0.7)
    found = parse_definition(
        'name=srvY;addr=127.0.0.3; port=6380 ;db=5;pass=my=pass;tls=1;user="me";'
        "command_timeout=250;connect_timeout=100;",
        defaults,
    )
    address = found.address
    assert (found.name, address.nodes, address.db) == ("srvY", (("127.0.0.3", 6380),), 5)
    assert (address.user, address.password, address.tls) == ("me", "my=pass", True)
    assert (address.command_timeout, address.connect_timeout) == (0.25, 0.1)
    assert parse_definition("name=a;unix=/x;db=3", defaults).address.unix == "/x"
    plain = parse_definition("name=a;addr=h;port=none;db=x", defaults).address
    assert (plain.nodes, plain.db, plain.command_timeout) == ((("h", 6379),), 0, 0.7)


@pytest.mark.parametrize(
    "text",
    ["addr=h", "name=a", "name=a;addr=h;colour=red", "name=a;addr=h;sentinel=x", "name=a;addr"],
)
def test_definitions_that_are_wrong(services: FakeServices, text: str) -> None:
    services.load(NdbRedis, server=[text + ";pass=s3cret"])
    with pytest.raises(ValueError, match="ndb_redis: ") as error:
        services.start()
    assert "s3cret" not in str(error.value)


def test_splitting() -> None:
    assert split_command(b"a  b c ") == (b"a", b"b", b"c")
    assert split_command(b"a %s%b-%%", [b"x y", b"%s"]) == (b"a", b"x y%s-%")
    assert split_command(b"a %s b", [b""]) == (b"a", b"", b"b")
    assert split_command(b"a %x %") == (b"a", b"%x", b"%")
    with pytest.raises(CommandError):
        split_command(b"%s %s", [b"a"])
