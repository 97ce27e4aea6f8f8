"""Which of several final replies goes upstream (RFC 3261 16.7 steps 6 to 8).

Owns the choice only; collecting replies and sending is the relay's.
"""

from __future__ import annotations

from collections.abc import Iterable

from kamailiod.sip.message import SipMessage
from kamailiod.sip.transaction import ClientTransaction

_PREFERRED = (401, 407, 415, 420, 484)
"""4xx replies that tell the caller how to do better (RFC 3261 16.7 step 6)."""


def best_branch(
    branches: Iterable[ClientTransaction], sixth_class_first: bool = True
) -> ClientTransaction | None:
    """Return the branch with the best final reply: 6xx first, then the lowest class.

    Without `sixth_class_first` a 6xx is the worst one.
    """
    finals = [branch for branch in branches if branch.code >= 200]
    if not sixth_class_first and any(branch.code < 600 for branch in finals):
        finals = [branch for branch in finals if branch.code < 600]
    return min(finals, key=_rank, default=None)


def _rank(branch: ClientTransaction) -> tuple[int, int, int]:
    code = branch.code
    if code < 300:
        return (0, 0, code)
    if code >= 600:
        return (1, 0, code)
    # A reply that was received is better than a time-out made here, within a class.
    made_here = 0 if branch.reply is not None else 1
    return (code // 100, 0 if code in _PREFERRED else 1 + made_here, code)


def challenges(branches: Iterable[ClientTransaction], chosen: SipMessage) -> list[bytes]:
    """Return the challenge lines of the other 401 and 407 replies (RFC 3261 16.7 step 7)."""
    if chosen.status not in (401, 407):
        return []
    lines = []
    for branch in branches:
        reply = branch.reply
        if reply is None or reply is chosen or reply.status not in (401, 407):
            continue
        for name in (b"www-authenticate", b"proxy-authenticate"):
            lines += [reply.lines[number] for number in reply.index.get(name, ())]
    return lines
