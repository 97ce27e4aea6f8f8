"""tm: requests that a script makes, and small questions about transactions.

Owns reading the script's header text; sending is tm_request.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from kamailiod.modules.core_functions.header_text import header_lines
from kamailiod.modules.tm_functions.local_request import LocalRequest
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context, Route
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from kamailiod.script.transactions import Transactions
from kamailiod.sip.header_names import canonical
from kamailiod.sip.message import SipMessage, line_body

_OWN = frozenset((b"from", b"to", b"call-id", b"cseq", b"via", b"max-forwards", b"content-length"))
_COPY_FLAGS = 1


class OwnRequests:
    """t_uac_send, and looking transactions up."""

    services: Services
    transactions: Transactions
    send_request: Callable[[LocalRequest, Callable[[int, SipMessage | None], object]], bool]
    t_check_trans: Callable[[Context], int]

    @kemi("tm.t_uac_send")
    def t_uac_send(
        self, context: Context, method: bytes, uri: bytes, next_hop: bytes, socket: bytes,
        headers: bytes, body: bytes,
    ) -> int:  # fmt: skip
        """Send a request of the script's: 1 sent, -1 not.

        `headers` must hold From; To, Call-ID and CSeq are made when missing.  `next_hop` and
        `socket` may be empty.
        """
        lines = header_lines(headers)
        given = {canonical(line.partition(b":")[0]): line_body(line) for line in lines}
        if not method or not uri or not given.get(b"from"):
            return -1
        from_ = given[b"from"]
        if b";tag=" not in from_:
            from_ += b";tag=" + uuid4().hex.encode()
        number = given.get(b"cseq", b"1").split()
        request = LocalRequest(
            method, uri, from_, given.get(b"to") or b"<" + uri + b">",
            given.get(b"call-id") or self._call_id(),
            int(number[0]) if number and number[0].isdigit() else 1,
            headers=tuple(
                line for line in lines if canonical(line.partition(b":")[0]) not in _OWN
            ),
            body=body, next_hop=next_hop,
            socket=next((s for s in self.services.network.sockets if s.text == socket), None),
        )  # fmt: skip
        return 1 if self.send_request(request, _ignore) else -1

    def _call_id(self) -> bytes:
        # The answers must come to the worker that sends.
        services = self.services
        offset = max(0, services.settings.call_id_hash_offset)
        while True:
            made = uuid4().hex.encode()
            if owner_rank(made, services.worker_count, offset) == max(services.rank, 1):
                return made

    @kemi("tm.t_lookup_request", native=(), routes=Route.REQUEST)
    def t_lookup_request(self, context: Context) -> int:
        """Return 1 when the request belongs to a transaction, else -1."""
        return self.t_check_trans(context)

    @kemi("tm.t_lookup_cancel_flags", native="t_lookup_cancel", routes=Route.REQUEST)
    def t_lookup_cancel_flags(self, context: Context, flags: int) -> int:
        """Return 1 when a CANCEL matches an INVITE here, else -1; flag 1 takes over its flags."""
        if context.message.method != b"CANCEL":
            return -1
        server = self.transactions.find_invite(context.message)
        if server is None:
            return -1
        if flags & _COPY_FLAGS:
            context.shared.flags = server.context.shared.flags
        return 1

    @kemi("tm.t_save_lumps", routes=Route.REQUEST)
    def t_save_lumps(self, context: Context) -> int:
        """Return 1 in a transaction, else -1: changes made so far stay in all later branches."""
        return 1 if context.transaction is not None else -1

    @kemi("tm.t_use_uac_headers")
    def t_use_uac_headers(self, context: Context) -> int:
        """Return 1: CANCEL and ACK are always made of the request as it was sent."""
        return 1

    @kemi("tm.t_is_retr_async_reply", routes=Route.ONREPLY)
    def t_is_retr_async_reply(self, context: Context) -> int:
        """Return -1: a reply that comes again while its route waits is not given to scripts."""
        return -1

    @kemi("tm.t_clean")
    def t_clean(self, context: Context) -> int:
        """Return 1: transactions end by their timers, and none is left over."""
        return 1


def _ignore(status: int, reply: SipMessage | None) -> None:
    """Take the final reply to a request whose script does not ask for it."""
