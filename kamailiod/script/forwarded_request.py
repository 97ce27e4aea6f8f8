"""The bytes of a request on its way to one destination: Via, Record-Route, Max-Forwards, URI.

Owns what a proxy must change; where it goes and what comes back is the relay's.
"""

from __future__ import annotations

from kamailiod.net.address import Target
from kamailiod.script.context import Branch, Context
from kamailiod.script.path_header import NOTE as PATH_NOTE
from kamailiod.script.path_header import path_lines
from kamailiod.sip.build import build_forward, stamped_via
from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage
from kamailiod.sip.record_route import RecordRoute


def forwarded_request(
    context: Context, branch: Branch, target: Target, branch_id: bytes, edits: Edits
) -> bytes:
    """Return a context's request as it goes to one destination (RFC 3261 16.6 steps 1 to 8)."""
    message = context.message
    lines = [target.local.via_start + branch_id]
    record = context.shared.notes.get("record_route")
    if isinstance(record, RecordRoute):
        lines = record.lines(context.source.local.record, target.local.record) + lines
    if PATH_NOTE in context.shared.notes:
        lines += path_lines(context.shared.notes, context.source.local, target.local)
    if branch.path:
        lines.append(b"Route: " + branch.path)
    replaced = edits.replaced
    via_number = message.index[b"via"][0]
    if via_number not in replaced:
        stamped = _stamped(context)
        if stamped is not None:
            replaced[via_number] = stamped
    if "maxfwd" not in context.shared.notes:
        _decrement_max_forwards(message, edits)
    start = b"%s %s SIP/2.0" % (message.method, branch.uri)
    return build_forward(message, edits, start, lines, target.transport != b"udp")


def _stamped(context: Context) -> bytes | None:
    if context.transaction is not None:
        return context.transaction.via_line
    via = context.message.top_via
    source = context.source
    if via is None:
        return None
    return stamped_via(context.message, via, source.host, source.port, context.force_rport)


def _decrement_max_forwards(message: SipMessage, edits: Edits) -> None:
    numbers = message.index.get(b"max-forwards")
    if not numbers:
        if b"Max-Forwards: 70" not in edits.end:
            edits.end.append(b"Max-Forwards: 70")
        return
    if numbers[0] not in edits.replaced:
        left = message.number(b"max-forwards") or 0
        edits.replaced[numbers[0]] = b"Max-Forwards: %d" % max(left - 1, 0)

