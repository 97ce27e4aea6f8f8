"""A phone of which a test moves every finger: it sends and expects single messages."""

from __future__ import annotations

import hashlib
import itertools
import re
import select
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from tests.end_to_end.sip_text import Received, compose, tag, uri_of

Headers = Sequence[tuple[str, str]]
_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)")
_numbers = itertools.count(1)


@dataclass
class Call:
    """One dialog, or what may become one, from one side.

    `routes` are the Route values of requests within it; `target` is the URI that they are for.
    """

    call_id: str
    local: str
    remote: str
    target: str
    cseq: int = 1
    routes: tuple[str, ...] = ()
    branch: str = ""


class Peer:
    """A SIP user with one socket; a TCP one is a connection to the server."""

    def __init__(
        self, server: tuple[str, int], user: str = "alice", transport: str = "udp",
        bind: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:  # fmt: skip
        self.server = server
        self.user = user
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(type=kind)
        self.socket.bind(bind)
        if transport == "tcp":
            self.socket.connect(server)
        self.host, self.port = self.socket.getsockname()
        self.backlog: list[Received] = []
        self._buffer = b""
        self.closed = False

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.socket.close()

    @property
    def uri(self) -> str:
        transport = ";transport=tcp" if self.transport == "tcp" else ""
        return f"sip:{self.user}@{self.host}:{self.port}{transport}"

    def send(self, data: bytes) -> None:
        if self.transport == "udp":
            self.socket.sendto(data, self.server)
        else:
            self.socket.sendall(data)

    def expect(self, what: str | int, seconds: float = 6.0, call_id: str = "") -> Received:
        """Wait for a request of a method or a reply with a code; others stay in `backlog`."""

        def fits(message: Received) -> bool:
            if call_id and message.call_id != call_id:
                return False
            if isinstance(what, int):
                return message.status == what
            return not message.status and message.method == what

        return self.expect_that(fits, str(what), seconds)

    def expect_that(
        self, fits: Callable[[Received], bool], what: str, seconds: float = 6.0
    ) -> Received:
        deadline = time.monotonic() + seconds
        while True:
            for message in self.backlog:
                if fits(message):
                    self.backlog.remove(message)
                    return message
            left = deadline - time.monotonic()
            starts = [message.start for message in self.backlog]
            assert left > 0 and not self.closed, f"{self.user} waits for {what}, has {starts}"
            self._receive(left)

    def expect_close(self, seconds: float = 6.0) -> None:
        """Wait until the server has closed the connection."""
        deadline = time.monotonic() + seconds
        while not self.closed:
            assert time.monotonic() < deadline, "the connection stays open"
            self._receive(0.2)

    def drain(self) -> list[Received]:
        """Return everything that has come and was not expected yet."""
        while select.select([self.socket], [], [], 0)[0] and not self.closed:
            self._receive(0)
        found, self.backlog = self.backlog, []
        return found

    def _receive(self, seconds: float) -> None:
        if not select.select([self.socket], [], [], seconds)[0]:
            return
        if self.transport == "udp":
            data, address = self.socket.recvfrom(65536)
            self.backlog.append(Received(data, address))
            return
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.closed = not data
        self._buffer += data
        self._cut()

    def _cut(self) -> None:
        while True:
            self._buffer = self._buffer.lstrip(b"\r\n")
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if not separator or len(rest) < size:
                return
            self.backlog.append(Received(head + separator + rest[:size], self.server))
            self._buffer = rest[size:]

    def via(self, branch: str) -> str:
        return f"SIP/2.0/{self.transport.upper()} {self.host}:{self.port};rport;branch={branch}"

    def request(
        self, method: str, call: Call, headers: Headers = (), body: str = "", branch: str = "",
    ) -> Call:  # fmt: skip
        """Send a request of a call; returns the call with the branch that was used."""
        used = branch or f"z9hG4bK{uuid.uuid4().hex[:16]}"
        all_headers = [
            ("Via", self.via(used)), *(("Route", route) for route in call.routes),
            ("Max-Forwards", "70"), ("From", call.local), ("To", call.remote),
            ("Call-ID", call.call_id), ("CSeq", f"{call.cseq} {method}"), *headers,
        ]  # fmt: skip
        if method in ("INVITE", "REGISTER", "SUBSCRIBE") and not any(
            name == "Contact" for name, _ in headers
        ):
            all_headers.append(("Contact", f"<{self.uri}>"))
        self.send(compose(f"{method} {call.target} SIP/2.0", all_headers, body))
        return replace(call, branch=used)

    def new_call(self, callee: str, call_id: str = "") -> Call:
        """Return a call to a user of the server, or to a URI."""
        host, port = self.server
        target = callee if callee.startswith("sip:") else f"sip:{callee}@{host}:{port}"
        return Call(
            call_id or f"{uuid.uuid4().hex}@{self.host}",
            f"<sip:{self.user}@{host}:{port}>;tag=c{next(_numbers)}", f"<{target}>", target,
        )  # fmt: skip

    def invite(self, callee: str, headers: Headers = (), call_id: str = "") -> Call:
        return self.request("INVITE", self.new_call(callee, call_id), headers)

    def ack_failure(self, call: Call, reply: Received) -> None:
        """ACK a final reply of 300 and above (RFC 3261 17.1.1.3)."""
        failed = replace(call, remote=reply.header("To"))
        self.request("ACK", failed, branch=call.branch)

    def answered(self, call: Call, reply: Received) -> Call:
        """Return the dialog that a 2xx made, after its ACK was sent."""
        dialog = replace(
            call, remote=reply.header("To"), target=uri_of(reply.header("Contact")),
            routes=tuple(reversed(reply.values("Record-Route"))),
        )  # fmt: skip
        self.request("ACK", dialog)
        return replace(dialog, cseq=call.cseq + 1)

    def reply(
        self, request: Received, code: int, reason: str = "x", headers: Headers = (),
        local_tag: str = "",
    ) -> None:  # fmt: skip
        """Answer a request where it came from."""
        to = request.header("To")
        if code > 100 and not tag(to):
            to += f";tag={local_tag or self.user + str(self.port)}"
        copied = [
            (name, value)
            for name in ("Via", "Record-Route", "From", "Call-ID", "CSeq")
            for value in request.headers(name)
        ]
        if request.method == "INVITE" and code < 300:
            copied.append(("Contact", f"<{self.uri}>"))
        self.send(compose(f"SIP/2.0 {code} {reason}", [*copied, ("To", to), *headers]))

    def callee_dialog(self, invite: Received, local_tag: str = "") -> Call:
        """Return the dialog as the callee has it once it sent a 2xx."""
        return Call(
            invite.call_id, f"{invite.header('To')};tag={local_tag or self.user + str(self.port)}",
            invite.header("From"), uri_of(invite.header("Contact")), 1,
            tuple(invite.values("Record-Route")),
        )  # fmt: skip

    def register(
        self, password: str = "", contact: str = "", expires: int = 600, call_id: str = "",
    ) -> Received:
        """Register, with digest when there is a password; returns the 200."""
        host, port = self.server
        address = f"<sip:{self.user}@{host}>"
        call = Call(
            call_id or uuid.uuid4().hex + "@reg", f"{address};tag=r{next(_numbers)}", address,
            f"sip:{self.user}@{host}:{port}",
        )  # fmt: skip
        headers = [("Contact", contact or f"<{self.uri}>"), ("Expires", str(expires))]
        self.request("REGISTER", call, headers)
        if password:
            challenge = self.expect(401, call_id=call.call_id).header("WWW-Authenticate")
            call.cseq += 1
            answer = digest(challenge, "REGISTER", call.target, self.user, password)
            self.request("REGISTER", call, [*headers, ("Authorization", answer)])
        return self.expect(200, call_id=call.call_id)

    def ping(self, call_id: str = "") -> Received:
        """Have the worker that owns the Call-ID answer: all it got before is done by then."""
        call = self.new_call(f"sip:{self.server[0]}:{self.server[1]}", call_id or uuid.uuid4().hex)
        call.cseq = 9000 + next(_numbers)
        # A tag and no Route: the guide's script answers such a request with 403.
        call.remote += ";tag=ping"
        self.request("OPTIONS", call)
        return self.expect_that(
            lambda m: bool(m.status) and m.headers("CSeq") == [f"{call.cseq} OPTIONS"], "ping"
        )


def digest(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """Return the credentials for a challenge (RFC 2617, MD5; qop auth when offered)."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    realm, nonce = fields["realm"], fields["nonce"]
    secret = _md5(f"{user}:{realm}:{password}")
    what = _md5(f"{method}:{uri}")
    start = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}"'
    if "qop" in fields:
        response = _md5(f"{secret}:{nonce}:00000001:abcd:auth:{what}")
        return f'{start}, qop=auth, nc=00000001, cnonce="abcd", response="{response}"'
    return f'{start}, response="{_md5(f"{secret}:{nonce}:{what}")}"'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
