"""A dispatcher over a list of the test, called from Lua."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kamailiod.modules.dispatcher import Dispatcher
from kamailiod.modules.dispatching.destination import Destination
from kamailiod.modules.dispatching.states import state_letters
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from tests.kamailiod.fakes import LISTEN, FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

OTHER = ListenAddress(1, b"udp", b"127.0.0.2", 5062, name=b"outside")

LIST = """\
# setid destination flags priority attributes
1 sip:127.0.0.1:7001 0 0 duid=a;maxload=3;weight=30;rweight=10
1 sip:127.0.0.1:7002 0 0 duid=b;weight=70;rweight=30;socket=udp:127.0.0.2:5062

1 sip:127.0.0.1:7003;transport=udp 0 5 duid=c;foo=bar
2 sip:127.0.0.1:7004 8 0 cc=1;weight=50;rweight=50 # the only one that is pinged
2 sip:127.0.0.1:7005 2
2 sip:127.0.0.1:7006 1   # down
2 sip:127.0.0.1:7007 4
4 sip:127.0.0.1:7011
4 sip:127.0.0.1:7012
4 sip:127.0.0.1:7013
4 sip:127.0.0.1:7014
4 sip:127.0.0.1:7015
"""


class Balanced:
    """The module, its KSR table and what tests look at."""

    def __init__(
        self, services: FakeServices, folder: Path, text: str = LIST, **params: object
    ) -> None:
        self.file = folder / "dispatcher.list"
        self.file.write_text(text)
        params.setdefault("list_file", str(self.file))
        services.network.sockets = [LISTEN, OTHER]
        self.services = services
        self.module: Dispatcher = services.load(Dispatcher, **params)
        services.start()
        self.lua = LuaCalls(services, [self.module])

    def call(self, text: str, context: Context | None = None) -> Any:
        """Return what a Lua expression below KSR.dispatcher gives."""
        return self.lua(context or message(), f"return KSR.dispatcher.{text}")

    def chosen(self, set_id: int, algorithm: int, context: Context | None = None) -> str:
        """Return the last two digits of the port that a selection went to."""
        context = context or message()
        assert self.call(f"ds_select_dst({set_id}, {algorithm})", context) == 1
        return context.destination.decode().partition(";")[0][-2:]

    def destination(self, set_id: int, port: int) -> Destination:
        sets = self.module.balancer.sets()
        found = [d for d in sets.by_id[set_id].destinations if d.parsed.port == port]
        assert found
        return found[0]

    def states(self, set_id: int) -> dict[int, str]:
        """Return port -> letters of a set."""
        words = self.module.balancer.states.words
        return {
            one.parsed.port: state_letters(words[one.slot])
            for one in self.module.balancer.sets().by_id[set_id].destinations
        }

    def listed(self, context: Context) -> list[bytes]:
        """Return the URIs of the failover list."""
        records: Any = context.shared.xavps.get(b"_dsdst_", [])
        return [record[b"uri"][0] for record in records]


def message(
    method: str = "OPTIONS", call_id: str = "c1@x", from_: str = "sip:alice@a.example",
    to: str = "sip:bob@b.example", uri: str = "sip:bob@c.example", headers: Sequence[str] = (),
    source: tuple[bytes, int] = (b"127.0.0.1", 5080),
) -> Context:  # fmt: skip
    """Return the context of a request."""
    lines = [
        f"{method} {uri} SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKd",
        f"From: <{from_}>;tag=1", f"To: <{to}>", f"Call-ID: {call_id}", f"CSeq: 1 {method}",
        *headers, "Content-Length: 0", "", "",
    ]  # fmt: skip
    return context_of("\r\n".join(lines).encode(), source=source)


def reply(status: int, call_id: str) -> Context:
    """Return the context of a reply to an INVITE."""
    return context_of(
        f"SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bKd\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: {call_id}\r\n"
        "CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".encode()
    )
