"""Which metric a statistic is: its name, its help, and those that share a labelled family.

Names only; it reads no number.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from kamailiod.metrics.core_statistics import CORE_STATISTICS, REQUEST_STATISTICS

_REPLY = re.compile(r"core:rcv_replies_([1-6]xx)(?:_([a-z]+))?")

REPLY_CLASSES: Final = MappingProxyType(
    {
        found[1]: name
        for name in CORE_STATISTICS
        if (found := _REPLY.fullmatch(name)) and not found[2]
    }
)

REPLY_METHODS: Final = MappingProxyType(
    {
        (found[1], "REGISTER" if found[2] == "reg" else found[2].upper()): name
        for name in CORE_STATISTICS
        if (found := _REPLY.fullmatch(name)) and found[2]
    }
)

# Statistics shown in kamailiod_requests_total and kamailiod_replies*_total instead of their own.
OWN_FAMILY: Final = frozenset(
    {
        *REQUEST_STATISTICS.values(), *REPLY_CLASSES.values(), *REPLY_METHODS.values(),
        "core:unsupported_methods",
    }
)  # fmt: skip

_HELP: Final = {
    "core:rcv_requests": "SIP requests received.",
    "core:rcv_replies": "SIP replies received.",
    "core:fwd_requests": "SIP requests forwarded.",
    "core:fwd_replies": "SIP replies forwarded.",
    "core:drop_requests": "SIP requests dropped before the script.",
    "core:drop_replies": "SIP replies dropped.",
    "core:err_requests": "SIP requests whose handling failed.",
    "core:err_replies": "SIP replies whose handling failed.",
    "core:bad_URIs_rcvd": "URIs that could not be parsed.",
    "core:bad_msg_hdr": "Messages with a header that could not be parsed.",
    "core:malformed_requests": "Datagrams like a request that are none.",
    "core:malformed_replies": "Datagrams like a reply that are none.",
    "core:datagrams_rcvd": "UDP datagrams received.",
    "core:datagrams_sent": "UDP datagrams sent.",
    "core:empty_datagrams": "UDP datagrams without content.",
    "core:keepalives": "CRLF keep-alives received.",
    "core:send_failures": "Messages that could not be sent.",
    "core:steered": "Messages that arrived at the worker which owns their call.",
    "core:handed_over": "Messages handed to the worker which owns their call.",
    "core:mailbox_full": "Messages lost because a worker's mailbox was full.",
    "core:tcp_connections": "Stream connections open.",
    "core:waits": "Waits of scripts.",
    "core:waits_refused": "Waits refused because too many requests wait.",
    "core:script_errors": "Script runs that ended with an error.",
    "core:worker_restarts": "Processes that died and were started again.",
    "tm:retransmissions": "Retransmissions sent.",
    "tm:absorbed": "Retransmissions received and absorbed.",
}


def metric_name(statistic: str) -> str:
    """Return the metric of a statistic "group:name": kamailiod_group_name."""
    return "kamailiod_" + re.sub(r"[^a-zA-Z0-9_]", "_", statistic)


def help_text(statistic: str) -> str:
    """Return the help of a statistic's metric."""
    return _HELP.get(statistic, f"Statistic {statistic}.")
