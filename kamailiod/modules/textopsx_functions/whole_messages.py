"""textopsx: the message anew: with the changes in it, another text, another status, less of it.

Owns what becomes of the context when its message is replaced.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from kamailiod.modules.textops_functions.patterns import pattern
from kamailiod.script.context import Context, Route
from kamailiod.script.message_replacement import replace_message
from kamailiod.script.module import kemi
from kamailiod.script.services import Services
from kamailiod.sip.edits import Edits
from kamailiod.sip.message import SipMessage, parse

_KEPT = frozenset(
    b"via from to call-id cseq content-length content-type max-forwards contact route "
    b"record-route".split()
)


class WholeMessages:
    """Functions over the message as a whole."""

    services: Services

    @kemi("textopsx.msg_apply_changes", routes=Route.REQUEST | Route.ONREPLY | Route.REPLY)
    def msg_apply_changes(self, context: Context) -> int:
        """Make the changes so far part of the message: 1, or -1 after record_route.

        From then on functions and variables see them as if they had been received.
        """
        if not context.route & (Route.REQUEST | Route.ONREPLY | Route.REPLY):
            return -1
        if "record_route" in context.shared.notes:
            self.services.log.error("textopsx", "changes cannot be applied after record_route")
            return -1
        message = context.message
        if not context.edits and (not message.is_request or context.uri == message.uri_text):
            return 1
        data = context.edits.apply(message)
        if message.is_request:
            start = b"%s %s SIP/2.0" % (message.method, context.uri)
            data = start + data[len(message.lines[0]) :]
        return self._replace(context, parse(data))

    @kemi("textopsx.msg_set_buffer", routes=Route.REQUEST | Route.ONREPLY | Route.REPLY)
    def msg_set_buffer(self, context: Context, text: bytes) -> int:
        """Put another message in the place of the received one; 0 when it is malformed."""
        if not context.route & (Route.REQUEST | Route.ONREPLY | Route.REPLY):
            return -1
        return self._replace(context, parse(text))

    def _replace(self, context: Context, message: SipMessage) -> int:
        old = context.message
        if message.fault is not None or message.is_request != old.is_request:
            self.services.log.error("textopsx", f"not a message: {message.fault}")
            return 0
        replace_message(context, message)
        context.edits = Edits()
        context.uri = message.uri_text
        return 1

    @kemi("textopsx.change_reply_status", routes=Route.ONREPLY | Route.REPLY)
    def change_reply_status(self, context: Context, code: int, reason: bytes) -> int:
        """Change status code and reason of a reply; a 1xx or 2xx keeps its class, else -1."""
        message = context.message
        old = message.status
        if message.is_request or not 100 <= code <= 699 or not reason:
            return -1
        if old // 100 != code // 100 and (old < 300 or code < 300):
            self.services.log.error("textopsx", f"a {old} cannot become a {code}")
            return -1
        start = b"SIP/2.0 %d %s" % (code, reason)
        context.message = parse(b"\r\n".join((start, *message.lines[1:], b"", message.body)))
        return 1

    @kemi("textopsx.change_reply_status_code", routes=Route.ONREPLY | Route.REPLY)
    def change_reply_status_code(self, context: Context, code: int) -> int:
        """Change the status code of a reply; a 1xx or 2xx keeps its class, else -1."""
        return self.change_reply_status(context, code, context.message.reason or b"-")

    @kemi("textopsx.remove_body")
    def remove_body(self, context: Context) -> int:
        """Remove the body; the Content-Type stays, as in Kamailio."""
        context.edits.body = b""
        return 1

    @kemi("textopsx.keep_hf", native=())
    def keep_hf(self, context: Context) -> int:
        """Remove all headers but those that routing needs; always -1, as in Kamailio 5.6.3."""
        return self.keep_hf_re(context, b"")

    @kemi("textopsx.keep_hf_re", native="keep_hf")
    def keep_hf_re(self, context: Context, expression: bytes = b"") -> int:
        """Remove all headers but those that routing needs or whose names match; always -1."""
        kept = pattern(expression) if expression else None
        if expression and kept is None:
            return -1
        lines = context.message.lines
        for name, numbers in context.message.index.items():
            if name not in _KEPT:
                for number in numbers:
                    written = lines[number].partition(b":")[0].strip()
                    if kept is None or not kept.search(written):
                        context.edits.replaced[number] = None
        return -1

    @kemi("textopsx.fnmatch", native=())
    def fnmatch(self, context: Context, text: bytes, expression: bytes) -> int:
        """Match a text with a file name pattern: 0 it matches (as in Kamailio 5.6.3), -1 not."""
        return self.fnmatch_ex(context, text, expression, b"")

    @kemi("textopsx.fnmatch_ex", native=())
    def fnmatch_ex(self, context: Context, text: bytes, expression: bytes, flags: bytes) -> int:
        """Match a text with a file name pattern, without case by the flag `i`: 0 or -1."""
        compiled = _file_pattern(expression, flags[:1].lower() == b"i")
        return 0 if compiled is not None and compiled.match(text) else -1

    @kemi(native="fnmatch")
    def native_fnmatch(
        self, context: Context, text: bytes, expression: bytes, flags: bytes = b""
    ) -> int:
        """Match a text with a file name pattern: 1 it matches, -1 not."""
        return 1 if self.fnmatch_ex(context, text, expression, flags) == 0 else -1


_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@lru_cache(maxsize=256)
def _file_pattern(expression: bytes, ignore_case: bool) -> re.Pattern[bytes] | None:
    # fnmatch(3) takes a backslash as escape, Python's takes it as it is.
    plain = _ESCAPED.sub(lambda m: b"[" + m.group(1) + b"]", expression)
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    try:
        return re.compile(translate(plain.decode("latin-1")).encode("latin-1"), flags)
    except re.error:
        return None
