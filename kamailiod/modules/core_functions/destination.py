"""The request URI and the next hop (KSR.seturi, setdsturi, native strip, prefix and the like).

Owns how they are rewritten; nothing is sent here.
"""

from __future__ import annotations

from kamailiod.net.address import bracketed
from kamailiod.script.context import Branch, Context
from kamailiod.script.module import kemi
from kamailiod.sip.uri import Uri


class Destination:
    """The functions that rewrite the request URI, the destination and the branches."""

    @kemi("seturi", native=("seturi", "rewriteuri"))
    def seturi(self, context: Context, uri: bytes) -> bool:
        """Replace the request URI; the value is not checked."""
        context.set_uri(uri)
        return True

    @kemi("setuser", native=("setuser", "rewriteuser", "setu"))
    def setuser(self, context: Context, user: bytes) -> bool:
        """Replace the user part of the request URI, keeping a password; false on a bad URI."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip:
            return False
        return _replace_user(context, uri, user)

    @kemi("sethost", native=("sethost", "rewritehost", "seth"))
    def sethost(self, context: Context, host: bytes) -> bool:
        """Replace the host of the request URI, keeping user, port and parameters."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip or not host:
            return False
        context.set_uri(uri.with_parts(host=bracketed(host)))
        return True

    @kemi("setdsturi", native=())
    def setdsturi(self, context: Context, uri: bytes) -> bool:
        """Set the destination URI ($du), the outbound proxy of this request."""
        context.destination = uri
        return True

    @kemi("resetdsturi", native=())
    def resetdsturi(self, context: Context) -> bool:
        """Unset the destination URI."""
        context.destination = b""
        return True

    @kemi("isdsturiset", native=())
    def isdsturiset(self, context: Context) -> bool:
        """Whether the destination URI is set."""
        return bool(context.destination)

    @kemi(native=("sethostport", "rewritehostport", "sethp"))
    def sethostport(self, context: Context, host_port: bytes) -> bool:
        """Replace host and port of the request URI by `host` or `host:port`."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip or not host_port:
            return False
        context.set_uri(uri.with_parts(host=host_port, port=0))
        return True

    @kemi(native=("sethostporttrans", "rewritehostporttrans", "sethpt"))
    def sethostporttrans(self, context: Context, address: bytes) -> bool:
        """Replace host, port and transport parameter by `host:port;transport=t`."""
        uri = context.parsed_uri
        host_port, _, transport = address.partition(b";")
        if uri is None or not uri.is_sip or not host_port:
            return False
        given = uri.parameters.split(b";")[1:]
        kept = [p for p in given if not p.lower().startswith(b"transport=")]
        parameters = b"".join(b";" + p for p in [*kept, transport] if p)
        context.set_uri(uri.with_parts(host=host_port, port=0, parameters=parameters))
        return True

    @kemi(native=("setport", "rewriteport", "setp"))
    def setport(self, context: Context, port: bytes) -> bool:
        """Replace the port of the request URI."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip or not port.isdigit() or int(port) > 65535:
            return False
        context.set_uri(uri.with_parts(port=int(port)))
        return True

    @kemi(native=("setuserpass", "rewriteuserpass", "setup"))
    def setuserpass(self, context: Context, credentials: bytes) -> bool:
        """Replace user and password of the request URI by `user:password`."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip:
            return False
        context.set_uri(uri.with_parts(user=credentials))
        return True

    @kemi(native="revert_uri")
    def revert_uri(self, context: Context) -> bool:
        """Undo all changes of the request URI."""
        context.set_uri(context.message.uri_text)
        return True

    @kemi(native="prefix")
    def prefix(self, context: Context, text: bytes) -> bool:
        """Put a text in front of the request URI's user part."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip:
            return False
        return _replace_user(context, uri, text + uri.user)

    @kemi(native="strip")
    def strip(self, context: Context, count: int) -> bool:
        """Remove the first characters of the request URI's user part."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip or count < 0:
            return False
        return _replace_user(context, uri, uri.user[count:])

    @kemi(native="strip_tail")
    def strip_tail(self, context: Context, count: int) -> bool:
        """Remove the last characters of the request URI's user part."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip or count < 0:
            return False
        return _replace_user(context, uri, uri.user[: max(0, len(uri.user) - count)])

    @kemi(native="userphone")
    def userphone(self, context: Context) -> bool:
        """Add the parameter user=phone to the request URI, unless it has one."""
        uri = context.parsed_uri
        if uri is None or not uri.is_sip:
            return False
        if uri.parameter(b"user") is None:
            context.set_uri(uri.with_parts(parameters=uri.parameters + b";user=phone"))
        return True

    @kemi(native="remove_branch")
    def remove_branch(self, context: Context, index: int = 0) -> bool:
        """Remove the added branch with this index, counted from 0."""
        if not 0 <= index < len(context.branches):
            return False
        del context.branches[index]
        return True

    @kemi(native="clear_branches")
    def clear_branches(self, context: Context) -> bool:
        """Remove all added branches."""
        context.branches.clear()
        return True


def add_branch(context: Context, uri: bytes = b"", q: int = -1) -> None:
    """Add a branch to another URI, or to the current one, which then loses what the branch took.

    The branch takes $du, path, flags and send socket along, as Kamailio's append_branch does.
    """
    context.branches.append(
        Branch(
            uri or context.uri,
            context.destination,
            context.path,
            q,
            context.branch_flags,
            context.socket,
            context.ruid,
            context.location_ua,
            context.instance,
        )
    )
    if not uri:
        context.destination = context.path = b""
        context.ruid = context.location_ua = context.instance = b""
        context.branch_flags = 0
        context.socket = None


def _replace_user(context: Context, uri: Uri, user: bytes) -> bool:
    credentials = user + b":" + uri.password if user and uri.password else user
    context.set_uri(uri.with_parts(user=credentials))
    return True
