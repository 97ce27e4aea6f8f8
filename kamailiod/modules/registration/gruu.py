"""Globally routable user agent URIs (RFC 5627): made for a contact, and taken apart again.

A public one is the user's own URI with the instance; a temporary one is made of the contact's ruid
and the hash under which its user is found.
"""

from __future__ import annotations

from kamailiod.sip.uri import Uri, parse_uri


class GruuMaker:
    """Makes the GRUUs of one user's contacts; `number` is the table's hash of the user."""

    __slots__ = ("_address", "_host", "_number")

    def __init__(self, address: Uri, number: int) -> None:
        self._host = address.host
        self._address = b"%b:%b@%b" % (address.scheme, address.user, address.host)
        self._number = number

    def parameters(self, instance: bytes, ruid: bytes) -> bytes:
        """Return the Contact parameters of a contact with an instance."""
        return b';pub-gruu="%b;gr=%b";temp-gruu="sip:%b-%x@%b;gr"' % (
            self._address,
            instance.strip(b"<>"),
            ruid,
            self._number,
            self._host,
        )


class Gruu:
    """A GRUU that a request is for: of an `instance`, or of the contact of a `ruid` and hash."""

    __slots__ = ("instance", "number", "ruid")

    def __init__(self, instance: bytes, ruid: bytes, number: int) -> None:
        self.instance = instance
        self.ruid = ruid
        self.number = number


def parse_gruu(uri_text: bytes) -> Gruu | None:
    """Return the GRUU that a URI is, None when it is none."""
    if b";gr" not in uri_text:
        return None
    uri = parse_uri(uri_text)
    value = uri.parameter(b"gr") if uri is not None else None
    if uri is None or value is None:
        return None
    if value:
        return Gruu(value, b"", 0)
    ruid, _, number = uri.user.rpartition(b"-")
    try:
        return Gruu(b"", ruid, int(number, 16))
    except ValueError:
        return Gruu(b"", uri.user, 0)
