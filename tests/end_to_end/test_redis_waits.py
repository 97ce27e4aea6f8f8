"""Scripts that ask a Redis: at the start, without one, with a wrong password, many at once."""

from __future__ import annotations

from tests.end_to_end.kemi import Kemi
from tests.end_to_end.sip_client import Peer
from tests.redis_servers import RedisServer, free_port

SERVER = 'modparam("ndb_redis", "server", "name=srv1;addr=127.0.0.1;port={};pass={}")\n'
TIMES = 'modparam("ndb_redis", "cmd_timeout", 400)\nmodparam("ndb_redis", "connect_timeout", 400)\n'


def test_redis_at_the_start(kemi: Kemi, redis_server: RedisServer) -> None:
    """mod_init and child_init run their commands to the end; the module is found by KSR.redis."""
    script = """
    function mod_init()
        KSR.redis.redis_cmd("srv1", "INCR started", "r")
        KSR.warn("mod_init " .. KSR.pv.get("$avp(r)"))
    end
    function child_init(rank)
        KSR.redis.redis_cmd("srv1", "INCR child:" .. rank, "r")
        KSR.warn("child " .. rank .. ": " .. KSR.pv.get("$redis(r=>value)"))
    end
    """
    more = SERVER.format(redis_server.port, "").replace(";pass=", "")
    server = kemi(script, more=more)
    server.wait_for_log("mod_init 1")
    server.wait_for_log("child 1: 1")
    server.wait_for_log("child 2: 1")
    assert redis_server.get("started") == b"1"


def test_no_redis_and_a_wrong_password(kemi: Kemi, redis_server: RedisServer) -> None:
    redis_server.command("CONFIG", "SET", "requirepass", "right-one")
    script = """
    function new_call()
        local down = KSR.redis.redis_cmd("down", "GET k", "r")
        local wrong = KSR.redis.redis_cmd("srv1", "GET k", "r")
        KSR.sl.send_reply(480, "down " .. down .. " wrong " .. wrong)
    end
    """
    more = (
        'loadmodule "ndb_redis.so"\n'
        + TIMES
        + SERVER.format(redis_server.port, "wr0ng-one")
        + SERVER.format(free_port(), "h1dden").replace("srv1", "down")
    )
    server = kemi(script, more=more)
    with Peer((server.host, server.port), "alice") as alice:
        asked = alice.invite("bob")
        answer = alice.expect(480, call_id=asked.call_id)
        assert "down -1 wrong -1" in str(answer)
        alice.ack_failure(asked, answer)
    server.wait_for_log("wrong user or password")
    server.wait_for_log("server down does not answer")
    assert "wr0ng-one" not in server.log() and "h1dden" not in server.log()


def test_a_worker_goes_on_while_a_request_waits(kemi: Kemi, redis_server: RedisServer) -> None:
    """One worker: OPTIONS are answered while an INVITE waits for a Redis that stands still."""
    script = """
    function new_call()
        KSR.sl.send_reply(480, "code " .. KSR.redis.redis_cmd("srv1", "GET k", "r"))
    end
    """
    more = SERVER.format(redis_server.port, "").replace(";pass=", "")
    times = TIMES.replace("400", "2000")
    server = kemi(script, more='loadmodule "ndb_redis.so"\n' + times + more, children=1)
    with Peer((server.host, server.port), "alice") as alice:
        redis_server.pause()
        asked = alice.invite("bob")
        for _ in range(3):
            assert alice.ping().status == 200
        redis_server.resume()
        answer = alice.expect(480, call_id=asked.call_id)
        assert "code 0" in str(answer)
        alice.ack_failure(asked, answer)
