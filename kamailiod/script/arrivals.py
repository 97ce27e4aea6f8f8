"""What comes in for transactions there are: retransmissions, ACKs, replies (RFC 3261 17).

Owns the order of the steps; it knows no module and no Lua.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Happening, Route
from kamailiod.script.relay import RouteRunner
from kamailiod.script.transactions import Transactions
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import ClientTransaction


class Arrivals:
    """Gives a worker's transactions what is theirs; `runner` runs the onreply routes."""

    def __init__(
        self, transactions: Transactions, runner: RouteRunner,
        count: Callable[[str], Callable[..., None]],
    ) -> None:  # fmt: skip
        self._transactions = transactions
        self._runner = runner
        self._absorbed = count("tm:absorbed")
        self._received = count("tm:received_replies")

    def absorb(self, message: SipMessage) -> bool:
        """Take a retransmission or the ACK of a negative reply; True when it ends here."""
        server = self._transactions.find(message)
        if server is None:
            return False
        if message.method == b"ACK":
            if not server.acknowledge():
                # The ACK of a 2xx with the INVITE's branch is end to end all the same.
                return server.final_code >= 300
            for listener in server.context.shared.listeners:
                listener(Happening.ACK_IN, server, message, server.final_code)
            return True
        self._absorbed()
        server.retransmission()
        return True

    def receive_reply(self, client: ClientTransaction, context: Context) -> None:
        """Run the onreply route that is armed, then let the transaction have the reply."""
        self._received()
        server = client.server
        name = server.context.shared.on_reply if client.index >= 0 else b""
        if not name:
            client.receive(context.message, context.edits or None)
            return
        context.route = Route.ONREPLY
        context.shared = server.context.shared
        context.transaction = server
        context.branch = client.index
        context.variables = server.context.variables

        def after(ok: bool) -> None:
            if context.dropped and context.message.status < 200:
                return
            client.receive(context.message, context.edits or None)

        self._runner.run_route(context, name, after)
