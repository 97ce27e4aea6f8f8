"""The modparams of sanity."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class SanityParams(Params):
    """Modparams of sanity."""

    default_checks: int = 3047
    uri_checks: int = 7
    size_checks: int = 0
    size_message: int = 16384
    size_method: int = 32
    size_ruri: int = 256
    size_from_uri: int = 256
    size_to_uri: int = 256
    size_contact_uri: int = 256
    size_route_uri: int = 256
    size_path_uri: int = 256
    size_pai_uri: int = 256
    size_header: int = 2048
    size_headers: int = 8192
    size_body: int = 8192
    proxy_require: str = ""
    autodrop: int = 1
    noreply: int = 0
