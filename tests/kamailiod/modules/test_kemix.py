"""KSR.kx; values are Kamailio 5.6.3's for the same message."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.kemix import Kemix
from kamailiod.script.module import declared
from tests.kamailiod.fakes import FakeServices, context_of

OPTIONS = (Path(__file__).parents[2] / "messages" / "options-with-body.sip").read_bytes()

VALUES = {
    "get_ruri": b"sip:joe;x=1@a.example:99;x=1", "get_ouri": b"sip:joe;x=1@a.example:99;x=1",
    "get_furi": b"sip:ann@127.0.0.1", "get_turi": b"sip:bob@b.example", "get_fuser": b"ann",
    "gete_fhost": b"127.0.0.1", "get_tuser": b"bob", "get_thost": b"b.example",
    "get_rhost": b"a.example", "gete_ua": b"", "getw_ua": b"<null>", "get_ua": None,
    "get_duri": None, "gete_duri": b"", "getw_duri": b"<null>", "get_srcip": b"127.0.0.1",
    "get_srcport": 5080, "get_srcuri": b"sip:127.0.0.1:5080",
    "get_srcaddr_sock": b"udp:127.0.0.1:5080", "get_rcvip": b"127.0.0.1", "get_rcvport": 5060,
    "get_rcvadvip": b"127.0.0.1", "get_rcvadvport": 5060,
    "get_rcvaddr_sock": b"udp:127.0.0.1:5060", "get_proto": b"udp", "get_protoid": 1,
    "get_au": None, "getw_au": b"<null>", "get_method": b"OPTIONS", "get_status": -1,
    "gets_status": None, "get_body": b"hello world", "get_bodylen": 11, "get_callid": b"c1",
    "get_conid": -1, "get_msglen": len(OPTIONS), "get_msgbuf": OPTIONS, "get_msgtype": 1,
    "get_send_sock": None, "get_send_sock_name": None, "get_send_sock_port": 0,
    "get_rcv_sock_name": None, "get_cturi": b"sip:me@1.1.1.1",
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_value(services: FakeServices, name: str) -> None:
    kemix: Kemix = services.load(Kemix)
    assert getattr(kemix, name)(context_of(OPTIONS)) == VALUES[name]


def test_every_function_answers_for_requests_and_replies(services: FakeServices) -> None:
    kemix: Kemix = services.load(Kemix)
    reply = OPTIONS.replace(b"OPTIONS sip:joe;x=1@a.example:99;x=1 SIP/2.0", b"SIP/2.0 200 OK")
    for method, declaration in declared(kemix, "kemi"):
        if declaration.names[0].split(".")[1] in ("get_def", "get_defn", "ifdef", "ifndef",
                                                  "get_env", "get_envn"):
            continue
        for data in (OPTIONS, reply):
            assert isinstance(getattr(kemix, method)(context_of(data)), (bytes, int, type(None)))
    answered = context_of(reply)
    assert (kemix.get_status(answered), kemix.gets_status(answered)) == (200, b"200")
    assert kemix.get_msgtype(answered) == 2


def test_defines_and_environment(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    kemix: Kemix = services.load(Kemix)
    services.defines = {"WITH_X": "", "N": "42"}
    monkeypatch.setenv("KX_TEST", "17")
    context = context_of(OPTIONS)
    assert kemix.ifdef(context, b"WITH_X")
    assert kemix.ifndef(context, b"WITH_Y")
    assert (kemix.get_def(context, b"N"), kemix.get_defn(context, b"N")) == (b"42", 42)
    assert (kemix.get_def(context, b"M"), kemix.get_defn(context, b"M")) == (b"", 0)
    assert (kemix.get_env(context, b"KX_TEST"), kemix.get_envn(context, b"KX_TEST")) == (b"17", 17)
    assert kemix.get_env(context, b"KX_NONE") == b""
