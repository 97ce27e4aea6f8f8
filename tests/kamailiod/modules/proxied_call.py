"""A proxy script in Python over the real tm, rr, sl and dialog, and a caller and a callee."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kamailiod.modules.dialog import Dialogs
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.net.address import Source
from kamailiod.script.context import Context, Route
from kamailiod.sip.dialog import State
from kamailiod.sip.message import parse
from shm import DialogProfileStore
from tests.kamailiod.fakes import LISTEN, FakeScript, FakeServices, context_of
from workers import TimerWheel

CALLER, CALLEE = 5080, 5090
START = 1_700_000_000.0


class RecordingScript(FakeScript):
    """Keeps what each event saw of its dialog; `lua` names the functions of the script."""

    def __init__(self) -> None:
        super().__init__()
        self.lua: set[bytes] = set()
        self.on_event: Callable[[str, Context], object] = lambda name, context: None
        self.on_route: dict[bytes, Callable[[Context], object]] = {}

    def run_event(self, module: str, event: str, context: Context | None = None) -> None:
        super().run_event(module, event)
        assert context is not None
        self.on_event(event, context)

    def run_route(
        self, context: Context, name: bytes, done: Callable[[bool], None] | None = None
    ) -> bool:
        if name in self.on_route:
            self.on_route[name](context)
        return super().run_route(context, name, done)

    def defines(self, name: bytes) -> bool:
        return name in self.lua


class ProxiedCall:
    """One call through the proxy; `script` runs before an initial INVITE is relayed."""

    def __init__(self, services: FakeServices, **params: object) -> None:
        self.services = services
        self.now = START
        services.script = self.script = RecordingScript()
        services.network.resolve = self._resolve  # type: ignore[method-assign]  # a fake of a fake
        services.timers = TimerWheel(None, clock=lambda: self.now)
        self.tm: Tm = services.module(Tm)
        self.rr: Rr = services.module(Rr)
        self.dialogs: Dialogs = services.load(Dialogs, **params)
        self.call_id = b"call-1@127.0.0.1"
        self.recorded: list[bytes] = []
        self.contexts: list[Context] = []
        self.prepare: Callable[[Context], object] = lambda context: None
        self.within: Callable[[Context], object] = lambda context: None
        self.to_tag = b"callee"
        self.records_route = True

    def start(self, rank: int = 1) -> ProxiedCall:
        self.services.rank = rank
        self.services.start(rank)
        self.dialogs.tracker.clock = lambda: self.now
        return self

    def restart_worker(
        self, counts: DialogProfileStore | None = None, **params: object
    ) -> None:
        """Forget all that only the worker knew, as if it had been killed and started again.

        The counts of profiles stay when they are given.
        """
        self.services.modules.clear()
        store = self.dialogs.store
        self.services.timers = TimerWheel(None, clock=lambda: self.now)
        self.tm = self.services.module(Tm)
        self.rr = self.services.module(Rr)
        self.dialogs = self.services.load(Dialogs, **params)
        for module in (self.tm, self.rr, self.dialogs):
            module.mod_init()
        self.dialogs.store = self.dialogs.tracker.records.store = store
        if counts is not None:
            self.dialogs.profiles.store = counts
        self.dialogs.tracker.clock = lambda: self.now
        for module in (self.tm, self.rr, self.dialogs):
            module.child_init(1)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.services.timers.advance(self.now)

    @property
    def dialog(self) -> Any:
        """The one record in shared memory, None when there is none."""
        records = list(self.dialogs.store.items())
        assert len(records) < 2
        return records[0] if records else None

    def state(self) -> int:
        """The state in shared memory once all is written; 5 when there is none."""
        self.dialogs.tracker.records.flush()
        return self.dialog.state if self.dialog is not None else State.DELETED

    def request(
        self, method: bytes, cseq: int = 1, from_callee: bool = False, to_tag: bytes | None = None,
        branch: bytes = b"", more: tuple[bytes, ...] = (),
    ) -> Context:  # fmt: skip
        """Send a request through the proxy; a To tag, when given, makes it one within."""
        port = CALLEE if from_callee else CALLER
        caller, callee = b"<sip:alice@a.example>;tag=caller", b"<sip:bob@b.example>"
        if to_tag is not None or from_callee:
            callee += b";tag=" + (to_tag or self.to_tag)
        tags = (callee, caller) if from_callee else (caller, callee)
        lines = [
            b"%s sip:u@127.0.0.1:%d SIP/2.0" % (method, CALLER if from_callee else CALLEE),
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s"
            % (port, branch or b"%s%d%d" % (method, cseq, port)),
            b"From: " + tags[0],
            b"To: " + tags[1],
            b"Call-ID: " + self.call_id,
            b"CSeq: %d %s" % (cseq, method),
            b"Max-Forwards: 70",
            b"Contact: <sip:%s@127.0.0.1:%d>" % (b"bob" if from_callee else b"alice", port),
            *[b"Route: " + route for route in self.recorded if b"tag" in callee],
            *more,
        ]
        context = context_of(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]),
                             source=(b"127.0.0.1", port))  # fmt: skip
        if not self.tm.absorb(context.message):
            self._run(context)
        return context

    def _run(self, context: Context) -> None:
        self.contexts.append(context)
        if context.message.method == b"CANCEL":
            self.tm.t_relay(context)
            return
        if context.message.to_tag:
            self.rr.loose_route(context)
            self.within(context)
        else:
            if self.records_route:
                self.rr.record_route(context)
            self.prepare(context)
        assert self.tm.t_relay(context) == 1

    def reply(
        self, code: int, reason: bytes = b"OK", to_tag: bytes | None = None,
        number: int = -1, more: tuple[bytes, ...] = (), from_caller: bool = False,
    ) -> None:  # fmt: skip
        """Answer the last request that was sent on (or another, by number)."""
        sent = parse(self.sent_requests()[number])
        tag = self.to_tag if to_tag is None else to_tag
        to = sent.header(b"to") or b""
        contact = b"alice@127.0.0.1:%d" % CALLER if from_caller else b"bob@127.0.0.1:%d" % CALLEE
        lines = [
            b"SIP/2.0 %d %s" % (code, reason),
            *[b"Via: " + via for via in sent.headers(b"via")],
            *more,
            *[b"Record-Route: " + route for route in sent.headers(b"record-route")],
            b"From: " + (sent.header(b"from") or b""),
            b"To: " + (to if b"tag=" in to or not tag else to + b";tag=" + tag),
            b"Call-ID: " + sent.call_id,
            b"CSeq: " + (sent.header(b"cseq") or b""),
            b"Contact: <sip:" + contact + b">",
        ]
        reply = parse(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))
        if sent.method == b"INVITE" and code < 300 and sent.headers(b"record-route"):
            self.recorded = sent.headers(b"record-route")
        client = self.tm.reply_client(reply)
        assert client is not None
        source = Source(LISTEN, b"127.0.0.1", CALLEE, 0, self.now)
        self.tm.receive_reply(client, Context(reply, source, Route.REPLY))

    def answer(self) -> None:
        """Call, ring, answer, acknowledge."""
        self.request(b"INVITE")
        self.reply(180, b"Ringing")
        self.reply(200)
        self.request(b"ACK", to_tag=self.to_tag, branch=b"ack")

    def sent_requests(self) -> list[bytes]:
        return [data for _, data in self.services.network.sent if not data.startswith(b"SIP/")]

    def sent(self, method: bytes) -> list[Any]:
        """All requests of a method that went out, parsed."""
        return [parse(data) for data in self.sent_requests() if data.startswith(method + b" ")]

    def sent_codes(self) -> list[int]:
        return [parse(d).status for _, d in self.services.network.sent if d.startswith(b"SIP/")]

    def _resolve(self, uri: bytes) -> Any:
        match = re.match(rb"sip:(?:[^@]*@)?(127\.0\.0\.1)(?::(\d+))?", uri)
        return [(b"udp", match.group(1), int(match.group(2) or 5060))] if match else None


def followed(services: FakeServices, **params: object) -> ProxiedCall:
    """A call that the script follows by dlg_manage."""
    call = ProxiedCall(services, **params).start()
    call.prepare = call.dialogs.dlg_manage
    return call
