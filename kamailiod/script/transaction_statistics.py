"""tm's counts of transactions: made, in use, ended with which class of answer.

Owns counting only.
"""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context, Happening
from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import Transaction


class TransactionStatistics:
    """Counts the transactions of one process; `count` gives an increment for a name."""

    def __init__(self, count: Callable[[str], Callable[..., None]]) -> None:
        self._made = count("tm:UAS_transactions")
        self._in_use = count("tm:inuse_transactions")
        self._freed = count("tm:freed")
        self._by_class = {number: count(f"tm:{number}xx_transactions") for number in range(2, 7)}
        self._listener = self._heard

    def created(self, context: Context, server: Transaction) -> None:
        """Count a new server transaction, and its end when that comes."""
        self._made()
        self._in_use()
        context.shared.listeners.append(self._listener)

    def _heard(
        self, what: Happening, server: Transaction, message: SipMessage | None, code: int
    ) -> None:
        if what is not Happening.DESTROYED:
            return
        self._freed()
        self._in_use(-1)
        count = self._by_class.get(code // 100)
        if count is not None:
            count()
