"""$http_ok, $http_rs and their kin: the last answer to an HTTP request of a message.

Owns where the answer is kept; both HTTP client modules have these variables.
"""

from __future__ import annotations

from kamailiod.modules.http_requests.answer import HttpAnswer
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, pseudo_variable
from kamailiod.script.variables.headers import pick

_NOTE = "http_answer"


def keep_answer(context: Context, answer: HttpAnswer) -> None:
    """Let the variables of a message's transaction show this answer from now on."""
    context.shared.notes[_NOTE] = answer


class AnswerVariables(Module):
    """The variables that show an answer; all hold nothing before there is one."""

    @pseudo_variable("http_ok")
    def http_ok(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_ok: 1 when there was an answer, 0 when there was an error."""
        answer = _answer(context)
        return None if answer is None else int(not answer.error)

    @pseudo_variable("http_err")
    def http_err(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_err: what the error was, in libcurl's words."""
        answer = _answer(context)
        return answer.error_text if answer is not None and answer.error else None

    @pseudo_variable("http_rs")
    def http_rs(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_rs: the HTTP status."""
        answer = _good(context)
        return None if answer is None else answer.status

    @pseudo_variable("http_rr")
    def http_rr(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_rr: the reason phrase."""
        answer = _good(context)
        return None if answer is None else answer.reason

    @pseudo_variable("http_rb")
    def http_rb(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_rb: the body."""
        answer = _good(context)
        return None if answer is None else answer.body

    @pseudo_variable("http_bs")
    def http_bs(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_bs: the octets of the body."""
        answer = _good(context)
        return None if answer is None else len(answer.body)

    @pseudo_variable("http_mb")
    def http_mb(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_mb: the whole answer, headers included."""
        answer = _good(context)
        return None if answer is None else answer.whole

    @pseudo_variable("http_ml")
    def http_ml(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_ml: the octets of the whole answer."""
        answer = _good(context)
        return None if answer is None else len(answer.whole)

    @pseudo_variable("http_hdr")
    def http_hdr(self, context: Context, inner: bytes, index: int | str | None) -> Value:
        """$http_hdr(name): the first header of a name; $(http_hdr(name)[n]) another one."""
        answer = _good(context)
        return None if answer is None else pick(answer.header_values(inner), index)

    @pseudo_variable("http_time")
    def http_time(self, context: Context, inner: bytes, index: object) -> Value:
        """$http_time(total): milliseconds from the start to the end, or to another instant.

        The others are lookup, connect, appconnect, pretransfer, starttransfer and redirect, 0 when
        they did not come.
        """
        answer = _answer(context)
        if answer is None:
            return None
        # One instant for both: connections are given out when TLS is agreed upon.
        name = b"connect" if inner == b"appconnect" else inner
        return round(answer.times.get(name, 0.0) * 1000)


def _answer(context: Context) -> HttpAnswer | None:
    found = context.shared.notes.get(_NOTE)
    return found if isinstance(found, HttpAnswer) else None


def _good(context: Context) -> HttpAnswer | None:
    answer = _answer(context)
    return None if answer is None or answer.error else answer
