"""Requests that the server sends within a dialog, as if the other side had sent them.

Owns their headers and which CSeq they use up; why they are sent is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kamailiod.modules.tm import LocalRequest, Tm
from kamailiod.net.address import ListenAddress
from kamailiod.sip.dialog import request_within
from kamailiod.sip.message import SipMessage
from shm import Dialog, Direction

if TYPE_CHECKING:
    from kamailiod.modules.dialog_tracking.params import DialogParams
    from kamailiod.script.services import Services

Answered = Callable[[int, SipMessage | None], object]


def take_no_answer(status: int, reply: SipMessage | None) -> None:
    """Hear of a reply that changes nothing."""
    del status, reply


class DialogRequests:
    """Sends requests towards one side: downstream to the callee, upstream to the caller."""

    def __init__(self, params: DialogParams, services: Services, tm: Tm) -> None:
        self._services = services
        self._tm = tm
        self._headers = header_lines(params.dlg_extra_hdrs.encode())
        self._callee_headers = header_lines(params.lreq_callee_headers.encode())
        self._controller = params.bridge_controller.encode()
        self._contact = b"Contact: <%s>" % params.bridge_contact.encode()

    def bye(
        self, dialog: Dialog, direction: Direction, headers: bytes = b"",
        answered: Answered = take_no_answer,
    ) -> bool:  # fmt: skip
        """Send BYE; the dialog's own record is the caller's to end."""
        return self.send(dialog, b"BYE", direction, header_lines(headers), answered)

    def options(self, dialog: Dialog, direction: Direction, answered: Answered) -> bool:
        """Ask a side whether it is still in the call, with a CSeq that it has seen already.

        A new number would be ahead of those of the side in whose name it is asked.
        """
        return self.send(dialog, b"OPTIONS", direction, (), answered, step=0)

    def refer(
        self, dialog: Dialog, direction: Direction, target: bytes, answered: Answered
    ) -> bool:
        """Ask a side to call somebody else (RFC 3515)."""
        headers = (b"Referred-By: " + self._controller, b"Refer-To: " + target, self._contact)
        return self.send(dialog, b"REFER", direction, headers, answered)

    def send(
        self, dialog: Dialog, method: bytes, direction: Direction, headers: tuple[bytes, ...],
        answered: Answered, *, step: int = 1,
    ) -> bool:  # fmt: skip
        """Send a request of any method whose CSeq is `step` after the last one of its side."""
        parts = request_within(dialog, method, direction)
        number = max(parts.cseq - 1 + step, 1)
        if step and direction is Direction.DOWNSTREAM:
            dialog.from_cseq = b"%d" % number
        elif step:
            dialog.to_cseq = b"%d" % number
        more = self._callee_headers if direction is Direction.DOWNSTREAM else ()
        request = LocalRequest(
            parts.method, parts.uri, parts.from_, parts.to, parts.call_id, number, parts.routes,
            (*self._headers, *more, *headers), b"", b"", self._socket(dialog, direction),
        )  # fmt: skip
        return self._tm.send_request(request, answered)

    def _socket(self, dialog: Dialog, direction: Direction) -> ListenAddress | None:
        downstream = direction is Direction.DOWNSTREAM
        wanted = dialog.to_socket if downstream else dialog.from_socket
        sockets = self._services.network.sockets
        return next((socket for socket in sockets if socket.text == wanted), None)


def header_lines(text: bytes) -> tuple[bytes, ...]:
    """Return the header lines of a text, which may end them as RFC 3261 or as a shell does."""
    return tuple(line for line in text.replace(b"\\r\\n", b"\n").splitlines() if line.strip())
