"""The address-of-record of a URI: the key under which contacts are kept.

Owns its canonical form (RFC 3261 10.3 step 5); it must not know messages or tables.
"""

from __future__ import annotations

import re

from kamailiod.sip.uri import parse_uri

_PRINTABLE_ESCAPE = re.compile(rb"%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_SCHEMES = (b"sip", b"sips", b"tel")


def address_of_record(
    uri_text: bytes, use_domain: bool, case_sensitive: bool, realm_prefix: bytes
) -> bytes | None:
    """Return the key of a sip, sips or tel URI; None for any other, or a malformed one.

    Escapes of printable characters are decoded; others stay, so that %00 cuts no name short
    (RFC 4475 3.1.1.4).  A URI without user stands for its host.  `realm_prefix` is taken off the
    host when the domain counts.
    """
    uri = parse_uri(uri_text)
    if uri is None or uri.scheme not in _SCHEMES:
        return None
    user = uri.user
    if b"%" in user:
        user = _PRINTABLE_ESCAPE.sub(lambda match: bytes((int(match.group(1), 16),)), user)
    if not user or (use_domain and uri.host):
        host = uri.host.lower()
        user = b"%b@%b" % (user, host.removeprefix(realm_prefix) if use_domain else host)
    return user if case_sensitive else user.lower()
