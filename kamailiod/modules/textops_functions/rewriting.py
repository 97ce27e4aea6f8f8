"""textops: searching, replacing and substituting in the message.

Searching looks at the message as received; replacing adds to the changes made so far.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamailiod.modules.textops_functions.message_text import (
    Change,
    received,
    rewrite_body,
    rewrite_header,
    rewrite_headers,
    rewrite_message,
)
from kamailiod.modules.textops_functions.patterns import Substitution, pattern, substitution
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Template, Variable, kemi
from kamailiod.script.services import Services
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.header_names import canonical

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY | Route.FAILURE | Route.BRANCH
_Rewrite = Callable[[Context, Change], int]


class Rewriting:
    """The search, replace and subst functions: 1 when something was found, else -1."""

    services: Services

    @kemi("textops.search")
    def search(self, context: Context, expression: bytes) -> int:
        """Whether the message, headers and body, matches an expression (case ignored)."""
        return _found(expression, received(context))

    @kemi("textops.search_body")
    def search_body(self, context: Context, expression: bytes) -> int:
        """Whether the body matches an expression."""
        return _found(expression, context.message.body)

    @kemi("textops.search_hf")
    def search_hf(self, context: Context, name: bytes, expression: bytes, which: bytes) -> int:
        """Whether the bodies of a header match: any one (a), only the first (f) or last (l)."""
        bodies = context.message.headers(canonical(name))
        chosen = {b"f": bodies[:1], b"l": bodies[-1:]}.get(which[:1], bodies)
        compiled = pattern(expression)
        return 1 if compiled and any(compiled.search(body) for body in chosen) else -1

    @kemi("textops.search_append")
    def search_append(self, context: Context, expression: bytes, text: bytes) -> int:
        """Add a text behind the first match in the message."""
        return _replaced(context, rewrite_message, expression, True, text, 1)

    @kemi("textops.search_append_body")
    def search_append_body(self, context: Context, expression: bytes, text: bytes) -> int:
        """Add a text behind the first match in the body."""
        return _replaced(context, rewrite_body, expression, True, text, 1)

    @kemi("textops.replace")
    def replace(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace the first match in the message."""
        return _replaced(context, rewrite_message, expression, False, text, 1)

    @kemi("textops.replace_all")
    def replace_all(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace all matches in the message."""
        return _replaced(context, rewrite_message, expression, False, text, 0)

    @kemi("textops.replace_hdrs")
    def replace_hdrs(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace all matches in the first line and the headers."""
        return _replaced(context, rewrite_headers, expression, False, text, 0)

    @kemi("textops.replace_body")
    def replace_body(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace the first match in the body."""
        return _replaced(context, rewrite_body, expression, False, text, 1)

    @kemi("textops.replace_body_all")
    def replace_body_all(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace all matches in the body."""
        return _replaced(context, rewrite_body, expression, False, text, 0)

    @kemi("textops.replace_body_atonce")
    def replace_body_atonce(self, context: Context, expression: bytes, text: bytes) -> int:
        """Replace all matches in the body, "^" and "$" being its two ends."""
        return _replaced(context, rewrite_body, expression, False, text, 0, newlines=False)

    @kemi("textops.replace_str")
    def replace_str(self, context: Context, match: bytes, text: bytes, mode: bytes) -> int:
        """Replace a string in the message: the first (f), the last (l) or all (a)."""
        return _swapped(context, rewrite_message, match, text, mode)

    @kemi("textops.replace_hdrs_str")
    def replace_hdrs_str(self, context: Context, match: bytes, text: bytes, mode: bytes) -> int:
        """Replace a string in the headers: the first (f), the last (l) or all (a)."""
        return _swapped(context, rewrite_headers, match, text, mode)

    @kemi("textops.replace_body_str")
    def replace_body_str(self, context: Context, match: bytes, text: bytes, mode: bytes) -> int:
        """Replace a string in the body: the first (f), the last (l) or all (a)."""
        return _swapped(context, rewrite_body, match, text, mode)

    @kemi("textops.subst")
    def subst(self, context: Context, expression: Template) -> int:
        """Substitute `/expression/replacement/flags` in the message."""
        return self._substitute(context, rewrite_message, expression)

    @kemi("textops.subst_body")
    def subst_body(self, context: Context, expression: Template) -> int:
        """Substitute in the body."""
        return self._substitute(context, rewrite_body, expression)

    @kemi("textops.subst_hf")
    def subst_hf(self, context: Context, name: bytes, expression: Template, which: bytes) -> int:
        """Substitute in the bodies of a header: all (a), the first (f) or the last (l)."""
        numbers = context.message.index.get(canonical(name), [])
        chosen = {b"f": numbers[:1], b"l": numbers[-1:]}.get(which[:1], numbers)
        compiled = substitution(expression)
        if compiled is None:
            return -1
        change = self._change(context, compiled)
        return 1 if sum([rewrite_header(context, number, change) for number in chosen]) else -1

    @kemi("textops.subst_uri", routes=_ROUTES)
    def subst_uri(self, context: Context, expression: Template) -> int:
        """Substitute in the request URI."""
        compiled = substitution(expression)
        if compiled is None:
            return -1
        uri, count = self._change(context, compiled)(context.uri)
        if count:
            context.set_uri(uri)
        return 1 if count else -1

    @kemi("textops.subst_user", routes=_ROUTES)
    def subst_user(self, context: Context, expression: Template) -> int:
        """Substitute in the user part of the request URI."""
        compiled = substitution(expression)
        uri = context.parsed_uri
        if compiled is None or uri is None or not uri.is_sip:
            return -1
        user, count = self._change(context, compiled)(uri.user)
        if count:
            credentials = user + b":" + uri.password if user and uri.password else user
            context.set_uri(uri.with_parts(user=credentials))
        return 1 if count else -1

    @kemi("textops.subst_v")
    def subst_v(
        self, context: Context, subject: Variable, expression: Template, to: Variable
    ) -> int:
        """Substitute in the value of a variable and store the result in another."""
        compiled = substitution(expression)
        source = self.services.variables.compile(subject)
        target = self.services.variables.compile(to)
        if compiled is None or source is None or target is None:
            return -1
        text, count = self._change(context, compiled)(plain_text(source.get(context)))
        return 1 if count and target.set(context, text) else -1

    def _substitute(self, context: Context, rewrite: _Rewrite, expression: bytes) -> int:
        compiled = substitution(expression)
        if compiled is None:
            return -1
        return 1 if rewrite(context, self._change(context, compiled)) else -1

    def _change(self, context: Context, compiled: Substitution) -> Change:
        variables = self.services.variables
        pieces: list[bytes | int] = [
            variables.format(piece).expand(context)
            if isinstance(piece, bytes) and b"$" in piece
            else piece
            for piece in compiled.pieces
        ]
        return lambda subject: compiled.run(subject, pieces)


def _found(expression: bytes, subject: bytes) -> int:
    compiled = pattern(expression)
    return 1 if compiled is not None and compiled.search(subject) else -1


def _replaced(
    context: Context,
    rewrite: _Rewrite,
    expression: bytes,
    keep: bool,
    text: bytes,
    count: int,
    newlines: bool = True,
) -> int:
    compiled = pattern(expression, newlines=newlines)
    if compiled is None:
        return -1

    def replacement(match: re.Match[bytes]) -> bytes:
        return match.group() + text if keep else text

    return 1 if rewrite(context, lambda t: compiled.subn(replacement, t, count=count)) else -1


def _swapped(
    context: Context, rewrite: _Rewrite, match: bytes, text: bytes, mode: bytes
) -> int:
    if not match:
        return -1

    def change(subject: bytes) -> tuple[bytes, int]:
        found = subject.count(match)
        if mode[:1] == b"a" or not found:
            return subject.replace(match, text), found
        position = subject.rfind(match) if mode[:1] == b"l" else subject.find(match)
        return subject[:position] + text + subject[position + len(match) :], 1

    # Kamailio's string functions return 1 whether or not they found anything.
    rewrite(context, change)
    return 1
