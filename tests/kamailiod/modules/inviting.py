"""INVITE messages for tests of what scripts do with users and addresses."""

from __future__ import annotations

from kamailiod.modules.authentication.check import NOTE, Authorization
from kamailiod.script.context import Context, Route
from kamailiod.sip.digest import Credentials
from tests.kamailiod.fakes import context_of


def invite(
    uri: str = "sip:bob@example.com",
    from_: str = "sip:alice@example.com",
    to: str = "sip:bob@example.com",
    route: Route = Route.REQUEST,
) -> Context:
    """Return the context of an INVITE."""
    return context_of(
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKi\r\n"
        f"From: <{from_}>;tag=f\r\nTo: <{to}>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n"
        "Content-Length: 0\r\n\r\n".encode(),
        route,
    )


def authorize(context: Context, username: bytes, realm: bytes) -> Context:
    """Let credentials count as found right."""
    fields = {b"username": username, b"realm": realm}
    authorization = Authorization(Credentials(fields), 0)
    authorization.authorized = True
    context.shared.notes[NOTE] = authorization
    return context
