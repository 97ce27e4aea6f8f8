"""Transactions that a script has put aside: t_suspend, t_continue and what ends them otherwise.

Owns who is suspended in this worker; it knows the proxy core, no module and no Lua.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Route
from kamailiod.script.relay import Relay, RouteRunner
from kamailiod.sip.transaction import ClientTransaction, TimerHandle, Transaction
from kamailiod.sip.transaction_tables import TERMINATED

_RANK_SHIFT = 16


class Suspension:
    """The suspended transactions of one worker, by the label of their identity.

    `tell(rank, index, label, route)` has another worker continue one of its own.
    """

    def __init__(
        self, relay: Relay, runner: RouteRunner, rank: int,
        tell: Callable[[int, int, int, bytes], bool],
    ) -> None:  # fmt: skip
        self._relay = relay
        self._runner = runner
        self._rank = rank
        self._tell = tell
        self._suspended: dict[int, tuple[Transaction, TimerHandle]] = {}

    def suspend(self, context: Context) -> bool:
        """Keep the context's transaction, made when there is none; False when it has an answer.

        Without `resume` it fails like a branch that timed out, after fr_timer: failure route, 408.
        """
        relay = self._relay
        server = relay.transaction(context)
        if server.final_code or server.suspended:
            return False
        if server.is_invite and not server.last_reply:
            relay.reply(server, 100, relay.settings.trying_reason)
        server.suspended = True
        timer = server.effects.schedule(relay.timing(context).fr_timer, self._timed_out, server)
        self._suspended[server.identity[1]] = (server, timer)
        return True

    def resume(
        self, index: int, label: int, route: bytes | Callable[[Context], None]
    ) -> bool:
        """Run a route over a suspended transaction; False when there is none of this identity.

        A transaction that the route neither relays, answers nor suspends again is answered 500.
        A route that is a callable is called with the context instead, and must call `settle`.
        """
        server = self.take(index, label)
        if server is None or server.final_code:
            return False
        run: Context = server.context.derive(Route.FAILURE)
        run.branches = list(server.context.branches)
        if isinstance(route, bytes):
            self._runner.run_route(run, route, lambda ok: self.settle(run))
        else:
            route(run)
        return True

    def resume_anywhere(self, index: int, label: int, route: bytes) -> bool:
        """Do as `resume`, also for a transaction of another worker; False when it is not known."""
        rank = index >> _RANK_SHIFT
        if rank != self._rank:
            return self._tell(rank, index, label, route)
        return self.resume(index, label, route)

    def take(self, index: int, label: int) -> Transaction | None:
        """Undo a suspension; the transaction, None when it was not suspended."""
        server, timer = self._suspended.get(label, (None, None))
        if server is None or timer is None or server.identity[0] != index:
            return None
        del self._suspended[label]
        timer.cancel()
        server.suspended = False
        return server

    def settle(self, run: Context) -> None:
        """Answer a continued transaction when its route has left it without a future."""
        server = run.transaction
        if server is None or server.final_code or server.suspended:
            return
        if any(not client.has_final for client in server.branches):
            return
        settings = self._relay.settings
        error = run.shared.notes.pop("tm_error", None)
        code, reason = (
            error if isinstance(error, tuple) else (settings.default_code, settings.default_reason)
        )
        self._relay.reply(server, code, reason)

    def _timed_out(self, server: Transaction) -> None:
        if self.take(*server.identity) is None or server.final_code:
            return
        # Stands for the branch that a suspended transaction has not made (Kamailio's blind UAC).
        blind = ClientTransaction(
            server, len(server.branches), b"", b"", server.target, True, server.is_invite,
            server.timing, server.effects, server.user,
        )  # fmt: skip
        blind.code = 408
        blind.state = TERMINATED
        server.branches.append(blind)
        self._relay.client_failed(blind, 408)

    def __len__(self) -> int:
        return len(self._suspended)
