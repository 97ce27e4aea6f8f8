"""Routing a request to bindings: its URI becomes the best contact, the others branches.

Owns what of a binding goes where in the context; it must not know tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kamailiod.modules.registration.path import first_hop
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Branch, Context
from kamailiod.sip.methods import METHOD_BITS, OTHER_METHOD_BIT
from kamailiod.sip.name_addr import NameAddr, parse_addresses
from kamailiod.sip.uri import Uri
from shm import Binding

Sockets = Mapping[bytes, ListenAddress]
"""The server's sockets by their text, as bindings name them."""


def takes(binding: Binding, method: bytes) -> bool:
    """Whether a contact said that it takes requests of this method, or said nothing."""
    return bool(binding.methods & METHOD_BITS.get(method, OTHER_METHOD_BIT))


def next_hop(binding: Binding) -> bytes:
    """Return where requests to a contact go first: its Path, or where it registered from."""
    return first_hop(binding.path) if binding.path else binding.received


def beyond_own_hops(binding: Binding, is_own: Callable[[Uri], bool]) -> Binding:
    """Return a contact without the first hops of its Path that are this server (RFC 3327 5.1)."""
    if not binding.path:
        return binding
    hops: Sequence[NameAddr] = parse_addresses(binding.path) or ()
    left = list(hops)
    while left:
        uri = left[0].uri
        if uri is None or not is_own(uri):
            break
        del left[0]
    if len(left) == len(hops):
        return binding
    path = b",".join([b"<%b>%b" % (hop.uri_text, hop.parameters) for hop in left])
    return binding._replace(path=path)


def send_to(context: Context, binding: Binding, sockets: Sockets) -> None:
    """Make a contact the request's destination, in the place of what it was."""
    context.set_uri(binding.contact)
    context.destination = next_hop(binding)
    context.path = binding.path
    context.socket = sockets.get(binding.socket)
    context.branch_flags |= binding.cflags
    context.ruid = binding.ruid
    context.location_ua = binding.user_agent
    context.instance = binding.instance
    if binding.q >= 0:
        context.shared.notes["ruri_q"] = binding.q


def append(context: Context, bindings: Sequence[Binding], sockets: Sockets) -> None:
    """Make contacts further destinations of the request, in their order."""
    for binding in bindings:
        context.branches.append(
            Branch(
                binding.contact,
                next_hop(binding),
                binding.path,
                binding.q,
                binding.cflags,
                sockets.get(binding.socket),
                binding.ruid,
                binding.user_agent,
                binding.instance,
            )
        )
