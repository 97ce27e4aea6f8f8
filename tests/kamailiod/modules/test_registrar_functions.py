"""Every function of the registrar called from Lua: its return value and what it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kamailiod.modules.registrar import Registrar
from kamailiod.modules.usrloc import Usrloc
from kamailiod.script.context import Branch, Context
from shm import Binding
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.registering import answer, request

ALICE = "'sip:alice@example.com'"
Start = Callable[..., LuaCalls]


@pytest.fixture
def start(services: FakeServices) -> Start:
    def make(usrloc: dict[str, object] | None = None, **params: object) -> LuaCalls:
        modules = [services.load(Usrloc, **(usrloc or {})), services.load(Registrar, **params)]
        services.start()
        return LuaCalls(services, modules)

    return make


def call() -> Context:
    return request(method="INVITE", uri="sip:alice@example.com")


def variable(services: FakeServices, context: Context, text: bytes) -> object:
    accessor = services.variables.compile(text)
    assert accessor is not None
    return accessor.get(context)


def save(lua: LuaCalls, *contacts: str, **options: object) -> Context:
    context = request(contacts, **options)  # type: ignore[arg-type]
    assert lua(context, "return KSR.registrar.save('location', 0)") > 0
    return context


def test_save_and_its_relatives(start: Start, services: FakeServices) -> None:
    lua = start()
    context = request(["<sip:a@h>"])
    assert lua(context, "return KSR.registrar.set_q_override('0.4')") == 1
    assert lua(context, f"return KSR.registrar.save_uri('location', 2, {ALICE})") == 1
    assert services.network.sent == []
    assert lua(context, "return KSR.registrar.reg_send_reply()") == 1
    assert answer(services)[1]["Contact"] == "<sip:a@h>;q=0.4;expires=3600"
    assert lua(context, "return KSR.registrar.add_sock_hdr('Sock-Info')") == 1
    assert context.edits.end == [b"Sock-Info: udp:127.0.0.1:5060"]
    assert lua(request(), "return KSR.registrar.save('location', 0)") == 4


def test_lookups(start: Start) -> None:
    lua = start()
    save(lua, "<sip:a@h>", "<sip:b@h>;q=0.5")
    save(lua, "<sip:c@h>", to="<sip:carol@example.com>")
    context = call()
    assert lua(context, "return KSR.registrar.lookup('location')") == 1
    assert (context.uri, [b.uri for b in context.branches]) == (b"sip:b@h", [b"sip:a@h"])
    context = call()
    carol = "'sip:carol@example.com'"
    assert lua(context, f"return KSR.registrar.lookup_uri('location', {carol})") == 1
    assert context.uri == b"sip:c@h"
    context = call()
    assert lua(context, f"return KSR.registrar.lookup_to_dset('location', {carol})") == 1
    assert (context.uri, len(context.branches)) == (b"sip:alice@example.com", 1)
    context = call()
    unknown, kept = Branch(b"sip:nobody@h"), Branch(b"sip:carol@h", b"sip:proxy")
    context.branches = [Branch(b"sip:carol@example.com"), unknown, kept]
    assert lua(context, "return KSR.registrar.lookup_branches('location')") == 1
    assert [b.uri for b in context.branches] == [
        b"sip:a@h", b"sip:c@h", b"sip:nobody@h", b"sip:carol@h",
    ]  # fmt: skip
    nobody = request(method="INVITE", uri="sip:nobody@h")
    assert lua(nobody, "return KSR.registrar.lookup_branches('location')") == -1


def test_registered_by_what_matches(start: Start) -> None:
    lua = start(xavp_cfg="reg")
    save(lua, "<sip:a@h>;received=sip:1.1.1.1:1", call_id="one")
    asks = f"return KSR.registrar.registered_flags('location', {ALICE}, %d)"
    assert lua(call(), "return KSR.registrar.registered('location')") == 1
    assert lua(call(), f"return KSR.registrar.registered_uri('location', {ALICE})") == 1
    assert lua(call(), "return KSR.registrar.registered_uri('location', 'foo:x')") == -1
    assert lua(call(), asks % 7) == 1, "the script said nothing"
    for field, flag, right in (
        (b"match_callid", 1, b"one"), (b"match_received", 2, b"sip:1.1.1.1:1"),
        (b"match_contact", 4, b"sip:a@h"),
    ):  # fmt: skip
        for value, expected in ((right, 1), (b"other", -1)):
            context = call()
            context.shared.xavps[b"reg"] = [{field: [value]}]
            assert lua(context, asks % flag) == expected
            assert lua(context, asks % (7 - flag)) == 1


def test_a_replys_user_is_that_of_to(start: Start) -> None:
    lua = start()
    save(lua, "<sip:a@h>")
    context = call()
    context.message.is_request = False
    context.uri = b""
    assert lua(context, "return KSR.registrar.registered('location')") == 1


def test_records_and_attributes(start: Start, services: FakeServices) -> None:
    lua = start({"xavp_contact": "attrs"}, xavp_rcd="rcd", xavp_rcd_mask=4)
    context = request(["<sip:a@h>;received=sip:1.1.1.1:1", "<sip:b@h>;q=0.9"])
    context.shared.xavps[b"attrs"] = [{b"colour": [b"red"], b"n": [5]}]
    assert lua(context, "return KSR.registrar.save('location', 0)") == 1
    assert variable(services, context, b"$xavp(rcd[0]=>contact)") == b"sip:b@h"
    context = call()
    assert lua(context, "return KSR.registrar.lookup('location')") == 1
    assert variable(services, context, b"$xavp(rcd[0]=>ruid)") == context.ruid
    assert variable(services, context, b"$xavp(rcd[0]=>received)") is None
    assert variable(services, context, b"$xavp(rcd[1]=>received)") == b"sip:1.1.1.1:1"
    assert variable(services, context, b"$xavp(rcd[0]=>expires)") is None, "masked"
    assert variable(services, context, b"$xavp(attrs[0]=>colour)") == b"red"
    assert variable(services, context, b"$xavp(attrs[0]=>n)") == 5
    for flags, restored, recorded in ((0, False, True), (3, True, False)):
        context = call()
        text = f"return KSR.registrar.registered_action('location', {ALICE}, 0, {flags})"
        assert lua(context, text) == 1
        assert (b"attrs" in context.shared.xavps) is restored
        assert (b"rcd" in context.shared.xavps) is recorded


def test_what_the_script_overrides(start: Start, services: FakeServices) -> None:
    lua = start(xavp_cfg="reg", max_contacts=1)
    context = request(["<sip:a@h>", "<sip:b@h>"])
    context.shared.xavps[b"reg"] = [
        {b"max_contacts": [2], b"expires": [120], b"q": [300], b"socket": [b"udp:9.9.9.9:5060"]}
    ]
    assert lua(context, "return KSR.registrar.save('location', 0)") == 1
    contacts = answer(services)[1]["Contact"]
    assert contacts == "<sip:a@h>;q=0.3;expires=120, <sip:b@h>;q=0.3;expires=120"
    lua(context, f"KSR.registrar.reg_fetch_contacts('location', {ALICE}, 'p')")
    assert variable(services, context, b"$ulc(p=>socket)") == b"udp:9.9.9.9:5060"


def test_unregister(start: Start) -> None:
    lua = start()
    save(lua, "<sip:a@h>", "<sip:b@h>")
    context = call()
    lua(context, "KSR.registrar.lookup('location')")
    ruid = context.ruid.decode()
    of_ruid = f"return KSR.registrar.unregister_ruid('location', {ALICE}, '%s')"
    assert [lua(context, of_ruid % text) for text in ("x", ruid, ruid)] == [-3, 1, -3]
    everyone = "return KSR.registrar.unregister('location', '%s')"
    assert lua(context, everyone % "sip:alice@example.com") == 1
    assert lua(call(), "return KSR.registrar.lookup('location')") == -1
    assert lua(context, everyone % "sip:alice@example.com") == 1, "as Kamailio has it"
    assert lua(context, everyone % "foo:x") == -1


def test_fetched_contacts(start: Start, services: FakeServices) -> None:
    lua = start()
    save(lua, "<sip:a@h>;q=0.5;expires=300", "<sip:b@h>", headers=["Allow: INVITE"])
    context = call()
    fetch = "return KSR.registrar.reg_fetch_contacts('location', '%s', 'p')"
    assert lua(context, fetch % "sip:alice@example.com") == 1

    def attribute(name: str, index: str = "") -> object:
        return variable(services, context, f"$(ulc(p=>{name}){index})".encode())

    assert attribute("addr") == b"sip:a@h"
    assert [attribute("addr", f"[{n}]") for n in range(3)] == [b"sip:a@h", b"sip:b@h", None]
    expected = {
        "aor": b"alice", "domain": b"location", "count": 2, "q": 500, "callid": b"c1", "cseq": 1,
        "path": b"", "received": b"", "instance": b"", "regid": 0, "methods": 1, "flags": 0,
        "cflags": 0, "user_agent": b"n/a", "socket": b"udp:127.0.0.1:5060", "conid": None,
        "server_id": 0, "aorhash": 0, "nonsense": None,
    }  # fmt: skip
    assert {name: attribute(name) for name in expected} == expected
    expires, modified = attribute("expires"), attribute("modified")
    assert isinstance(expires, int) and isinstance(modified, int)
    assert 299 <= expires - modified <= 301
    assert str(attribute("ruid")).startswith("b'uloc-")
    assert lua(context, "return KSR.registrar.ulc_rget('p', 'count')") == 2
    assert lua(context, "return KSR.registrar.ulc_cget('p', 'addr', 1)") == b"sip:b@h"
    assert lua(context, "return KSR.registrar.reg_free_contacts('p')") == 1
    assert attribute("addr") is None
    assert lua(context, "return KSR.registrar.reg_free_contacts('other')") == 1
    lua(context, fetch % "sip:alice@example.com")
    assert lua(context, fetch % "sip:nobody@h") == -1
    assert attribute("addr") is None


def test_reg_from_user(start: Start) -> None:
    lua = start()
    save(lua, "<sip:a@127.0.0.1:5080>")
    asks = f"return KSR.registrar.reg_from_user('location', {ALICE}, %d)"
    assert [lua(call(), asks % mode) for mode in (0, 3)] == [1, 1]
    assert lua(request(source=(b"10.9.9.9", 5080)), asks % 3) == -1


def test_filters_and_expired_contacts(start: Start, services: FakeServices) -> None:
    lua = start(
        xavp_cfg="reg", lookup_filter_mode=1, use_expired_contacts=1, method_filtering=1
    )
    context = request(["<sip:a@h>;expires=60", "<sip:b@h>"], headers=["Allow: INVITE"])
    context.branch_flags = 4
    lua(context, "KSR.registrar.save('location', 0)")
    table = services.modules[Usrloc].locations.table(b"location")  # type: ignore[attr-defined]
    table.update(b"alice", lambda old: [b._replace(expires=1, cflags=8) for b in old[:1]] + old[1:])
    for flags, uri in ((8, b"sip:a@h"), (4, b"sip:b@h")):
        context = call()
        context.shared.xavps[b"reg"] = [{b"rlf_bflags": [flags]}]
        assert lua(context, "return KSR.registrar.lookup('location')") == 1
        assert (context.uri, context.branches) == (uri, [])
    context = call()
    context.shared.xavps[b"reg"] = [{b"rlf_bflags": [16]}]
    assert lua(context, "return KSR.registrar.lookup('location')") == -1
    message = request(method="MESSAGE", uri="sip:alice@example.com")
    assert lua(message, "return KSR.registrar.lookup('location')") == -2
    message = request(method="MESSAGE", uri="sip:alice@example.com", to="<sip:x@h>;tag=in-dialog")
    assert lua(message, "return KSR.registrar.lookup('location')") == 1


def test_sockets_of_a_header_and_hops_of_our_own(start: Start, services: FakeServices) -> None:
    lua = start(
        sock_flag=5, sock_hdr_name="Sock-Info", use_path=1, path_mode=0, path_check_local=1
    )
    path = "Path: <sip:127.0.0.1;lr>, <sip:edge.example.org;lr>"
    context = request(["<sip:a@h>"], headers=["Sock-Info: udp:8.8.8.8:5060", path])
    context.shared.flags = 1 << 5
    lua(context, "KSR.registrar.save('location', 0)")
    context = call()
    lua(context, f"KSR.registrar.reg_fetch_contacts('location', {ALICE}, 'p')")
    assert variable(services, context, b"$ulc(p=>socket)") == b"udp:8.8.8.8:5060"
    lua(context, "KSR.registrar.lookup('location')")
    assert context.destination == b"sip:edge.example.org;lr"
    assert context.path == b"<sip:edge.example.org;lr>"


def test_an_expired_contact_is_told_to_the_script(start: Start, services: FakeServices) -> None:
    seen: list[object] = []
    start(event_callback="on_event")
    usrloc = services.modules[Usrloc]
    assert isinstance(usrloc, Usrloc)
    services.variables.register_module(services.modules[Registrar])

    def run_event(module: str, event: str, context: Context) -> None:
        address = variable(services, context, b"$ulc(exp=>addr)")
        seen.append((f"{module}:{event}", variable(services, context, b"$ulc(exp=>aor)"), address))

    services.script.run_event = run_event  # type: ignore[method-assign, assignment]
    services.script.call = lambda context, name, event: seen.append((name, event))  # type: ignore[attr-defined]
    old = Binding(
        b"sip:old@h", b"", b"", 5, -1, b"c", 1, 0, 0, b"", b"", 1, b"", 0, b"r", 0, 0, 1.0
    )
    usrloc.locations.table(b"location").update(b"alice", lambda _: [old])
    usrloc.expire()
    assert seen == [
        ("usrloc:contact-expired", b"alice", b"sip:old@h"), (b"on_event", b"usrloc:contact-expired")
    ]  # fmt: skip
