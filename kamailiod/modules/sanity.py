"""Module sanity: whether a request is sound enough to be handled, and the answer if it is not.

Owns the reply to a failed check; the checks are in sanity_checks/.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.sanity_checks.checks import Failure, first_failure
from kamailiod.modules.sanity_checks.params import SanityParams
from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, kemi
from kamailiod.script.services import Services
from kamailiod.sip.message import SipMessage

_NOTE = "sanity"
_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY


class Sanity(Module):
    """Checking requests; a failed check is answered here unless modparam noreply says otherwise."""

    name: ClassVar[str] = "sanity"
    Params: ClassVar[type[Params]] = SanityParams
    without_effect: ClassVar[tuple[str, ...]] = ("size_checks",)
    params: SanityParams

    def __init__(self, params: SanityParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        tags = params.proxy_require.lower().replace(",", " ").split()
        self._supported = frozenset(tag.encode() for tag in tags)

    @kemi("sanity.sanity_check", native=())
    def sanity_check(self, context: Context, checks: int, uri_checks: int) -> int:
        """Check a message by these bits: 1 when it is sound, else -1 and a reply has been sent."""
        message = context.message
        failure = None
        if message.fault is not None:
            failure = Failure(message.fault_status, message.fault.encode())
        elif message.is_request and b"proxy-require" in message.index:
            failure = self._proxy_require(message)
        if failure is None:
            failure = first_failure(message, self.params, checks, uri_checks)
            if failure is None:
                return 1
        return self._refuse(context, failure)

    @kemi("sanity.sanity_check_defaults", native=())
    def sanity_check_defaults(self, context: Context) -> int:
        """Check a message by the bits of the modparams default_checks and uri_checks."""
        return self.sanity_check(context, self.params.default_checks, self.params.uri_checks)

    @kemi(native="sanity_check", routes=_ROUTES)
    def native_sanity_check(
        self, context: Context, checks: int = -1, uri_checks: int = -1
    ) -> int:
        """Check a message; a failed check ends the script when modparam autodrop is set."""
        result = self.sanity_check(
            context,
            self.params.default_checks if checks < 0 else checks,
            self.params.uri_checks if uri_checks < 0 else uri_checks,
        )
        return 0 if result < 0 and self.params.autodrop else result

    @kemi("sanity.sanity_reply", routes=_ROUTES)
    def sanity_reply(self, context: Context) -> int:
        """Send the reply that a failed check has left unsent (modparam noreply); -1 if none."""
        failure = context.shared.notes.pop(_NOTE, None)
        return self._reply(context, failure) if isinstance(failure, Failure) else -1

    def _refuse(self, context: Context, failure: Failure) -> int:
        if self.params.noreply:
            context.shared.notes[_NOTE] = failure
        else:
            self._reply(context, failure)
        return -1

    def _reply(self, context: Context, failure: Failure) -> int:
        message = context.message
        if not message.is_request or message.method == b"ACK" or not failure.status:
            return -1
        return self._sl.send_reply(context, failure.status, failure.reason, failure.headers)

    def _proxy_require(self, message: SipMessage) -> Failure | None:
        # RFC 3261 16.3 step 5 binds every proxy, so this is checked whatever bits are asked for.
        tags = [
            tag
            for body in message.headers(b"proxy-require")
            for tag in (part.strip() for part in body.split(b","))
            if tag and tag.lower() not in self._supported
        ]
        if not tags:
            return None
        return Failure(420, b"Bad Extension", (b"Unsupported: " + b", ".join(tags),))
