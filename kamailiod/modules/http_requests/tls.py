"""TLS contexts of requests, made once for equal settings.

Owns what libcurl's TLS options mean; certificates are read when they are first used.
"""

from __future__ import annotations

import ssl
from functools import lru_cache

from kamailiod.modules.http_requests.curl_errors import (
    BAD_CA_FILE,
    BAD_CERTIFICATE_FILE,
    BAD_CIPHERS,
    NOT_BUILT_IN,
)
from kamailiod.modules.http_requests.request import Tls

HIGHEST_VERSION = 7
_LOWEST = {
    1: ssl.TLSVersion.TLSv1, 4: ssl.TLSVersion.TLSv1, 5: ssl.TLSVersion.TLSv1_1,
    6: ssl.TLSVersion.TLSv1_2, 7: ssl.TLSVersion.TLSv1_3,
}  # fmt: skip


class TlsError(Exception):
    """Settings that give no TLS context; `number` is libcurl's error."""

    def __init__(self, number: int) -> None:
        super().__init__(f"error {number}")
        self.number = number


@lru_cache(maxsize=64)
def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of these settings; raises TlsError.

    Without a CA file or path the system's certificates count. Where the peer is not verified its
    name is not either.
    """
    context = _with_authorities(tls)
    context.check_hostname = tls.verify_host and tls.verify_peer
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify_peer else ssl.CERT_NONE
    if tls.version:
        if tls.version not in _LOWEST:
            raise TlsError(NOT_BUILT_IN)
        context.minimum_version = _LOWEST[tls.version]
    if tls.ciphers:
        try:
            context.set_ciphers(tls.ciphers)
        except ssl.SSLError:
            raise TlsError(BAD_CIPHERS) from None
    if tls.certificate and tls.key:
        try:
            context.load_cert_chain(tls.certificate, tls.key, _no_password)
        except (OSError, ValueError):
            raise TlsError(BAD_CERTIFICATE_FILE) from None
    return context


def _with_authorities(tls: Tls) -> ssl.SSLContext:
    if not (tls.ca_file or tls.ca_path):
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(
            cafile=tls.ca_file or None, capath=tls.ca_path or None
        )
    except (OSError, ValueError):
        raise TlsError(BAD_CA_FILE) from None


def _no_password() -> bytes:
    # An encrypted key would make OpenSSL ask at the terminal, and the worker stand still.
    return b""
