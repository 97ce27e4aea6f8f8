"""REGISTER messages and what a fake server answers to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from kamailiod.modules.registrar import Registrar
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices, context_of

_branches = itertools.count()


def request(
    contacts: Iterable[str] = (),
    *,
    cseq: int = 1,
    call_id: str = "c1",
    headers: Iterable[str] = (),
    to: str = "<sip:alice@example.com>",
    method: str = "REGISTER",
    uri: str = "sip:example.com",
    source: tuple[bytes, int] = (b"127.0.0.1", 5080),
) -> Context:
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{next(_branches)}",
        f"From: {to};tag=f",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *(f"Contact: {contact}" for contact in contacts),
        *headers,
        "Content-Length: 0",
    ]
    return context_of(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), source=source)


def answer(services: FakeServices) -> tuple[str, dict[str, str]]:
    """The status line and the headers of the last answer, by name."""
    lines = services.network.sent[-1][1].decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines[1:] if line)
    return lines[0].removeprefix("SIP/2.0 "), {name: value for name, _, value in pairs}


class Phone:
    """Registers with one registrar and reads its answers."""

    def __init__(self, services: FakeServices, registrar: Registrar) -> None:
        self.services = services
        self.registrar = registrar
        self.cseq = 0

    def register(self, *contacts: str, flags: int = 0, **options: object) -> tuple[int, str, str]:
        """Send one REGISTER; what save() returned, the status, the Contact header."""
        self.cseq += 1
        options.setdefault("cseq", self.cseq)
        context = request(contacts, **options)  # type: ignore[arg-type]
        result = self.registrar.save(context, b"location", flags)
        assert isinstance(result, int)
        status, headers = answer(self.services)
        return result, status, headers.get("Contact", "")
