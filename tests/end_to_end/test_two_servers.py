"""Two servers with one Redis, or one PostgreSQL, for contacts: each finds what the other saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import psutil
import pytest

from kamailiod.script.table_layouts import create_tables
from tests.end_to_end.running_server import RunningServer, alive
from tests.end_to_end.sip_client import Call, Peer
from tests.end_to_end.test_location_database import command
from tests.end_to_end.waiting import wait_until
from tests.redis_servers import RedisServer

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
server_id={server_id}
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_url", "{url}")
modparam("usrloc", "db_mode", 3)
request_route {{
    if (is_method("REGISTER")) {{
        save("location");
        exit;
    }}
    if (has_totag()) {{
        loose_route();
        t_relay();
        exit;
    }}
    record_route();
    $var(found) = lookup("location");
    if ($var(found) < 0) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    t_relay();
}}
"""
PHONES = 12

Start = Callable[[int, str], RunningServer]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def run(server_id: int, url: str) -> RunningServer:
        folder = tmp_path / f"server{server_id}"
        folder.mkdir()
        return RunningServer(folder, CONFIG.format(server_id=server_id, url=url), http=True)

    return run


def kill_all(server: RunningServer) -> None:
    """End every process of a server as a power cut does."""
    processes = server.processes()
    for process in processes:
        process.kill()
    server.popen.wait()
    wait_until(lambda: not any(map(alive, processes)), "the end")
    assert not psutil.pid_exists(server.popen.pid)


def call_through(server: RunningServer, callee: Peer, stack: ExitStack) -> None:
    """Call a user through a server, and hang up."""
    caller = stack.enter_context(Peer((server.host, server.port), "caller"))
    # The callee answers where the request came from.
    callee.server = (server.host, server.port)
    asked: Call = caller.invite(callee.user)
    callee.reply(callee.expect("INVITE", call_id=asked.call_id), 200)
    dialog = caller.answered(asked, caller.expect(200, call_id=asked.call_id))
    callee.expect("ACK")
    caller.request("BYE", dialog)
    callee.reply(callee.expect("BYE"), 200)
    caller.expect(200, call_id=asked.call_id)


def phones_of(server: RunningServer, stack: ExitStack) -> list[Peer]:
    phones = [
        stack.enter_context(Peer((server.host, server.port), f"user{number}"))
        for number in range(PHONES)
    ]
    for phone in phones:
        phone.register()
    return phones


def one_is_killed(start: Start, url: str, stack: ExitStack) -> None:
    """Register at A, call through B, kill A: B and who comes later have all registrations."""
    killed = start(1, url)
    lasting = stack.enter_context(start(2, url))
    with ExitStack() as inner:
        inner.enter_context(killed)
        phones = phones_of(killed, stack)
        call_through(lasting, phones[0], stack)
        kill_all(killed)
        for phone in phones:
            call_through(lasting, phone, stack)
        # A phone's next REGISTER comes to B, and leaves one contact.
        phones[1].server = (lasting.host, lasting.port)
        assert len(phones[1].register().headers("Contact")) == 1
        call_through(lasting, phones[1], stack)
        assert phones[1].uri in str(command(lasting, "ul.lookup", "location", "user1"))
        assert command(lasting, "ul.db_contacts", "location") == PHONES
        call_through(stack.enter_context(start(3, url)), phones[2], stack)
        inner.pop_all()
    for name in killed.segments():
        (Path("/dev/shm") / name).unlink()


def test_on_one_redis(start: Start, redis_url: str, stack: ExitStack) -> None:
    one_is_killed(start, redis_url, stack)


def test_on_one_postgres(start: Start, postgres_url: str, stack: ExitStack) -> None:
    create_tables(postgres_url, ["location"])
    # Other tests find the database as it was; entered first, this runs when the servers are gone.
    stack.callback(drop_location, postgres_url)
    one_is_killed(start, postgres_url, stack)


def test_a_phone_at_both_has_both_contacts(start: Start, redis_url: str, stack: ExitStack) -> None:
    servers = [stack.enter_context(start(number, redis_url)) for number in (1, 2)]
    phones = [stack.enter_context(Peer((server.host, server.port))) for server in servers]
    shown = [phone.register().headers("Contact") for phone in phones]
    assert [len(",".join(values).split(",")) for values in shown] == [1, 2]
    caller = stack.enter_context(Peer((servers[1].host, servers[1].port), "caller"))
    asked = caller.invite("alice")
    for phone in phones:
        invite = phone.expect("INVITE", call_id=asked.call_id)
        phone.server = (servers[1].host, servers[1].port)
        phone.reply(invite, 486)
    caller.ack_failure(asked, caller.expect(486, call_id=asked.call_id))


def test_many_phones_of_one_user_at_both_at_once(
    start: Start, redis_url: str, stack: ExitStack
) -> None:
    """Nobody's REGISTER takes away what another's brought meanwhile."""
    servers = [stack.enter_context(start(number, redis_url)) for number in (1, 2)]
    phones = [
        stack.enter_context(Peer((servers[number % 2].host, servers[number % 2].port)))
        for number in range(30)
    ]
    asked = [phone.request("REGISTER", phone.new_call("alice")) for phone in phones]
    for phone, call in zip(phones, asked, strict=True):
        phone.expect(200, call_id=call.call_id)
    assert [command(server, "ul.db_contacts", "location") for server in servers] == [30, 30]


@pytest.mark.parametrize("harm", ["kill", "pause"])
def test_redis_away_and_back(
    start: Start, redis_server: RedisServer, stack: ExitStack, harm: str
) -> None:
    """While it is away each request has its answer; no worker ends, none is started again."""
    servers = [stack.enter_context(start(n, redis_server.url)) for n in (1, 2)]
    phones = phones_of(servers[0], stack)
    workers = [server.worker(rank).pid for server in servers for rank in (1, 2)]
    getattr(redis_server, harm)()
    for server in servers:
        caller = stack.enter_context(Peer((server.host, server.port), "caller"))
        asked = caller.invite("user1")
        caller.ack_failure(asked, caller.expect(404, call_id=asked.call_id))
        phone = phones[0]
        phone.server = (server.host, server.port)
        asked = phone.request("REGISTER", phone.new_call(f"sip:{server.host}"))
        phone.expect(500, call_id=asked.call_id)
    redis_server.resume() if harm == "pause" else redis_server.start()
    for phone in phones:
        phone.server = (servers[0].host, servers[0].port)
        phone.register()
    for phone in phones:
        call_through(servers[1], phone, stack)
    assert workers == [server.worker(rank).pid for server in servers for rank in (1, 2)]


def drop_location(url: str) -> None:
    async def drop() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP TABLE location")
        await connection.close()

    asyncio.run(drop())
