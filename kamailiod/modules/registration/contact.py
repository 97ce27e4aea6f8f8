"""One Contact of a REGISTER, and the Contact header of its answer.

Owns the contact parameters of RFC 3261 20.10 and their text form; it must not know tables.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from kamailiod.modules.registration.gruu import GruuMaker
from kamailiod.sip.message import SipMessage
from kamailiod.sip.methods import METHOD_BITS, OTHER_METHOD_BIT
from kamailiod.sip.name_addr import NameAddr
from kamailiod.sip.uri import parameter_value
from shm import Binding

ALL_METHODS = 0xFFFFFFFF
"""The methods mask of a contact that did not say which it takes."""

NO_Q = -1
BAD_Q = -2
NO_EXPIRES = -1
BAD_EXPIRES = -2

MOST_EXPIRES = 2**32 - 1
"""The largest expiry that the grammar allows (RFC 3261 20.19); what is above it is cut."""

# qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] );  more digits are cut, and a
# leading "." is taken, as Kamailio does.
_Q = re.compile(rb"(0?)\.([0-9]+)\Z|0\.?\Z|1(?:\.0*)?\Z")

# The Contact most phones send: a part of what name-addr and SIP-URI allow, recognised in one go.
_PLAIN = re.compile(
    rb"<(sips?:[\w.+~-]++@[\w.-]++(?::[0-9]{1,4})?(?:;[\w=.~-]++)*+)>"
    rb"((?:;[\w.+-]++(?:=(?:[\w.-]++|\"[^\"\\]*+\"))?)*+)\Z"
)


class ContactParameters:
    """The parameters of one Contact that a registrar looks at.

    `q` in thousandths, NO_Q or BAD_Q; `expires` in seconds, NO_EXPIRES or BAD_EXPIRES; `methods`
    a mask, 0 when not given.
    """

    __slots__ = ("expires", "instance", "methods", "q", "received", "reg_id")

    def __init__(self, parameters: bytes) -> None:
        q = parameter_value(parameters, b"q")
        self.q = NO_Q if q is None else parse_q(q)
        expires = parameter_value(parameters, b"expires")
        self.expires = NO_EXPIRES if expires is None else parse_expires(expires)
        self.received = parameter_value(parameters, b"received") or b""
        methods = parameter_value(parameters, b"methods")
        self.methods = methods_mask(methods) if methods else 0
        self.instance = parameter_value(parameters, b"+sip.instance") or b""
        reg_id = parameter_value(parameters, b"reg-id") or b""
        self.reg_id = int(reg_id) if reg_id.isdigit() and len(reg_id) < 10 else 0


def plain_contact(message: SipMessage) -> NameAddr | None:
    """Return the one Contact of a request, sound for sure, when it is of the plainest form.

    None says nothing: what it holds is then for the whole grammar to find out.
    """
    numbers = message.index.get(b"contact")
    if numbers is None or len(numbers) != 1:
        return None
    match = _PLAIN.match(message.header(b"contact") or b"")
    return None if match is None else NameAddr(b"", *match.groups())


@lru_cache(maxsize=4096)
def parse_parameters(parameters: bytes) -> ContactParameters:
    """Read the raw parameters of a Contact, from its first semicolon on."""
    return ContactParameters(parameters)


def parse_q(text: bytes) -> int:
    """Return a q value in thousandths, BAD_Q when it is none."""
    match = _Q.match(text)
    if match is None:
        return BAD_Q
    digits = match.group(2)
    if digits is not None:
        return int((digits + b"00")[:3])
    return 1000 if text[:1] == b"1" else 0


@lru_cache(maxsize=512)
def parse_expires(text: bytes) -> int:
    """Return an expiry in seconds, at most MOST_EXPIRES; BAD_EXPIRES when it is no number."""
    if not text.isdigit():
        return BAD_EXPIRES
    return min(int(text), MOST_EXPIRES) if len(text) <= 10 else MOST_EXPIRES


@lru_cache(maxsize=512)
def methods_mask(text: bytes) -> int:
    """Return the mask of a comma-joined list of methods; all unknown ones share one bit."""
    mask = 0
    for method in text.split(b","):
        mask |= METHOD_BITS.get(method.strip().upper(), OTHER_METHOD_BIT)
    return mask


@lru_cache(maxsize=1024)
def q_text(q: int) -> bytes:
    """Return thousandths as a q value, without needless digits."""
    return b"%d" % (q // 1000) if q % 1000 == 0 else (b"0.%03d" % q).rstrip(b"0")


def contact_header(
    bindings: Sequence[Binding], now: float, received_name: bytes, gruu: GruuMaker | None = None
) -> bytes:
    """Return the Contact header line of a registrar's answer: all bindings with what is left.

    `received_name` names the parameter that shows where a contact was received from; `gruu` makes
    the GRUUs of a phone that asked for them.
    """
    second = int(now)
    parts = []
    for binding in bindings:
        left = binding.expires - second if binding.expires else MOST_EXPIRES
        if binding.q < 0:
            part = b"<%b>;expires=%d" % (binding.contact, left)
        else:
            part = b"<%b>;q=%b;expires=%d" % (binding.contact, q_text(binding.q), left)
        if binding.received and received_name:
            part = b'%b;%b="%b"' % (part, received_name, binding.received)
        if binding.instance:
            if gruu is not None:
                part += gruu.parameters(binding.instance, binding.ruid)
            part = b'%b;+sip.instance="%b"' % (part, binding.instance)
            if binding.reg_id:
                part = b"%b;reg-id=%d" % (part, binding.reg_id)
        parts.append(part)
    return b"Contact: " + b", ".join(parts)
