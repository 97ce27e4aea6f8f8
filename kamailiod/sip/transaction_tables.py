"""The four transaction state machines of RFC 3261 section 17 and RFC 6026, as tables.

A table maps (state, event) to (next state, actions); a pair that is not there changes nothing.
It knows no message and no clock: transaction.py carries the actions out.
"""

from __future__ import annotations

from typing import Final

CALLING: Final = 0
TRYING: Final = 1
PROCEEDING: Final = 2
COMPLETED: Final = 3
CONFIRMED: Final = 4
ACCEPTED: Final = 5
TERMINATED: Final = 6

REQUEST: Final = 0
"""A retransmission of the request came in."""
ACK: Final = 1
PROVISIONAL: Final = 2
"""A 1xx: received by a client transaction, to be sent by a server transaction."""
SUCCESS: Final = 3
FAILURE: Final = 4
RETRANSMIT: Final = 5
"""Timer A, E or G."""
TIMEOUT: Final = 6
"""Timer B, C, F or H."""
WAITED: Final = 7
"""Timer D, I, J, K, L or M."""
TRANSPORT_ERROR: Final = 8
EVENTS: Final = (
    "request", "ack", "provisional", "success", "failure", "retransmit", "timeout", "waited",
    "transport error",
)  # fmt: skip

SEND: Final = 0
"""Client: send the request (again). Server: send the last reply (again)."""
PASS: Final = 1
"""Hand the reply to the transaction user."""
SEND_ACK: Final = 2
BACK_OFF: Final = 3
"""Start the retransmission timer with its next interval."""
STOP_RETRANSMIT: Final = 4
START_INVITE_TIMEOUT: Final = 5
"""Replace the timeout by fr_inv_timer (timer C)."""
STOP_TIMEOUT: Final = 6
START_TIMEOUT: Final = 7
"""Start timer H: fr_timer from now on."""
START_WAIT: Final = 8
REPORT_TIMEOUT: Final = 9
REPORT_ERROR: Final = 10
END: Final = 11

Step = tuple[int, tuple[int, ...]]
Table = dict[tuple[int, int], Step]

# RFC 3261 figure 5 with RFC 6026 figure 4: ACCEPTED passes retransmitted 2xx on.
INVITE_CLIENT: Final[Table] = {
    (CALLING, RETRANSMIT): (CALLING, (SEND, BACK_OFF)),
    (CALLING, TIMEOUT): (TERMINATED, (STOP_RETRANSMIT, REPORT_TIMEOUT, END)),
    (CALLING, TRANSPORT_ERROR): (TERMINATED, (STOP_RETRANSMIT, STOP_TIMEOUT, REPORT_ERROR, END)),
    (CALLING, PROVISIONAL): (PROCEEDING, (STOP_RETRANSMIT, START_INVITE_TIMEOUT, PASS)),
    (CALLING, SUCCESS): (ACCEPTED, (STOP_RETRANSMIT, STOP_TIMEOUT, PASS, START_WAIT)),
    (CALLING, FAILURE): (COMPLETED, (STOP_RETRANSMIT, STOP_TIMEOUT, SEND_ACK, PASS, START_WAIT)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (START_INVITE_TIMEOUT, PASS)),
    (PROCEEDING, SUCCESS): (ACCEPTED, (STOP_TIMEOUT, PASS, START_WAIT)),
    (PROCEEDING, FAILURE): (COMPLETED, (STOP_TIMEOUT, SEND_ACK, PASS, START_WAIT)),
    # Timer C: the branch is called off, and its 487 still needs an ACK.
    (PROCEEDING, TIMEOUT): (COMPLETED, (REPORT_TIMEOUT, START_WAIT)),
    (COMPLETED, FAILURE): (COMPLETED, (SEND_ACK,)),
    (COMPLETED, WAITED): (TERMINATED, (END,)),
    (ACCEPTED, SUCCESS): (ACCEPTED, (PASS,)),
    (ACCEPTED, WAITED): (TERMINATED, (END,)),
}

# RFC 3261 figure 6.
NON_INVITE_CLIENT: Final[Table] = {
    (TRYING, RETRANSMIT): (TRYING, (SEND, BACK_OFF)),
    (TRYING, TIMEOUT): (TERMINATED, (STOP_RETRANSMIT, REPORT_TIMEOUT, END)),
    (TRYING, TRANSPORT_ERROR): (TERMINATED, (STOP_RETRANSMIT, STOP_TIMEOUT, REPORT_ERROR, END)),
    (TRYING, PROVISIONAL): (PROCEEDING, (PASS,)),
    (TRYING, SUCCESS): (COMPLETED, (STOP_RETRANSMIT, STOP_TIMEOUT, PASS, START_WAIT)),
    (TRYING, FAILURE): (COMPLETED, (STOP_RETRANSMIT, STOP_TIMEOUT, PASS, START_WAIT)),
    (PROCEEDING, RETRANSMIT): (PROCEEDING, (SEND, BACK_OFF)),
    (PROCEEDING, TIMEOUT): (TERMINATED, (STOP_RETRANSMIT, REPORT_TIMEOUT, END)),
    (PROCEEDING, TRANSPORT_ERROR): (
        TERMINATED, (STOP_RETRANSMIT, STOP_TIMEOUT, REPORT_ERROR, END),
    ),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (PASS,)),
    (PROCEEDING, SUCCESS): (COMPLETED, (STOP_RETRANSMIT, STOP_TIMEOUT, PASS, START_WAIT)),
    (PROCEEDING, FAILURE): (COMPLETED, (STOP_RETRANSMIT, STOP_TIMEOUT, PASS, START_WAIT)),
    (COMPLETED, WAITED): (TERMINATED, (END,)),
}  # fmt: skip

# RFC 3261 figure 7 with RFC 6026 figure 3: ACCEPTED absorbs retransmissions of the INVITE.
INVITE_SERVER: Final[Table] = {
    (PROCEEDING, REQUEST): (PROCEEDING, (SEND,)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (SEND,)),
    (PROCEEDING, SUCCESS): (ACCEPTED, (SEND, START_WAIT)),
    (PROCEEDING, FAILURE): (COMPLETED, (SEND, BACK_OFF, START_TIMEOUT)),
    (COMPLETED, REQUEST): (COMPLETED, (SEND,)),
    (COMPLETED, RETRANSMIT): (COMPLETED, (SEND, BACK_OFF)),
    (COMPLETED, ACK): (CONFIRMED, (STOP_RETRANSMIT, STOP_TIMEOUT, START_WAIT)),
    (COMPLETED, TIMEOUT): (TERMINATED, (STOP_RETRANSMIT, END)),
    (CONFIRMED, WAITED): (TERMINATED, (END,)),
    (ACCEPTED, SUCCESS): (ACCEPTED, (SEND,)),
    (ACCEPTED, WAITED): (TERMINATED, (END,)),
}

# RFC 3261 figure 8.
NON_INVITE_SERVER: Final[Table] = {
    (TRYING, PROVISIONAL): (PROCEEDING, (SEND,)),
    (TRYING, SUCCESS): (COMPLETED, (SEND, START_WAIT)),
    (TRYING, FAILURE): (COMPLETED, (SEND, START_WAIT)),
    (PROCEEDING, REQUEST): (PROCEEDING, (SEND,)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (SEND,)),
    (PROCEEDING, SUCCESS): (COMPLETED, (SEND, START_WAIT)),
    (PROCEEDING, FAILURE): (COMPLETED, (SEND, START_WAIT)),
    (COMPLETED, REQUEST): (COMPLETED, (SEND,)),
    (COMPLETED, WAITED): (TERMINATED, (END,)),
}


def reply_event(code: int) -> int:
    """Return the event that a reply of this code is."""
    return PROVISIONAL if code < 200 else SUCCESS if code < 300 else FAILURE
