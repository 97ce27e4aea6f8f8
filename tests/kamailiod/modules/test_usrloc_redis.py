"""Location tables on a Redis: from Lua, by several servers at once, on a cluster, away and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from kamailiod.modules.registrar import Registrar
from kamailiod.modules.registration.redis_only import RedisLocations
from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.module import RpcFault
from shm import Binding
from tests.database_servers import free_port
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.registering import answer, request
from tests.redis_servers import RedisCluster, RedisServer

SAVE = "return KSR.registrar.save('location', 0)"
KEY = "kamailiod:location:location:"
LOOKUP = "return KSR.registrar.lookup('location')"


class Server:
    """A registrar with its own loop, as a process has them."""

    def __init__(self, url: str, **params: object) -> None:
        self.services = FakeServices()
        self.loop = self.services.loop = asyncio.new_event_loop()
        self.url = url
        self.usrloc: Usrloc = self.services.load(Usrloc, db_url=url, db_mode=3, **params)
        self.registrar: Registrar = self.services.load(Registrar)
        self.services.start()
        self.lua = LuaCalls(self.services, [self.registrar, self.usrloc])
        assert isinstance(self.usrloc.stored, RedisLocations)
        self.stored = self.usrloc.stored

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def contacts(self, aor: bytes = b"alice") -> list[bytes] | None:
        found = cast("list[Binding] | None", self.run(self.stored.read(b"location", aor)))
        return None if found is None else [binding.contact for binding in found]

    def close(self) -> None:
        self.run(self.services.redis.server(self.url).close())
        self.run(self.loop.shutdown_default_executor())
        self.services.close()
        self.loop.close()


@pytest.fixture
def servers() -> Iterator[Any]:
    made: list[Server] = []

    def make(url: str, **params: object) -> Server:
        made.append(Server(url, **params))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def one(servers: Any, redis_url: str) -> Server:
    return cast(Server, servers(redis_url))


@pytest.fixture
def other(servers: Any, redis_url: str) -> Server:
    return cast(Server, servers(redis_url))


def test_what_one_server_saves_the_other_finds(one: Server, other: Server) -> None:
    phone = request(["<sip:a@h>;q=0.3", "<sip:b@h>;q=0.9"])
    assert one.lua(phone, SAVE) == 1
    both = "<sip:b@h>;q=0.9;expires=3600, <sip:a@h>;q=0.3;expires=3600"
    assert answer(one.services)[1]["Contact"] == both
    assert one.usrloc.locations.total().records == 0
    call = request(method="INVITE", uri="sip:alice@example.com")
    assert other.lua(call, LOOKUP) == 1
    assert (call.uri, [branch.uri for branch in call.branches]) == (b"sip:b@h", [b"sip:a@h"])
    assert other.lua(call, "return KSR.registrar.registered_uri('location', 'sip:bob@h')") == -1
    assert other.lua(call, "return KSR.registrar.registered_uri('location', 'sip:alice@h')") == 1
    assert other.lua(request(["<sip:a@h>;expires=0"], cseq=2), SAVE) == 3
    assert one.contacts() == [b"sip:b@h"]
    assert one.lua(call, "return KSR.registrar.unregister('location', 'sip:alice@h')") == 1
    assert other.contacts() == []


def test_every_field_comes_back(one: Server, other: Server) -> None:
    now = int(time.time())
    binding = Binding(
        b"sip:a@h", b"sip:192.0.2.1", b"<sip:edge;lr>", now + 60, 250, b"call", 7, 1, 1 << 31,
        "Ph\u00f6ne".encode(), b"udp:127.0.0.1:5060", 5951, b"<urn:uuid:1>", 2, b"uloc-1", 0, 3,
        now + 0.5, 1, 2, b"more",
    )  # fmt: skip
    assert put(one, b"alice", binding._replace(connection_id=4))
    assert other.run(other.stored.read(b"location", b"alice")) == [binding]
    assert other.run(other.stored.of_ruid(b"location", b"uloc-1")) == (b"alice", binding)
    assert other.run(other.stored.of_ruid(b"location", b"uloc-2")) is None


def put(server: Server, aor: bytes, *bindings: Binding) -> object:
    work = server.stored.update(
        b"location", aor, lambda fetched: fetched.update(aor, lambda old: [*old, *bindings])
    )
    return server.run(work)


def contact(ruid: bytes, expires: int) -> Binding:
    return Binding(
        b"sip:%b@h" % ruid, b"", b"", expires, -1, b"c", 1, 0, 0, b"", b"", 0xFFFFFFFF, b"", 0,
        ruid, 0, 0, 0.0,
    )  # fmt: skip


def test_many_who_change_one_user_at_once_lose_nothing(one: Server, other: Server) -> None:
    """Each of them begins anew when another was faster; what all see in the end is all of it."""
    later = int(time.time()) + 600

    async def add(server: Server, number: int) -> object:
        new = contact(b"uloc-%d" % number, later)
        return await server.stored.update(
            b"location", b"alice", lambda f: f.update(b"alice", lambda old: [*old, new])
        )

    async def all_at_once() -> list[object]:
        return await asyncio.gather(*(add(one, number) for number in range(40)))

    assert one.run(all_at_once()) == [True] * 40
    assert put(other, b"alice", contact(b"uloc-x", later))
    assert sorted(one.contacts() or ()) == sorted(
        [*(b"sip:uloc-%d@h" % number for number in range(40)), b"sip:uloc-x@h"]
    )


def test_a_change_begins_anew_when_another_server_was_faster(
    one: Server, redis_server: RedisServer
) -> None:
    later = int(time.time()) + 600
    put(one, b"alice", contact(b"uloc-1", later))
    seen: list[int] = []

    def work(fetched: Any) -> int:
        seen.append(len(fetched.before))
        if len(seen) == 1:
            # What another server's change is to this one.
            redis_server.command("DEL", f"{KEY}alice")
        fetched.update(b"alice", lambda old: [*old, contact(b"uloc-2", later)])
        return len(seen)

    assert one.run(one.stored.update(b"location", b"alice", work)) == 2
    assert seen == [1, 0]
    assert one.contacts() == [b"sip:uloc-2@h"]

    def never(fetched: Any) -> int:
        redis_server.command("HSET", f"{KEY}alice", "", str(time.time_ns()))
        fetched.update(b"alice", lambda old: [])
        return 1

    assert one.run(one.stored.update(b"location", b"alice", never)) is None
    assert one.contacts() == [b"sip:uloc-2@h"]


def test_expired_contacts_are_told_once_and_abandoned_ones_vanish(
    one: Server, other: Server, redis_server: RedisServer
) -> None:
    now = int(time.time())
    told: list[bytes] = []
    for server in (one, other):
        server.usrloc.on_expired(lambda table, aor, gone: told.append(gone.ruid))
    put(one, b"alice", contact(b"uloc-1", now - 5), contact(b"uloc-2", now + 600))
    put(one, b"bob", contact(b"uloc-3", now - 5))
    put(one, b"carol", contact(b"uloc-4", 0))
    for server in (one, other):
        server.run(server.usrloc._expire_stored())
    assert sorted(told) == [b"uloc-1", b"uloc-3"]
    assert (one.contacts(), other.contacts(b"bob")) == ([b"sip:uloc-2@h"], [])
    assert redis_server.command("EXISTS", f"{KEY}bob") == b":0\r\n"
    assert redis_server.command("TTL", f"{KEY}carol") == b":-1\r\n"
    left = int(redis_server.command("TTL", f"{KEY}alice")[1:])
    assert 600 <= left <= 600 + 2 * 60
    # A refresh of which the hint was lost is no expiry.
    redis_server.command("ZADD", "kamailiod:location-expiry:location", "1", "uloc-2\0alice")
    one.run(one.usrloc._expire_stored())
    assert one.contacts() == [b"sip:uloc-2@h"]
    assert len(told) == 2


def test_the_rpc_commands(one: Server) -> None:
    now = int(time.time())
    put(one, b"alice", contact(b"uloc-1", now + 60), contact(b"uloc-2", now - 5))
    put(one, b"b[o]*b", contact(b"uloc-3", now + 60))
    usrloc = one.usrloc
    counts = [usrloc.ul_db_users, usrloc.ul_db_contacts, usrloc.ul_db_expired_contacts]
    assert [one.run(count("location")) for count in counts] == [2, 2, 1]
    shown = one.run(usrloc.ul_dump("brief"))["Domains"][0]["Domain"]["AoRs"]
    assert sorted(user["Info"]["AoR"] for user in shown) == ["alice", "b[o]*b"]
    found = one.run(usrloc.ul_lookup("location", "b[o]*b"))
    assert found["Contacts"][0]["Contact"]["Address"] == "sip:uloc-3@h"
    call = request(method="INVITE", uri="sip:alice@example.com")
    remove = "return KSR.registrar.unregister_ruid('location', '', 'uloc-3')"
    assert [one.lua(call, remove), one.lua(call, remove)] == [1, -3]


def test_away_and_back(one: Server, redis_server: RedisServer) -> None:
    phone = request(["<sip:a@h>"])
    call = request(method="INVITE", uri="sip:alice@example.com")
    redis_server.kill()
    started = time.monotonic()
    assert one.lua(phone, SAVE) == -1
    assert answer(one.services)[0].startswith("500")
    assert one.lua(call, LOOKUP) < 0
    with pytest.raises(RpcFault):
        one.run(one.usrloc.ul_dump(""))
    assert time.monotonic() - started < 5
    redis_server.start()
    assert one.lua(request(["<sip:a@h>"]), SAVE) == 1
    assert one.lua(call, LOOKUP) == 1


def test_what_a_redis_refuses_is_a_failure_and_logged_once(
    one: Server, redis_server: RedisServer
) -> None:
    redis_server.command("SET", f"{KEY}alice", "mine")
    for _ in range(2):
        assert one.lua(request(["<sip:a@h>"]), SAVE) == -1
        assert answer(one.services)[0].startswith("500")
    assert len([line for line in one.services.lines if "refuses HGETALL: WRONGTYPE" in line]) == 1
    redis_server.command("DEL", f"{KEY}alice")
    redis_server.command("HSET", f"{KEY}alice", "ruid", "no contact")
    assert one.contacts() == []


def test_a_cluster(servers: Any, redis_cluster: RedisCluster) -> None:
    one, other = servers(redis_cluster.url), servers(redis_cluster.url)
    later = int(time.time()) + 600
    names = [b"user%d" % number for number in range(12)]
    for name in names:
        assert put(one, name, contact(b"uloc-" + name, later))
    assert [other.contacts(name) for name in names] == [[b"sip:uloc-%b@h" % name] for name in names]
    items = other.run(other.stored.all(b"location"))
    assert sorted(aor for aor, _ in items) == sorted(names)
    found = other.run(other.stored.of_ruid(b"location", b"uloc-user3"))
    assert found is not None and found[0] == b"user3"


@pytest.mark.parametrize(
    ("url", "mode"), [("redis://127.0.0.1:6379/0", 1), ("redis://127.0.0.1:6379/0?what=1", 3)]
)
def test_what_cannot_be(services: FakeServices, url: str, mode: int) -> None:
    services.load(Usrloc, db_url=url, db_mode=mode)
    with pytest.raises(ValueError, match="usrloc"):
        services.start()


def test_a_redis_that_is_away_is_no_reason_not_to_start(servers: Any) -> None:
    assert servers(f"redis://127.0.0.1:{free_port()}").contacts() is None


def test_servers_of_the_same_second_and_process_name_contacts_differently(
    one: Server, other: Server
) -> None:
    """As two containers do that are started together: their processes have the same numbers."""
    first, second = (server.usrloc.locations.next_ruid() for server in (one, other))
    assert first != second


def test_the_contacts_of_one_server_only(servers: Any, redis_url: str) -> None:
    one, own = servers(redis_url), servers(redis_url, server_id_filter=1)
    later = int(time.time()) + 600
    put(one, b"alice", contact(b"uloc-1", later)._replace(server_id=7), contact(b"uloc-2", later))
    assert own.contacts() == [b"sip:uloc-2@h"]
    assert own.run(own.stored.of_ruid(b"location", b"uloc-1")) is None
    put(own, b"alice", contact(b"uloc-3", later))
    assert sorted(one.contacts()) == [b"sip:uloc-%d@h" % number for number in (1, 2, 3)]
    put(one, b"bob", contact(b"uloc-4", 0)._replace(server_id=7))
    put(own, b"bob", contact(b"uloc-5", later))
    ttl = own.run(own.services.redis.server(redis_url).command("TTL", f"{KEY}bob"))
    assert ttl == -1
