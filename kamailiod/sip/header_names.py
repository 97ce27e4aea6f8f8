"""Header field names: compact forms and one canonical lower-case key a name (RFC 3261 7.3.3)."""

from __future__ import annotations

COMPACT = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"n": b"identity-info",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}

_COMMON = (
    b"Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events "
    b"Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition "
    b"Content-Encoding Content-Language Content-Length Content-Type CSeq Date Diversion "
    b"Error-Info Event Expires From History-Info Identity In-Reply-To Max-Forwards MIME-Version "
    b"Min-Expires Min-SE Organization P-Asserted-Identity P-Preferred-Identity Path Priority "
    b"Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route "
    b"Refer-To Referred-By Remote-Party-ID Replaces Reply-To Require Retry-After Route RSeq "
    b"Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State "
    b"Supported Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate"
).split()

CANONICAL: dict[bytes, bytes] = {
    **{
        spelling: name.lower()
        for name in _COMMON
        for spelling in (name, name.lower(), name.upper())
    },
    b"Call-Id": b"call-id",
    **COMPACT,
    **{letter.upper(): name for letter, name in COMPACT.items()},
}
"""Usual spellings to canonical names, so that most lines need one dictionary look-up."""


def canonical(name: bytes) -> bytes:
    """Return the canonical key of a header name: long form, lower case, no trailing blanks."""
    known = CANONICAL.get(name)
    if known is not None:
        return known
    lowered = name.strip().lower()
    return COMPACT.get(lowered, lowered)
