"""A received SIP message: its lines indexed once, everything else parsed when asked for, once.

Owns reading; it never changes (see edits.py) and knows nothing of sockets, scripts or time.
"""

from __future__ import annotations

import re

from kamailiod.sip.header_names import CANONICAL, canonical
from kamailiod.sip.name_addr import NameAddr, parse_addresses, parse_name_addr
from kamailiod.sip.uri import Uri, parameter_value, parse_uri
from kamailiod.sip.via import Via, parse_top_via, parse_vias

_TOKEN = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_FOLD = re.compile(rb"(?<![ \t])(?:[ \t]*+\r\n[ \t]++)++")
_LONE_LF = re.compile(rb"(?<!\r)\n")
_STATUS_LINE = re.compile(rb"(?i:SIP)/([0-9]+\.[0-9]+) ([0-9]+)(?: (.*))?\Z", re.DOTALL)
_REQUEST_LINE = re.compile(
    rb"(\S+)([ \t]+)(\S(?:.*\S)?)([ \t]+)(?i:SIP)/([0-9]+\.[0-9]+)([ \t]*)\Z", re.S
)

MAX_CSEQ = 2**31
"""CSeq numbers must be below this (RFC 3261 8.1.1.5)."""


class SipMessage:
    """One request or reply.

    `lines` are the start line and the raw header lines without their CRLF (a folded header is one
    line with its folds kept), `index` maps canonical header names to line numbers, `body` is what
    Content-Length says.  `fault` is None, or why the message is malformed, with `fault_status` the
    answer it deserves (0: silence).  `transaction_key` and `loop_value` are kept here once somebody
    has worked them out.
    """

    __slots__ = (
        "_bodies", "_contacts", "_cseq", "_from", "_from_tag", "_to", "_to_tag", "_top_via",
        "_uri", "_vias", "body", "call_id", "data", "fault", "fault_status", "index",
        "is_request", "lines", "loop_value", "method", "reason", "status", "transaction_key",
        "uri_text",
    )  # fmt: skip

    def __init__(self, data: bytes, lines: list[bytes], body: bytes) -> None:
        self.data = data
        self.lines = lines
        self.body = body
        self.index: dict[bytes, list[int]] = {}
        self.is_request = True
        self.method = b""
        self.uri_text = b""
        self.status = 0
        self.reason = b""
        self.call_id = b""
        self.fault: str | None = None
        self.fault_status = 400
        self.transaction_key: tuple[object, ...] | None = None
        self.loop_value = -1
        self._bodies: list[bytes] = []
        self._top_via: Via | None = None
        self._vias: tuple[Via, ...] | None = None
        self._from: NameAddr | bool | None = False
        self._to: NameAddr | bool | None = False
        self._from_tag: bytes | None = None
        self._to_tag: bytes | None = None
        self._cseq: tuple[int, bytes] | None = None
        self._uri: Uri | bool | None = False
        self._contacts: tuple[NameAddr, ...] | None = None

    def header(self, name: bytes) -> bytes | None:
        """Return the body of the first header of this canonical name, unfolded; None if absent."""
        numbers = self.index.get(name)
        return self._bodies[numbers[0]].strip() if numbers else None

    def headers(self, name: bytes) -> list[bytes]:
        """Return the bodies of all headers of this canonical name, unfolded, in order."""
        bodies = self._bodies
        return [bodies[number].strip() for number in self.index.get(name, ())]

    def addresses(self, name: bytes) -> list[NameAddr] | None:
        """Parse all headers of a name as address lists; None when any of them is malformed."""
        found: list[NameAddr] = []
        for body in self.headers(name):
            parsed = parse_addresses(body)
            if not parsed:
                return None
            found.extend(parsed)
        return found

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via entries, topmost first; empty when there is none or the first line is broken."""
        if self._vias is None:
            found: tuple[Via, ...] = ()
            for body in self.headers(b"via"):
                found += parse_vias(body)
            self._vias = found
        return self._vias

    @property
    def top_via(self) -> Via | None:
        """The topmost Via, parsed without the others; None when there is none or it is broken."""
        if self._top_via is None:
            body = self.header(b"via")
            self._top_via = parse_top_via(body) if body is not None else None
        return self._top_via

    @property
    def uri(self) -> Uri | None:
        """The request URI as received; None in replies and when malformed."""
        if self._uri is False:
            self._uri = parse_uri(self.uri_text) if self.is_request else None
        return self._uri  # type: ignore[return-value]  # False means "not parsed yet" only

    @property
    def from_(self) -> NameAddr | None:
        """The From address, None when absent or malformed."""
        if self._from is False:
            body = self.header(b"from")
            self._from = parse_name_addr(body) if body is not None else None
        return self._from  # type: ignore[return-value]  # False means "not parsed yet" only

    @property
    def to(self) -> NameAddr | None:
        """The To address, None when absent or malformed."""
        if self._to is False:
            body = self.header(b"to")
            self._to = parse_name_addr(body) if body is not None else None
        return self._to  # type: ignore[return-value]  # False means "not parsed yet" only

    @property
    def from_tag(self) -> bytes:
        """The From tag, empty when absent."""
        if self._from_tag is None:
            self._from_tag = _tag(self.header(b"from"))
        return self._from_tag

    @property
    def to_tag(self) -> bytes:
        """The To tag, empty when absent."""
        if self._to_tag is None:
            self._to_tag = _tag(self.header(b"to"))
        return self._to_tag

    @property
    def cseq(self) -> tuple[int, bytes]:
        """The CSeq number and method; (-1, b"") when absent or malformed."""
        if self._cseq is None:
            parts = (self.header(b"cseq") or b"").split()
            valid = len(parts) == 2 and parts[0].isdigit() and len(parts[0]) < 20
            self._cseq = (int(parts[0]), parts[1]) if valid else (-1, b"")
        return self._cseq

    @property
    def contacts(self) -> tuple[NameAddr, ...] | None:
        """All Contact addresses; None when any is malformed; `*` is one with that URI text."""
        if self._contacts is None:
            found = self.addresses(b"contact")
            if found is None:
                return None
            self._contacts = tuple(found)
        return self._contacts

    def take_contacts(self, contacts: tuple[NameAddr, ...]) -> None:
        """Have the Contact addresses given as others than the header says: where they really are.

        Who saves contacts sees these; the header and its variables stay as received.
        """
        self._contacts = contacts

    def number(self, name: bytes) -> int | None:
        """Return a header's body as a non-negative integer; None when absent, none or absurd."""
        body = self.header(name)
        return int(body) if body is not None and body.isdigit() and len(body) < 19 else None

    @property
    def content_type(self) -> bytes:
        """The Content-Type body, empty when absent."""
        return self.header(b"content-type") or b""


def line_body(line: bytes) -> bytes:
    """Return what stands behind the colon of a raw header line, unfolded and trimmed."""
    body = line[line.find(b":") + 1 :].strip()
    return _FOLD.sub(b" ", body) if b"\n" in body else body


def parse(data: bytes, stream: bool = False) -> SipMessage:
    """Index one message; `fault` of the result tells when it is malformed.

    Octets behind Content-Length are dropped (RFC 3261 18.3); `stream` says that framing has
    already cut the body.
    """
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return _parse_ragged(data, stream)
    lines = data[:head_end].split(b"\r\n")
    message = SipMessage(data, lines, data[head_end + 4 :])
    parts = lines[0].split(b" ")
    if len(parts) == 3 and parts[2] == b"SIP/2.0" and parts[0] != b"SIP/2.0":
        message.method = parts[0]
        message.uri_text = parts[1]
    elif not _start_line(message, lines[0]):
        return message
    _index_lines(message)
    if message.fault is None:
        _check_essentials(message)
    return message


def _parse_ragged(data: bytes, stream: bool) -> SipMessage:
    # Bare LF line ends, or no empty line at all (RFC 4475 3.1.2.15 as archived): the latter is a
    # truncated message, answered when enough of it is there.
    text = _LONE_LF.sub(b"\r\n", data)
    if b"\r\n\r\n" in text and text != data:
        return parse(text, stream)
    message = SipMessage(data, text.split(b"\r\n"), b"")
    if _start_line(message, message.lines[0]):
        _index_lines(message)
    message.fault = message.fault or "no empty line at the end of the headers"
    return message


def _start_line(message: SipMessage, line: bytes) -> bool:
    status = _STATUS_LINE.match(line)
    if status is not None:
        version, code, reason = status.groups()
        message.is_request = False
        message.status = int(code) if len(code) < 10 else 0
        message.reason = reason or b""
        if version != b"2.0" or not 100 <= message.status <= 699 or len(code) != 3:
            message.fault, message.fault_status = "bad status line", 0
            return False
        return True
    request = _REQUEST_LINE.match(line)
    if request is None or not _TOKEN.match(request.group(1)):
        message.fault, message.fault_status = "bad first line", 0
        return False
    message.method, before, message.uri_text, behind, version, trailing = request.groups()
    _index_lines(message)
    if version != b"2.0":
        message.fault, message.fault_status = "SIP version not supported", 505
    elif before != b" " or behind != b" " or trailing or b" " in message.uri_text:
        message.fault = "white space in the request line"
    return message.fault is None


def _index_lines(message: SipMessage) -> None:
    index = message.index
    if index:
        return None
    bodies = message._bodies
    add = bodies.append
    names = CANONICAL.get
    for number, line in enumerate(message.lines):
        name, colon, body = line.partition(b":")
        add(body)
        key = names(name)
        if key is None:
            if not number:
                continue
            if not colon or not name or name[0] <= 32:
                return _index_folded(message)
            key = canonical(name)
        if key in index:
            index[key].append(number)
        else:
            index[key] = [number]
    return None


def _index_folded(message: SipMessage) -> None:
    # The uncommon path: continuation lines, or lines that are no header at all.
    message.index.clear()
    groups: list[list[bytes]] = []
    for line in message.lines:
        if line[:1] in (b" ", b"\t") and len(groups) > 1:
            groups[-1].append(line)
        else:
            groups.append([line])
    message.lines = joined = [b"\r\n".join(group) for group in groups]
    message._bodies[:] = [line_body(line) for line in joined]
    for number, line in enumerate(joined):
        if number == 0:
            continue
        colon = line.find(b":")
        if colon <= 0 or line[0] <= 32 or not _TOKEN.match(line[:colon].rstrip(b" \t")):
            message.fault = message.fault or "a line that is no header"
            continue
        message.index.setdefault(canonical(line[:colon]), []).append(number)


_SINGLE = (b"call-id", b"cseq", b"from", b"to")
_METHODS = frozenset(
    b"INVITE ACK BYE CANCEL REGISTER OPTIONS MESSAGE SUBSCRIBE NOTIFY PUBLISH INFO PRACK UPDATE "
    b"REFER".split()
)


def _check_essentials(message: SipMessage) -> None:
    index = message.index
    for name in _SINGLE:
        if name not in index or len(index[name]) != 1:
            how = "more than one" if name in index else "no"
            message.fault = f"{how} {name.decode()} header"
            return
    message.call_id = message._bodies[index[b"call-id"][0]].strip()
    number, method = message.cseq
    if message.top_via is None:
        message.fault = "no valid Via header"
    elif not 0 <= number < MAX_CSEQ:
        message.fault = "bad CSeq number"
    elif message.is_request and method != message.method:
        message.fault = "CSeq method does not match the request method"
    elif method not in _METHODS and not _TOKEN.match(method):
        message.fault = "bad method"
    elif b"content-length" in index:
        _cut_body(message)


def _tag(body: bytes | None) -> bytes:
    # Behind the last ">" only header parameters stand, so a plain search will do unless quoted.
    if body is None:
        return b""
    behind = body[body.rfind(b">") + 1 :]
    if b'"' in behind:
        address = parse_name_addr(body)
        return address.tag if address is not None else b""
    start = behind.find(b";tag=")
    if start < 0:
        start = behind.find(b";")
        return parameter_value(behind[start:], b"tag") or b"" if start >= 0 else b""
    end = behind.find(b";", start + 5)
    return (behind[start + 5 :] if end < 0 else behind[start + 5 : end]).strip()


def _cut_body(message: SipMessage) -> None:
    first, *others = message.index[b"content-length"]
    text = message._bodies[first].strip()
    if not text.isdigit() or len(text) > 9 or (
        others and any(body != text for body in message.headers(b"content-length"))
    ):  # fmt: skip
        message.fault = "bad Content-Length"
        return
    length = int(text)
    if len(message.body) != length:
        if len(message.body) < length:
            message.fault = "Content-Length larger than the message"
        else:
            message.body = message.body[:length]
