"""textops: comparing and searching strings.

Owns pure string tests: 1 for true, negative for false, with Kamailio's numbers.
"""

from __future__ import annotations

from kamailiod.modules.textops_functions.patterns import pattern
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Variable, kemi
from kamailiod.script.services import Services

_ROUTES = Route.REQUEST | Route.FAILURE | Route.BRANCH | Route.ONREPLY | Route.REPLY


class Strings:
    """The string functions of textops."""

    services: Services

    @kemi("textops.cmp_str")
    def cmp_str(self, context: Context, one: bytes, other: bytes) -> int:
        """Compare two strings: 1 equal, -2 different."""
        return 1 if one == other else -2

    @kemi("textops.cmp_istr")
    def cmp_istr(self, context: Context, one: bytes, other: bytes) -> int:
        """Compare two strings without case: 1 equal, -2 different."""
        return 1 if one.lower() == other.lower() else -2

    @kemi("textops.starts_with")
    def starts_with(self, context: Context, text: bytes, start: bytes) -> int:
        """Whether a text starts with another: 1 yes, -2 no, -1 the text is the shorter one."""
        if len(text) < len(start):
            return -1
        return 1 if text.startswith(start) else -2

    @kemi("textops.ends_with")
    def ends_with(self, context: Context, text: bytes, end: bytes) -> int:
        """Whether a text ends with another: 1 yes, -2 no, -1 the text is the shorter one."""
        if len(text) < len(end):
            return -1
        return 1 if text.endswith(end) else -2

    @kemi("textops.str_find")
    def str_find(self, context: Context, text: bytes, part: bytes) -> int:
        """Return where a string stands in a text, counted from 1; -1 when it does not."""
        return text.find(part) + 1 or -1

    @kemi("textops.str_ifind")
    def str_ifind(self, context: Context, text: bytes, part: bytes) -> int:
        """Return where a string stands in a text without case, counted from 1; -1 when not."""
        return text.lower().find(part.lower()) + 1 or -1

    @kemi("textops.str_any_in")
    def str_any_in(self, context: Context, text: bytes, octets: bytes) -> int:
        """Whether any octet of a set occurs in a text."""
        return 1 if any(octet in text for octet in octets) else -1

    @kemi("textops.str_all_in")
    def str_all_in(self, context: Context, text: bytes, octets: bytes) -> int:
        """Whether a text consists of octets of a set only."""
        return 1 if text and all(octet in octets for octet in text) else -1

    @kemi("textops.search_str")
    def search_str(self, context: Context, text: bytes, expression: bytes) -> int:
        """Whether a text matches an expression (case ignored)."""
        compiled = pattern(expression)
        return 1 if compiled is not None and compiled.search(text) else -1

    @kemi("textops.in_list")
    def in_list(self, context: Context, subject: bytes, items: bytes, separator: bytes) -> int:
        """Whether a string is an element of a list, blanks around elements ignored."""
        return 1 if len(separator) == 1 and subject in _elements(items, separator) else -1

    @kemi("textops.in_list_prefix")
    def in_list_prefix(
        self, context: Context, subject: bytes, items: bytes, separator: bytes
    ) -> int:
        """Whether an element of a list is a prefix of a string."""
        if len(separator) != 1:
            return -1
        return 1 if any(e and subject.startswith(e) for e in _elements(items, separator)) else -1

    @kemi("textops.regex_substring", routes=_ROUTES)
    def regex_substring(
        self,
        context: Context,
        text: bytes,
        expression: bytes,
        index: int,
        matches: int,
        variable: Variable,
    ) -> int:
        """Store one group of a match in a variable: 1 stored, -2 no match, -1 error."""
        compiled = pattern(expression, ignore_case=False)
        target = self.services.variables.compile(variable)
        if compiled is None or target is None or not 0 <= index <= compiled.groups:
            return -1
        if index >= matches:
            return -1
        found = compiled.search(text)
        if found is None:
            return -2
        return 1 if target.set(context, found.group(index) or b"") else -1


def _elements(items: bytes, separator: bytes) -> list[bytes]:
    return [element.strip() for element in items.split(separator)]
