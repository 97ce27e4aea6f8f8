"""libcurl's error numbers: scripts written for Kamailio compare with them and log their texts.

Owns names, numbers and texts (libcurl-errors(3)); which failure is which is in failures.py.
"""

from __future__ import annotations

UNSUPPORTED_PROTOCOL = 1
MALFORMED_URL = 3
NOT_BUILT_IN = 4
UNRESOLVED_PROXY = 5
UNRESOLVED_HOST = 6
NO_CONNECTION = 7
WEIRD_REPLY = 8
PARTIAL = 18
TOO_LONG = 23
TIMED_OUT = 28
TLS_FAILED = 35
BAD_INTERFACE = 45
TOO_MANY_REDIRECTS = 47
NO_REPLY = 52
SEND_FAILED = 55
RECEIVE_FAILED = 56
BAD_CERTIFICATE_FILE = 58
BAD_CIPHERS = 59
NOT_VERIFIED = 60
BAD_CA_FILE = 77

_TEXTS = {
    0: b"No error",
    UNSUPPORTED_PROTOCOL: b"Unsupported protocol",
    2: b"Failed initialization",
    MALFORMED_URL: b"URL using bad/illegal format or missing URL",
    NOT_BUILT_IN: b"A requested feature, protocol or option was not found built-in in this libcurl"
    b" due to a build-time decision.",
    UNRESOLVED_PROXY: b"Couldn't resolve proxy name",
    UNRESOLVED_HOST: b"Couldn't resolve host name",
    NO_CONNECTION: b"Couldn't connect to server",
    WEIRD_REPLY: b"Weird server reply",
    9: b"Access denied to remote resource",
    16: b"Error in the HTTP2 framing layer",
    PARTIAL: b"Transferred a partial file",
    22: b"HTTP response code said error",
    TOO_LONG: b"Failed writing received data to disk/application",
    26: b"Failed to open/read local data from file/application",
    27: b"Out of memory",
    TIMED_OUT: b"Timeout was reached",
    TLS_FAILED: b"SSL connect error",
    43: b"A libcurl function was given a bad argument",
    BAD_INTERFACE: b"Failed binding local connection end",
    TOO_MANY_REDIRECTS: b"Number of redirects hit maximum amount",
    NO_REPLY: b"Server returned nothing (no headers, no data)",
    53: b"SSL crypto engine not found",
    54: b"Can not set SSL crypto engine as default",
    SEND_FAILED: b"Failed sending data to the peer",
    RECEIVE_FAILED: b"Failure when receiving data from the peer",
    BAD_CERTIFICATE_FILE: b"Problem with the local SSL certificate",
    BAD_CIPHERS: b"Couldn't use specified SSL cipher",
    NOT_VERIFIED: b"SSL peer certificate or SSH remote key was not OK",
    61: b"Unrecognized or bad HTTP Content or Transfer-Encoding",
    65: b"Send failed since rewinding of the data stream failed",
    66: b"Failed to initialise SSL crypto engine",
    67: b"Login denied",
    BAD_CA_FILE: b"Problem with the SSL CA cert (path? access rights?)",
    80: b"Failed to shut down the SSL connection",
    82: b"Failed to load CRL file (path? access rights?, format?)",
    83: b"Issuer check against peer certificate failed",
    91: b"SSL server certificate status verification FAILED",
    97: b"proxy handshake error",
    98: b"SSL Client Certificate required",
    99: b"Unrecoverable error in select/poll",
}


def error_text(number: int) -> bytes:
    """Return libcurl's text for an error number, as `$curlerror(number)` shows it."""
    if number >= 100:
        return b"HTTP result code"
    if number < 0:
        return b"Bad CURL error code"
    return _TEXTS.get(number, b"Unknown error")
