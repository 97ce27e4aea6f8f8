"""Which of libcurl's errors a failure of aiohttp is.

Owns that table only; imported with sessions.py, when the first request is made.
"""

from __future__ import annotations

import ssl

import aiohttp

from kamailiod.modules.http_requests import curl_errors
from kamailiod.modules.http_requests.target import TargetError
from kamailiod.modules.http_requests.tls import TlsError

FAILURES = (aiohttp.ClientError, TargetError, TlsError, OSError, TimeoutError, ValueError)
"""What a request may raise when the peer or what it was asked with is at fault."""

# The first class that fits counts: special ones stand before those they are made of.
_NUMBERS: tuple[tuple[type[BaseException], int], ...] = (
    (TimeoutError, curl_errors.TIMED_OUT),
    (aiohttp.NonHttpUrlClientError, curl_errors.UNSUPPORTED_PROTOCOL),
    (aiohttp.InvalidURL, curl_errors.MALFORMED_URL),
    (aiohttp.TooManyRedirects, curl_errors.TOO_MANY_REDIRECTS),
    (aiohttp.ClientHttpProxyError, curl_errors.RECEIVE_FAILED),
    (aiohttp.ClientResponseError, curl_errors.WEIRD_REPLY),
    (aiohttp.ClientConnectorDNSError, curl_errors.UNRESOLVED_HOST),
    (ssl.SSLCertVerificationError, curl_errors.NOT_VERIFIED),
    (aiohttp.ClientConnectorCertificateError, curl_errors.NOT_VERIFIED),
    (ssl.SSLError, curl_errors.TLS_FAILED),
    (aiohttp.ClientSSLError, curl_errors.TLS_FAILED),
    (aiohttp.ClientConnectorError, curl_errors.NO_CONNECTION),
    (aiohttp.ServerDisconnectedError, curl_errors.NO_REPLY),
    (aiohttp.ClientPayloadError, curl_errors.PARTIAL),
    (aiohttp.ClientOSError, curl_errors.RECEIVE_FAILED),
    (aiohttp.ClientError, curl_errors.RECEIVE_FAILED),
    (OSError, curl_errors.NO_CONNECTION),
    (ValueError, curl_errors.MALFORMED_URL),
)


def error_number(error: BaseException, by_proxy: bool = False) -> int:
    """Return libcurl's number for what a request raised."""
    if isinstance(error, TargetError | TlsError):
        return error.number
    for kind, number in _NUMBERS:
        if isinstance(error, kind):
            unresolved = number == curl_errors.UNRESOLVED_HOST
            return curl_errors.UNRESOLVED_PROXY if unresolved and by_proxy else number
    return curl_errors.RECEIVE_FAILED


def is_stale(error: BaseException) -> bool:
    """Whether a kept connection may have ended before the request came: once more is right."""
    return isinstance(error, aiohttp.ServerDisconnectedError) or (
        isinstance(error, aiohttp.ClientOSError)
        and not isinstance(error, aiohttp.ClientConnectorError)
    )
