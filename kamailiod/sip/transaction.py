"""Client and server transactions (RFC 3261 17, RFC 6026): transaction_tables.py at work.

Owns states, retransmission and time-outs.  Time comes in as a scheduler, bytes go out through a
sender, and what a reply means to a proxy is decided by the transaction user above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kamailiod.sip import transaction_tables as tables
from kamailiod.sip.build import build_ack
from kamailiod.sip.message import SipMessage, parse


class TimerHandle(Protocol):
    """A scheduled call that can be called off."""

    def cancel(self) -> object:
        """Call it off; harmless when it has run."""


class Effects(Protocol):
    """What transactions do to the world: sending and waiting."""

    def send(self, target: Any, data: bytes) -> bool:
        """Send bytes; False when that failed at once."""

    def schedule(self, delay: float, callback: Callable[..., object], *args: Any) -> TimerHandle:
        """Call back after `delay` seconds."""


class TransactionUser(Protocol):
    """The proxy core: hears what its transactions receive and when they end."""

    def reply_received(self, client: ClientTransaction, reply: SipMessage) -> None:
        """A reply to pass on."""

    def client_failed(self, client: ClientTransaction, code: int) -> None:
        """No final reply came (408) or sending failed (503)."""

    def retransmitted(self) -> None:
        """A request or reply was sent again."""

    def client_ended(self, client: ClientTransaction) -> None:
        """A client transaction is over."""

    def server_ended(self, server: Transaction) -> None:
        """A server transaction is over."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Timer lengths in seconds, under Kamailio's names.

    retr_timer1 is T1 (A, E, G), retr_timer2 is T2, fr_timer is B, F and H, fr_inv_timer is C,
    wt_timer is D, I, J, K, L and M.
    """

    retr_timer1: float = 0.5
    retr_timer2: float = 4.0
    fr_timer: float = 30.0
    fr_inv_timer: float = 120.0
    wt_timer: float = 5.0


class Machine:
    """One state machine with its timers; subclasses say what the actions mean."""

    __slots__ = (
        "_interval", "_retransmission", "_timeout", "_wait", "effects", "reliable", "state",
        "table", "target", "timing", "user",
    )  # fmt: skip

    def __init__(
        self, table: tables.Table, state: int, target: Any, reliable: bool, timing: Timing,
        effects: Effects, user: TransactionUser,
    ) -> None:  # fmt: skip
        self.table = table
        self.state = state
        self.target = target
        self.reliable = reliable
        self.timing = timing
        self.effects = effects
        self.user = user
        self._interval = 0.0
        self._retransmission: TimerHandle | None = None
        self._timeout: TimerHandle | None = None
        self._wait: TimerHandle | None = None

    def step(self, event: int, message: SipMessage | None = None) -> bool:
        """Take an event; False when it means nothing in this state."""
        entry = self.table.get((self.state, event))
        if entry is None:
            return False
        self.state = entry[0]
        for action in entry[1]:
            _ACTIONS[action](self, message)
        return True

    @property
    def is_over(self) -> bool:
        """Whether the machine has ended."""
        return self.state == tables.TERMINATED

    def stop(self) -> None:
        """Drop all timers without any further effect."""
        for timer in (self._retransmission, self._timeout, self._wait):
            if timer is not None:
                timer.cancel()
        self._retransmission = self._timeout = self._wait = None

    def _send(self, message: SipMessage | None) -> None:
        raise NotImplementedError

    def _pass(self, message: SipMessage | None) -> None:
        raise NotImplementedError

    def _report(self, code: int) -> None:
        raise NotImplementedError

    def _send_ack(self, message: SipMessage | None) -> None:
        raise NotImplementedError

    def _end(self, message: SipMessage | None) -> None:
        raise NotImplementedError

    def _back_off(self, message: SipMessage | None) -> None:
        if self.reliable:
            return
        timing = self.timing
        interval = min(self._interval * 2, self._ceiling) if self._interval else timing.retr_timer1
        self._interval = interval
        self._retransmission = self.effects.schedule(interval, self.step, tables.RETRANSMIT)

    @property
    def _ceiling(self) -> float:
        return self.timing.retr_timer2

    def _stop_retransmit(self, message: SipMessage | None) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None

    def _start_timeout(self, message: SipMessage | None) -> None:
        self._stop_timeout(message)
        self._timeout = self.effects.schedule(self.timing.fr_timer, self.step, tables.TIMEOUT)

    def _start_invite_timeout(self, message: SipMessage | None) -> None:
        self._stop_timeout(message)
        self._timeout = self.effects.schedule(self.timing.fr_inv_timer, self.step, tables.TIMEOUT)

    def _stop_timeout(self, message: SipMessage | None) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _start_wait(self, message: SipMessage | None) -> None:
        self._wait = self.effects.schedule(self.timing.wt_timer, self.step, tables.WAITED)

    def _report_timeout(self, message: SipMessage | None) -> None:
        self._report(408)

    def _report_error(self, message: SipMessage | None) -> None:
        self._report(503)


_ACTIONS: tuple[Callable[[Machine, SipMessage | None], None], ...] = (
    lambda machine, message: machine._send(message),
    lambda machine, message: machine._pass(message),
    lambda machine, message: machine._send_ack(message),
    lambda machine, message: machine._back_off(message),
    Machine._stop_retransmit,
    Machine._start_invite_timeout,
    Machine._stop_timeout,
    Machine._start_timeout,
    Machine._start_wait,
    Machine._report_timeout,
    Machine._report_error,
    lambda machine, message: machine._end(message),
)
"""What each action number of transaction_tables.py does, by position."""


class ClientTransaction(Machine):
    """One branch of a transaction: a request sent to one target, and its replies.

    `code` is the last reply's (0: none yet; 408 and 503 also when made here), `reply` that reply
    and `edits` what the reply routes change in it; `on_failure` names the route to run when this
    branch fails.
    """

    __slots__ = (
        "branch_id", "cancel", "canceled", "code", "data", "edits", "flags", "index", "is_invite",
        "on_failure", "reply", "ruid", "server", "uri",
    )  # fmt: skip

    def __init__(
        self, server: Transaction, index: int, branch_id: bytes, data: bytes, target: Any,
        reliable: bool, is_invite: bool, timing: Timing, effects: Effects, user: TransactionUser,
    ) -> None:  # fmt: skip
        if is_invite:
            super().__init__(tables.INVITE_CLIENT, tables.CALLING, target, reliable, timing,
                             effects, user)  # fmt: skip
        else:
            super().__init__(tables.NON_INVITE_CLIENT, tables.TRYING, target, reliable, timing,
                             effects, user)  # fmt: skip
        self.server = server
        self.index = index
        self.branch_id = branch_id
        self.data = data
        self.is_invite = is_invite
        self.uri = b""
        self.flags = 0
        self.ruid = b""
        self.on_failure = b""
        self.code = 0
        self.reply: SipMessage | None = None
        self.canceled = False
        self.cancel: ClientTransaction | None = None
        self.edits: Any = None

    def start(self) -> bool:
        """Send the request and start the timers; False when sending failed at once."""
        if not self.effects.send(self.target, self.data):
            return False
        self._back_off(None)
        self._start_timeout(None)
        return True

    def receive(self, reply: SipMessage, edits: Any = None) -> None:
        """Take a reply that matches this branch; `edits` are of this one, by its lines."""
        before = self.edits
        self.edits = edits
        self.step(tables.reply_event(reply.status), reply)
        if self.reply is not reply:
            self.edits = before

    @property
    def has_final(self) -> bool:
        """Whether nothing more is to come: a final reply, a time-out or an error."""
        return self.code >= 200

    @property
    def sent(self) -> SipMessage:
        """The request as it was sent."""
        return parse(self.data)

    @property
    def _ceiling(self) -> float:
        # Timer A doubles without bound (17.1.1.2), timer E up to T2 (17.1.2.2).
        return 3600.0 if self.is_invite else self.timing.retr_timer2

    def _back_off(self, message: SipMessage | None) -> None:
        if self.state == tables.PROCEEDING:
            self._interval = self.timing.retr_timer2  # timer E once a 1xx came (17.1.2.2)
        super()._back_off(message)

    def _send(self, message: SipMessage | None) -> None:
        self.user.retransmitted()
        self.effects.send(self.target, self.data)

    def _send_ack(self, message: SipMessage | None) -> None:
        if message is not None:
            self.effects.send(self.target, build_ack(self.sent, message))

    def _pass(self, message: SipMessage | None) -> None:
        if message is not None:
            self.code = message.status
            self.reply = message
            self.user.reply_received(self, message)

    def _report(self, code: int) -> None:
        self.code = code
        self.reply = None
        self.user.client_failed(self, code)

    def _end(self, message: SipMessage | None) -> None:
        self.stop()
        self.user.client_ended(self)


class Transaction(Machine):
    """A server transaction and, in a proxy, the context of all its branches.

    `context` is what the layer above keeps with it; `final_code` is 0 until a final reply was
    sent; `identity` is (index, label), by which a suspended transaction is found again.
    """

    __slots__ = (
        "branches", "canceled", "context", "final_code", "identity", "is_invite", "key",
        "last_code", "last_reply", "local_callback", "request", "suspended", "to_tag", "via_line",
        "winner",
    )  # fmt: skip

    def __init__(
        self, key: Any, request: SipMessage, context: Any, target: Any, reliable: bool,
        timing: Timing, effects: Effects, user: TransactionUser, identity: tuple[int, int],
    ) -> None:  # fmt: skip
        self.is_invite = request.method == b"INVITE"
        if self.is_invite:
            super().__init__(tables.INVITE_SERVER, tables.PROCEEDING, target, reliable, timing,
                             effects, user)  # fmt: skip
        else:
            super().__init__(tables.NON_INVITE_SERVER, tables.TRYING, target, reliable, timing,
                             effects, user)  # fmt: skip
        self.key = key
        self.request = request
        self.context = context
        self.identity = identity
        self.branches: list[ClientTransaction] = []
        self.last_reply = b""
        self.last_code = 0
        self.final_code = 0
        self.to_tag = b""
        self.via_line: bytes | None = None
        self.canceled = False
        self.suspended = False
        self.winner: ClientTransaction | None = None
        self.local_callback: Callable[[int, SipMessage | None], object] | None = None

    def reply(self, code: int, data: bytes) -> bool:
        """Send a reply upstream; False when a final one was sent already (a further 2xx is not)."""
        if self.final_code and not (self.is_invite and code // 100 == 2 == self.final_code // 100):
            return False
        self.last_reply = data
        self.last_code = code
        if code >= 200:
            self.final_code = code
        return self.step(tables.reply_event(code))

    def retransmission(self) -> None:
        """Take a retransmission of the request: the last reply goes out again."""
        self.step(tables.REQUEST)

    def acknowledge(self) -> bool:
        """Take the ACK of a negative final reply; False when none was awaited."""
        return self.step(tables.ACK)

    @property
    def is_done(self) -> bool:
        """Whether the server side has ended and no branch is left."""
        return self.state == tables.TERMINATED and all(b.is_over for b in self.branches)

    def _send(self, message: SipMessage | None) -> None:
        if self.last_reply:
            self.effects.send(self.target, self.last_reply)

    def _back_off(self, message: SipMessage | None) -> None:
        if self._interval:
            self.user.retransmitted()
        super()._back_off(message)

    def _end(self, message: SipMessage | None) -> None:
        self.stop()
        self.user.server_ended(self)
