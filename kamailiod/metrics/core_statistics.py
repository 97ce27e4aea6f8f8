"""The names of the core's statistics: Kamailio's, and those of the process model here.

Owns names only; Statistics holds the numbers, who counts them are receive.py, net and server.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

HANDLING: Final = "core:handling"
HANDLING_BOUNDS: Final = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0,
)  # fmt: skip

_METHODS = (
    "invite", "ack", "bye", "cancel", "options", "register", "info", "message", "notify", "prack",
    "publish", "refer", "subscribe", "update",
)  # fmt: skip

# Method on the wire -> the statistic that counts its requests; others count as
# core:unsupported_methods.
REQUEST_STATISTICS: Final = MappingProxyType(
    {method.upper().encode(): f"core:rcv_requests_{method}" for method in _METHODS}
)

_REPLY_CLASSES: Final = tuple(f"core:rcv_replies_{number}xx" for number in range(1, 7))

# Kamailio counts these codes besides their class; 180 to 189 count as 18x.
_REPLY_CODES: Final = (401, 404, 407, 480, 486)

# Kamailio's other names for the REGISTER column.
_REPLY_METHODS: Final = (
    (b"INVITE", "invite"), (b"BYE", "bye"), (b"CANCEL", "cancel"), (b"REGISTER", "reg"),
    (b"MESSAGE", "message"), (b"PRACK", "prack"), (b"REFER", "refer"), (b"UPDATE", "update"),
)  # fmt: skip

# What goes down as well as up: set to 0 in a process that starts.
GAUGES: Final = frozenset({"core:tcp_connections", "tm:inuse_transactions"})


def reply_statistics(code: int, method: bytes) -> tuple[str, ...]:
    """Return the statistics a received reply counts in, besides core:rcv_replies.

    `method` is that of its CSeq.  Keep the counters of a (code, method) in a dict: there are few.
    """
    if not 100 <= code <= 699:
        return ()
    name = _REPLY_CLASSES[code // 100 - 1]
    found = [name]
    if code in _REPLY_CODES:
        found.append(f"core:rcv_replies_{code}")
    elif 180 <= code <= 189:
        found.append("core:rcv_replies_18x")
    found += [f"{name}_{column}" for known, column in _REPLY_METHODS if known == method]
    return tuple(found)


CORE_STATISTICS: Final = (
    "core:rcv_requests",
    *REQUEST_STATISTICS.values(),
    "core:rcv_replies",
    *_REPLY_CLASSES,
    *(f"core:rcv_replies_{code}" for code in _REPLY_CODES),
    "core:rcv_replies_18x",
    *(f"{name}_{column}" for name in _REPLY_CLASSES for _, column in _REPLY_METHODS),
    "core:fwd_requests",
    "core:fwd_replies",
    "core:drop_requests",
    "core:drop_replies",
    "core:err_requests",
    "core:err_replies",
    "core:bad_URIs_rcvd",
    "core:bad_msg_hdr",
    "core:unsupported_methods",
    "core:malformed_requests",
    "core:malformed_replies",
    "core:datagrams_rcvd",
    "core:datagrams_sent",
    "core:empty_datagrams",
    "core:keepalives",
    "core:send_failures",
    "core:steered",
    "core:handed_over",
    "core:mailbox_full",
    "core:tcp_connections",
    "core:waits",
    "core:waits_refused",
    "core:script_errors",
    "core:worker_restarts",
)
