"""Third-party calls by REFER: to somebody new (dlg_bridge), or out of a call (dlg_refer).

Owns the INVITE, REFER and BYE of it, each sent when the one before was answered; no media.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kamailiod.modules.dialog_tracking.requests import DialogRequests
from kamailiod.modules.tm import LocalRequest, Tm
from kamailiod.net.ownership import owner_rank
from kamailiod.sip.dialog import request_within, take_answer
from kamailiod.sip.message import SipMessage
from shm import Dialog, Direction

if TYPE_CHECKING:
    from kamailiod.modules.dialog_tracking.params import DialogParams
    from kamailiod.script.services import Services

_ON_HOLD = (
    b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
)
"""No address to send media to (RFC 3264 8.4), as somebody else will talk."""


class Bridge:
    """Makes calls as `bridge_controller`."""

    def __init__(
        self, params: DialogParams, services: Services, tm: Tm, requests: DialogRequests
    ) -> None:
        self._services = services
        self._tm = tm
        self._requests = requests
        self._controller = params.bridge_controller.encode()
        self._contact = b"Contact: <%s>" % params.bridge_contact.encode()
        services.on_worker("dialog.bridge", self.call)

    def call(
        self, caller: bytes, target: bytes, proxy: bytes, body: bytes | None = None
    ) -> bool:
        """Call `caller` and refer it to `target`; `proxy` is a URI, b"" for the caller's own."""
        tag = os.urandom(8).hex().encode()
        call_id = self._own_call_id()
        dialog = Dialog(
            call_id=call_id, from_uri=self._controller, to_uri=caller, from_tag=tag,
            from_cseq=b"1", to_cseq=b"0", request_uri=caller, from_contact=self._controller,
        )  # fmt: skip
        sdp = _ON_HOLD if body is None else body
        headers = (self._contact, *((b"Content-Type: application/sdp",) if sdp else ()))
        invite = LocalRequest(
            b"INVITE", caller, b"<%s>;tag=%s" % (self._controller, tag), b"<%s>" % caller,
            call_id, 1, (), headers, sdp, proxy,
        )  # fmt: skip

        def answered(status: int, reply: SipMessage | None) -> None:
            if reply is not None and status // 100 == 2:
                take_answer(dialog, reply, b"\0")
                self._tm.send_ack(_acknowledgement(dialog))
                self.refer(dialog, Direction.DOWNSTREAM, target)

        return self._tm.send_request(invite, answered)

    def refer(self, dialog: Dialog, direction: Direction, target: bytes) -> bool:
        """Refer a side to somebody else, and end its call with us whatever it answers."""

        def answered(status: int, reply: SipMessage | None) -> None:
            del status, reply
            self._requests.bye(dialog, direction)

        return self._requests.refer(dialog, direction, target, answered)

    def _own_call_id(self) -> bytes:
        # Replies and NOTIFYs of the call must come to this process.
        services = self._services
        while True:
            call_id = os.urandom(16).hex().encode()
            if owner_rank(call_id, services.worker_count) == services.rank:
                return call_id


def _acknowledgement(dialog: Dialog) -> LocalRequest:
    parts = request_within(dialog, b"ACK", Direction.DOWNSTREAM)
    return LocalRequest(
        parts.method, parts.uri, parts.from_, parts.to, parts.call_id, parts.cseq - 1, parts.routes
    )
