"""Changing where a Contact says that its user is: fix_nated_contact, aliases, received.

Owns the text of the Contact header; knows no modparam.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kamailiod.net.address import PROTOCOL_IDS, Source, bracketed
from kamailiod.script.context import Context
from kamailiod.script.message_replacement import replace_line
from kamailiod.sip.header_values import split_values
from kamailiod.sip.message import line_body
from kamailiod.sip.name_addr import NameAddr, parse_addresses, parse_name_addr
from kamailiod.sip.uri import Uri, parse_uri


@dataclass(frozen=True, slots=True)
class LastContact:
    """The last address of the first Contact header: what NAT functions change."""

    number: int
    before: list[bytes]
    text: bytes
    address: NameAddr
    uri: Uri

    @property
    def is_bare(self) -> bool:
        """Whether it stands without `<>`."""
        return b"<" not in self.text


def last_contact(context: Context) -> LastContact | None:
    """Return the contact to change, as it now stands; None when there is none, or a bad one."""
    message = context.message
    numbers = message.index.get(b"contact")
    line = context.edits.line(message, numbers[0]) if numbers else None
    if not numbers or line is None:
        return None
    *before, text = split_values(line_body(line))
    address = parse_name_addr(text.strip())
    uri = address.uri if address is not None else None
    if address is None or uri is None or not uri.is_sip:
        return None
    return LastContact(numbers[0], before, text, address, uri)


def rewrite(context: Context, contact: LastContact, uri: bytes, bracket: bool) -> int:
    """Give a contact another URI, in the message sent and for those who save it: 1, or -1.

    `bracket` puts a bare URI into `<>`.
    """
    old = contact.uri.text
    new = b"<" + uri + b">" if bracket and contact.is_bare else uri
    place = contact.text.find(old, contact.text.rfind(b"<") + 1)
    text = contact.text[:place] + new + contact.text[place + len(old) :]
    line = b"Contact: " + b",".join((*contact.before, text)).strip()
    if parse_uri(uri) is None:
        return -1
    if context.message.method == b"REGISTER":
        # What the registrar saves is the contact as it now is.
        return 1 if replace_line(context, contact.number, line) else -1
    context.edits.replaced[contact.number] = line
    context.message.take_contacts(parse_addresses(line_body(line)))
    return 1


def at_source(uri: Uri, source: Source) -> bytes:
    """Return a URI with the host and port that a message was received from."""
    return uri.with_parts(host=bracketed(source.host), port=source.port)


def source_uri(source: Source) -> bytes:
    """Return where a message was received from, the transport named unless it is UDP."""
    transport = source.local.transport
    suffix = b"" if transport == b"udp" else b";transport=" + transport
    return b"sip:%b:%d%b" % (bracketed(source.host), source.port, suffix)


def source_alias(source: Source) -> tuple[bytes, bytes, bytes]:
    """Return address, port and protocol number that a message was received from."""
    number = PROTOCOL_IDS.get(source.local.transport, 0)
    return bracketed(source.host), b"%d" % source.port, b"%d" % number


def is_at(uri: Uri, source: Source) -> bool:
    """Whether a URI names exactly where a message was received from, its transport included."""
    return (
        uri.bare_host == source.host
        and uri.effective_port == source.port
        and uri.transport == source.local.transport
    )


def with_alias(uri: Uri, name: bytes, alias: tuple[bytes, bytes, bytes], first: bool) -> bytes:
    """Return a URI with an alias parameter, before or behind its others."""
    parameter = b";%b=%b~%b~%b" % (name, *alias)
    parameters = parameter + uri.parameters if first else uri.parameters + parameter
    return uri.with_parts(parameters=parameters)


def without_alias(uri: Uri, name: bytes) -> Uri:
    """Return a URI without its alias parameters."""
    parameters = re.sub(rb";" + re.escape(name) + rb"=[^;]*", b"", uri.parameters)
    return parse_uri(uri.with_parts(parameters=parameters)) or uri


def add_received(context: Context, in_uri: bool) -> int:
    """Add a received parameter to every contact, or to the URI of every contact."""
    received = source_uri(context.source)
    message = context.message
    for number in message.index.get(b"contact", ()):
        line = context.edits.line(message, number)
        if line is None or line_body(line) == b"*":
            continue
        change = _received_in_uri(received) if in_uri else _received_behind(received)
        values = [change(value) for value in split_values(line_body(line))]
        context.edits.replaced[number] = b"Contact: " + b",".join(values)
    return 1


def _received_behind(received: bytes) -> Callable[[bytes], bytes]:
    return lambda value: value.rstrip() + b';received="%b"' % received


def _received_in_uri(received: bytes) -> Callable[[bytes], bytes]:
    parameter = b";received=" + received

    def change(value: bytes) -> bytes:
        end = value.rfind(b">") if b"<" in value else value.find(b";")
        end = len(value.rstrip()) if end < 0 else end
        return value[:end] + parameter + value[end:]

    return change
