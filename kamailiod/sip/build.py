"""Writing SIP messages: replies, forwarded requests and replies, CANCEL and ACK.

Owns the bytes that go out; joins received lines with new ones and changes nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage, line_body
from kamailiod.sip.via import Via, parse_vias

CRLF = b"\r\n"
REASONS = {
    100: b"Trying", 180: b"Ringing", 181: b"Call Is Being Forwarded", 182: b"Queued",
    183: b"Session Progress", 200: b"OK", 202: b"Accepted", 300: b"Multiple Choices",
    301: b"Moved Permanently", 302: b"Moved Temporarily", 305: b"Use Proxy",
    400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found",
    405: b"Method Not Allowed", 406: b"Not Acceptable", 407: b"Proxy Authentication Required",
    408: b"Request Timeout", 410: b"Gone", 413: b"Request Entity Too Large",
    415: b"Unsupported Media Type", 416: b"Unsupported URI Scheme", 420: b"Bad Extension",
    423: b"Interval Too Brief", 478: b"Unresolvable destination",
    480: b"Temporarily Unavailable", 481: b"Call/Transaction Does Not Exist",
    482: b"Loop Detected", 483: b"Too Many Hops", 484: b"Address Incomplete",
    486: b"Busy Here", 487: b"Request Terminated", 488: b"Not Acceptable Here",
    500: b"Server Internal Error", 501: b"Not Implemented", 503: b"Service Unavailable",
    504: b"Server Time-out", 505: b"SIP Version not supported", 513: b"Message Too Large",
    600: b"Busy Everywhere", 603: b"Decline",
}  # fmt: skip
"""Usual reason phrases by code (RFC 3261 21)."""

_RPORT = re.compile(rb";\s*rport(?:\s*=[^;,\s]*)?(?=[\s;,]|\Z)", re.IGNORECASE)
_RECEIVED = re.compile(rb";\s*received\s*=\s*[^;,\s]*", re.IGNORECASE)


def stamped_via(
    message: SipMessage, via: Via, host: bytes, port: int, force_rport: bool
) -> bytes | None:
    """Return the first Via line with received and rport set, None when it needs neither.

    `host` and `port` are where the request came from (RFC 3261 18.2.1, RFC 3581 4).
    """
    rport = force_rport or (b"rport" in via.parameters and via.parameter(b"rport") is not None)
    via_host = via.host[1:-1] if via.host[:1] == b"[" else via.host
    if not rport and via_host == host:
        return None
    parameters = _RECEIVED.sub(b"", via.parameters)
    if rport:
        stamped = b";rport=%d" % port
        parameters, found = _RPORT.subn(stamped, parameters, count=1)
        if not found:
            parameters += stamped
    parameters += b";received=" + host
    line = message.lines[message.index[b"via"][0]]
    others = b"".join(b", " + bytes(v) for v in parse_vias(line_body(line))[1:])
    return b"Via: %s/%s/%s %s%s%s" % (
        via.name, via.version, via.transport, via.sent_by, parameters, others,
    )  # fmt: skip


def build_reply(
    request: SipMessage,
    via_line: bytes | None,
    code: int,
    reason: bytes,
    to_tag: bytes,
    lines: Iterable[bytes],
    body: bytes = b"",
) -> bytes:
    """Build a reply to a request (RFC 3261 8.2.6).

    `via_line` is the stamped first Via line (None: as received), `lines` further header lines,
    Content-Length excluded; `to_tag` goes to a To that has none.
    """
    received = request.lines
    index = request.index
    out = [b"SIP/2.0 %d %s" % (code, reason)]
    numbers = index.get(b"via", [])
    out.extend([received[number] for number in numbers])
    if via_line is not None and numbers:
        out[1] = via_line
    if 100 < code < 300 and b"record-route" in index:
        out.extend([received[number] for number in index[b"record-route"]])
    for name in (b"from", b"to", b"call-id", b"cseq"):
        if name in index:
            out.append(received[index[name][0]])
            if name == b"to" and to_tag and not (
                b"tag=" in out[-1].lower() and request.to_tag
            ):  # fmt: skip
                out[-1] = out[-1].rstrip() + b";tag=" + to_tag
    if code == 100 and b"timestamp" in index:
        out.append(received[index[b"timestamp"][0]])
    out.extend(lines)
    out.append(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    return CRLF.join(out)


def build_forward(
    message: SipMessage,
    edits: Edits,
    start_line: bytes,
    lines: Sequence[bytes],
    stream: bool = False,
) -> bytes:
    """Build a request as it goes to one destination: own lines on top, edits applied.

    Over a stream a missing Content-Length is added, because framing needs it (RFC 3261 18.3).
    """
    kept = edits.header_lines(message)
    body = message.body
    if edits.body is not None:
        body = edits.body
        kept = [line for line in kept if not _is_content_length(line)]
        kept.append(b"Content-Length: %d" % len(body))
    elif stream and b"content-length" not in message.index:
        kept.append(b"Content-Length: %d" % len(body))
    return CRLF.join((start_line, *lines, *kept, b"", body))


def build_relayed_reply(reply: SipMessage, edits: Edits | None, stream: bool = False) -> bytes:
    """Build a reply as it goes upstream: without its topmost Via, edits applied."""
    number = reply.index[b"via"][0]
    line = reply.lines[number]
    rest = parse_vias(line_body(line))[1:] if b"," in line else ()
    lines = reply.lines
    if edits is None and (not stream or b"content-length" in reply.index):
        if rest:
            below = b"Via: " + b", ".join(bytes(via) for via in rest)
            return CRLF.join((*lines[:number], below, *lines[number + 1 :], b"", reply.body))
        return CRLF.join((*lines[:number], *lines[number + 1 :], b"", reply.body))
    edits = edits.copy() if edits is not None else Edits()
    edits.replaced[number] = b"Via: " + b", ".join(bytes(via) for via in rest) if rest else None
    return build_forward(reply, edits, lines[0], (), stream)


def build_cancel(sent: SipMessage, lines: Sequence[bytes] = ()) -> bytes:
    """Build the CANCEL for a request as it was sent (RFC 3261 9.1); `lines` such as Reason."""
    return _hop_request(sent, b"CANCEL", sent.lines[sent.index[b"to"][0]], lines)


def build_ack(sent: SipMessage, reply: SipMessage) -> bytes:
    """Build the ACK for a negative final reply to an INVITE as it was sent (RFC 3261 17.1.1.3)."""
    return _hop_request(sent, b"ACK", reply.lines[reply.index[b"to"][0]], ())


def _hop_request(sent: SipMessage, method: bytes, to: bytes, more: Sequence[bytes]) -> bytes:
    lines = sent.lines
    index = sent.index
    via = line_body(lines[index[b"via"][0]])
    first = parse_vias(via)[0] if b"," in via else None
    return CRLF.join((
        b"%s %s SIP/2.0" % (method, sent.uri_text),
        b"Via: " + (bytes(first) if first is not None else via),
        *(lines[number] for number in index.get(b"route", ())),
        lines[index[b"from"][0]],
        to,
        lines[index[b"call-id"][0]],
        b"CSeq: %d %s" % (sent.cseq[0], method),
        b"Max-Forwards: 70",
        *more,
        b"Content-Length: 0\r\n\r\n",
    ))  # fmt: skip


def _is_content_length(line: bytes) -> bool:
    name = line[: line.find(b":")].strip().lower()
    return name in (b"content-length", b"l")
