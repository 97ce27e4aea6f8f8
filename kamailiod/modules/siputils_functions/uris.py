"""siputils: URIs, their parameters and comparison, and numbers.

Owns questions about texts and changes of the request URI.
"""

from __future__ import annotations

import re

from kamailiod.script.context import Context, Route
from kamailiod.script.module import Variable, kemi
from kamailiod.script.services import Services
from kamailiod.script.variables.value import plain_text
from kamailiod.sip.header_names import canonical
from kamailiod.sip.uri import Uri, parse_uri, unescape

_BRANCHING = Route.REQUEST | Route.BRANCH | Route.FAILURE
_TELEPHONE = re.compile(rb"\+?[0-9]+\Z")
_ALPHANUMERIC = re.compile(rb"[A-Za-z0-9]+\Z")
_E164 = re.compile(rb"\+[0-9]{2,15}\Z")
# Two URIs that differ in whether they have these parameters differ (RFC 3261 19.1.4).
_ALWAYS_COMPARED = (b"user", b"ttl", b"method", b"maddr", b"transport")


class Uris:
    """The URI and number functions: 1 for true, negative for false."""

    services: Services

    @kemi("siputils.is_uri")
    def is_uri(self, context: Context, text: bytes) -> int:
        """Whether a text is a URI this server can parse."""
        uri = parse_uri(text)
        return 1 if uri is not None and (uri.is_sip or uri.scheme in (b"tel", b"urn")) else -1

    @kemi("siputils.uri_param", native=())
    def uri_param(self, context: Context, name: bytes) -> int:
        """Whether the request URI has a parameter of this name, without a value."""
        uri = context.parsed_uri
        return 1 if uri is not None and uri.parameter(name) == b"" else -1

    @kemi("siputils.uri_param_value", native=())
    def uri_param_value(self, context: Context, name: bytes, value: bytes) -> int:
        """Whether the request URI has this parameter with this value."""
        uri = context.parsed_uri
        found = uri.parameter(name) if uri is not None else None
        return 1 if found is not None and found.lower() == value.lower() else -1

    @kemi(native="uri_param", routes=_BRANCHING)
    def native_uri_param(self, context: Context, name: bytes, value: bytes = b"") -> int:
        """Whether the request URI has this parameter: without a value, or with this one."""
        if value:
            return self.uri_param_value(context, name, value)
        return self.uri_param(context, name)

    @kemi("siputils.uri_param_any", routes=_BRANCHING)
    def uri_param_any(self, context: Context, name: bytes) -> int:
        """Whether the request URI has a parameter of this name, whatever its value."""
        uri = context.parsed_uri
        return 1 if uri is not None and uri.parameter(name) is not None else -1

    @kemi("siputils.add_uri_param", routes=Route.REQUEST)
    def add_uri_param(self, context: Context, parameter: bytes) -> int:
        """Add a `name=value` parameter to the request URI."""
        uri = context.parsed_uri
        if uri is None:
            return -1
        if parameter:
            context.set_uri(uri.with_parts(parameters=uri.parameters + b";" + parameter))
        return 1

    @kemi("siputils.uri_param_rm", routes=_BRANCHING)
    def uri_param_rm(self, context: Context, name: bytes) -> int:
        """Remove a parameter from the request URI: 1 removed, -1 it has none of this name."""
        uri = context.parsed_uri
        if uri is None or uri.parameter(name) is None:
            return -1
        kept = [
            b";" + parameter
            for parameter in uri.parameters.split(b";")[1:]
            if parameter.partition(b"=")[0].strip().lower() != name.lower()
        ]
        context.set_uri(uri.with_parts(parameters=b"".join(kept)))
        return 1

    @kemi(native="get_uri_param", routes=Route.REQUEST | Route.LOCAL)
    def get_uri_param(self, context: Context, name: bytes, variable: Variable) -> int:
        """Store a parameter of the request URI in a variable."""
        uri = context.parsed_uri
        found = uri.parameter(name) if uri is not None else None
        target = self.services.variables.compile(variable)
        return 1 if found is not None and target and target.set(context, found) else -1

    @kemi("siputils.is_tel_number")
    def is_tel_number(self, context: Context, text: bytes) -> int:
        """Whether a text is digits with an optional leading plus: 1 yes, -2 no."""
        return 1 if _TELEPHONE.match(text) else -2

    @kemi("siputils.is_numeric")
    def is_numeric(self, context: Context, text: bytes) -> int:
        """Whether a text is all digits: 1 yes, -2 no."""
        return 1 if text.isdigit() else -2

    @kemi("siputils.is_alphanum")
    def is_alphanum(self, context: Context, text: bytes) -> int:
        """Whether a text is all letters and digits: 1 yes, -3 no, -2 it is empty."""
        if not text:
            return -2
        return 1 if _ALPHANUMERIC.match(text) else -3

    @kemi("siputils.is_alphanumex")
    def is_alphanumex(self, context: Context, text: bytes, further: bytes) -> int:
        """Whether a text is all letters, digits and octets of a set: 1 yes, -3 no, -2 empty."""
        if not text:
            return -2
        rest = text.translate(None, further)
        return 1 if not rest or _ALPHANUMERIC.match(rest) else -3

    @kemi(native="is_e164", routes=Route.REQUEST | Route.FAILURE | Route.LOCAL)
    def is_e164(self, context: Context, text: bytes) -> int:
        """Whether a text is an E.164 number with its plus."""
        return 1 if _E164.match(text) else -1

    @kemi(native="is_uri_user_e164")
    def is_uri_user_e164(self, context: Context, text: bytes) -> int:
        """Whether the user part of a URI is an E.164 number."""
        uri = parse_uri(text)
        return 1 if uri is not None and _E164.match(uri.user) else -1

    @kemi("siputils.cmp_uri")
    def cmp_uri(self, context: Context, one: bytes, other: bytes) -> int:
        """Compare two URIs by RFC 3261 19.1.4."""
        first, second = parse_uri(one), parse_uri(other)
        return 1 if first and second and _same_uri(first, second) else -1

    @kemi("siputils.cmp_aor")
    def cmp_aor(self, context: Context, one: bytes, other: bytes) -> int:
        """Compare two addresses of record: scheme-less user, host and effective port."""
        first, second = parse_uri(one), parse_uri(other)
        if first is None or second is None:
            return -1
        same = unescape(first.user) == unescape(second.user)
        same = same and first.host.lower() == second.host.lower()
        return 1 if same and first.effective_port == second.effective_port else -1

    @kemi("siputils.cmp_hdr_name")
    def cmp_hdr_name(self, context: Context, one: bytes, other: bytes) -> int:
        """Compare two header names without case, compact forms included."""
        return 1 if canonical(one) == canonical(other) else -1

    @kemi(native="set_uri_user")
    def set_uri_user(self, context: Context, variable: Variable, user: bytes) -> int:
        """Replace the user part of the URI in a variable."""
        return self._rewrite(context, variable, user, None)

    @kemi(native="set_uri_host")
    def set_uri_host(self, context: Context, variable: Variable, host: bytes) -> int:
        """Replace the host of the URI in a variable."""
        return self._rewrite(context, variable, None, host)

    @kemi(native=("tel2sip", "tel2sip2"), routes=_BRANCHING | Route.ONREPLY | Route.REPLY)
    def tel2sip(self, context: Context, uri: bytes, host: bytes, variable: Variable) -> int:
        """Store the SIP URI of a tel URI at a host in a variable; other URIs as they are."""
        parsed = parse_uri(uri)
        target = self.services.variables.compile(variable)
        if parsed is None or target is None:
            return -1
        result = uri
        if parsed.scheme == b"tel":
            number = re.sub(rb"[\-.()]", b"", parsed.user) + parsed.parameters.lower()
            result = b"sip:%s@%s;user=phone" % (number, host)
        return 1 if target.set(context, result) else -1

    def _rewrite(
        self, context: Context, variable: Variable, user: bytes | None, host: bytes | None
    ) -> int:
        accessor = self.services.variables.compile(variable)
        uri = parse_uri(plain_text(accessor.get(context))) if accessor is not None else None
        if accessor is None or uri is None or not uri.is_sip:
            return -1
        return 1 if accessor.set(context, uri.with_parts(user=user, host=host)) else -1


def _same_uri(one: Uri, other: Uri) -> bool:
    if (one.scheme, one.port) != (other.scheme, other.port):
        return False
    if unescape(one.user) != unescape(other.user) or one.password != other.password:
        return False
    if one.host.lower() != other.host.lower():
        return False
    return _same_parameters(one, other) and sorted(one.headers.lower().split(b"&")) == sorted(
        other.headers.lower().split(b"&")
    )


def _same_parameters(one: Uri, other: Uri) -> bool:
    first, second = _parameters(one), _parameters(other)
    for name in first.keys() | second.keys():
        if name in first and name in second:
            if first[name] != second[name]:
                return False
        elif name in _ALWAYS_COMPARED:
            return False
    return True


def _parameters(uri: Uri) -> dict[bytes, bytes]:
    pairs = (p.partition(b"=") for p in uri.parameters.lower().split(b";")[1:])
    return {name: value for name, _, value in pairs}
