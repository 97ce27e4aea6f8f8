"""siputils: hiding and restoring the Contact URI of a request or reply.

Owns both forms: the whole URI packed into a user part, and the URI carried in a parameter.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from kamailiod.script.context import Context, Route
from kamailiod.script.module import Params, kemi
from kamailiod.script.services import Services
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import Uri, parse_uri

_ROUTES = Route.REQUEST | Route.ONREPLY | Route.REPLY
_UriChange = Callable[[Uri], bytes | None]
_STANDARD, _SAFE = b"+/=", b"._-"


class Contacts:
    """The contact functions: 1 when done, -1 when there is nothing to do it with."""

    params: Params
    services: Services

    @property
    def separator(self) -> bytes:
        """What stands between the packed parts."""
        value: str = getattr(self.params, "contact_flds_separator")  # noqa: B009  # declared by the joining class
        return value[:1].encode() or b"*"

    @kemi("siputils.encode_contact", routes=_ROUTES)
    def encode_contact(self, context: Context, prefix: bytes, host: bytes) -> int:
        """Pack the Contact URIs into user parts: prefix, user, password, host, port, transport."""
        separator = self.separator

        def packed(uri: Uri) -> bytes | None:
            port = b"%d" % uri.port if uri.port else b""
            parts = (prefix, uri.user, uri.password, uri.host, port, uri.transport)
            return b"sip:%s@%s" % (separator.join(parts), host)

        return _rewrite_contacts(context, packed)

    @kemi("siputils.decode_contact", routes=Route.REQUEST)
    def decode_contact(self, context: Context) -> int:
        """Restore the request URI from a packed one."""
        uri = context.parsed_uri
        unpacked = self._unpacked(uri) if uri is not None else None
        if unpacked is None:
            return -1
        context.set_uri(unpacked)
        return 1

    @kemi("siputils.decode_contact_header", routes=_ROUTES | Route.FAILURE)
    def decode_contact_header(self, context: Context) -> int:
        """Restore the Contact URIs from packed ones."""
        return _rewrite_contacts(context, self._unpacked)

    @kemi("siputils.contact_param_encode", routes=_ROUTES)
    def contact_param_encode(self, context: Context, name: bytes, server: bytes) -> int:
        """Replace the Contact URIs by a server's, with the original encoded in a parameter."""
        return _rewrite_contacts(
            context, lambda uri: b"%s;%s=%s" % (server, name, _encoded(uri.text))
        )

    @kemi("siputils.contact_param_encode_alias", routes=_ROUTES)
    def contact_param_encode_alias(self, context: Context, name: bytes, alias: bytes) -> int:
        """As contact_param_encode, keeping the user part in front of the alias host."""

        def replaced(uri: Uri) -> bytes | None:
            server = parse_uri(alias)
            if server is None:
                return None
            text = server.with_parts(user=uri.user or server.user)
            return b"%s;%s=%s" % (text, name, _encoded(uri.text))

        return _rewrite_contacts(context, replaced)

    @kemi("siputils.contact_param_decode", routes=_ROUTES)
    def contact_param_decode(self, context: Context, name: bytes) -> int:
        """Restore the Contact URIs from the encoded parameter."""
        return _rewrite_contacts(context, lambda uri: _decoded(uri.parameter(name)))

    @kemi("siputils.contact_param_decode_ruri", routes=Route.REQUEST)
    def contact_param_decode_ruri(self, context: Context, name: bytes) -> int:
        """Restore the request URI from the encoded parameter."""
        uri = context.parsed_uri
        decoded = _decoded(uri.parameter(name)) if uri is not None else None
        if decoded is None:
            return -1
        context.set_uri(decoded)
        return 1

    @kemi("siputils.contact_param_rm", routes=_ROUTES)
    def contact_param_rm(self, context: Context, name: bytes) -> int:
        """Remove a parameter from the Contact URIs."""
        expression = re.compile(rb";" + re.escape(name) + rb"(?:=[^;]*)?(?=;|\Z)", re.IGNORECASE)

        def without(uri: Uri) -> bytes | None:
            kept = expression.sub(b"", uri.parameters)
            return uri.with_parts(parameters=kept) if kept != uri.parameters else None

        return _rewrite_contacts(context, without)

    @kemi("siputils.contact_param_check")
    def contact_param_check(self, context: Context, name: bytes) -> int:
        """Whether a Contact URI has this parameter."""
        for contact in context.message.contacts or ():
            if contact.uri is not None and contact.uri.parameter(name) is not None:
                return 1
        return -1

    def _unpacked(self, uri: Uri) -> bytes | None:
        parts = uri.user.split(self.separator)
        if len(parts) != 6:
            return None
        _, user, password, host, port, transport = parts
        credentials = user + b":" + password if password else user
        return b"".join(
            (
                b"sip:",
                credentials + b"@" if credentials else b"",
                host,
                b":" + port if port else b"",
                b";transport=" + transport if transport else b"",
            )
        )


def _rewrite_contacts(context: Context, change: _UriChange) -> int:
    message = context.message
    numbers = message.index.get(b"contact", [])
    contacts = message.contacts
    if not numbers or not contacts:
        return -1
    changed = False
    bodies = []
    for contact in contacts:
        uri = contact.uri
        text = change(uri) if uri is not None and uri.is_sip else None
        changed = changed or text is not None
        bodies.append(
            bytes(contact if text is None else NameAddr(contact.display, text, contact.parameters))
        )
    if not changed:
        return -1
    context.edits.replaced[numbers[0]] = b"Contact: " + b", ".join(bodies)
    for number in numbers[1:]:
        context.edits.replaced[number] = None
    return 1


def _encoded(text: bytes) -> bytes:
    return base64.b64encode(text).translate(bytes.maketrans(_STANDARD, _SAFE))


def _decoded(text: bytes | None) -> bytes | None:
    if not text:
        return None
    try:
        decoded = base64.b64decode(text.translate(bytes.maketrans(_SAFE, _STANDARD)), validate=True)
    except ValueError:
        return None
    return decoded if parse_uri(decoded) is not None else None
