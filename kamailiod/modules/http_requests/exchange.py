"""One request and its answer over a pool of connections.

Imported when the first request is made, as it needs aiohttp.  It raises what aiohttp raises.
"""

from __future__ import annotations

from typing import Any

import aiohttp
from yarl import URL

from kamailiod.modules.http_requests.answer import HttpAnswer, Times
from kamailiod.modules.http_requests.authentication import authorization, early_authorization
from kamailiod.modules.http_requests.curl_errors import TOO_LONG
from kamailiod.modules.http_requests.request import HttpRequest, Profile
from kamailiod.modules.http_requests.sessions import Sessions
from kamailiod.modules.http_requests.target import Target, TargetError
from kamailiod.modules.http_requests.tls import tls_context

LONGEST_BODY = 8 << 20
"""Octets of a body past which a request fails, as when Kamailio's private memory is used up."""

_FORM = "application/x-www-form-urlencoded"
_REDIRECTS = 30


class Exchange:
    """A request on its way: with a second try where the server asks for credentials."""

    def __init__(
        self, sessions: Sessions, request: HttpRequest, profile: Profile, target: Target
    ) -> None:
        self._loop = sessions.loop
        self._session = sessions.session(profile.pooling)
        self._request = request
        self._profile = profile
        self._target = target
        self._method = request.method or ("POST" if request.body else "GET")
        self._username = target.username or profile.username
        self._password = target.password if target.username else profile.password
        self.times: Times = {}

    async def run(self) -> HttpAnswer:
        """Return the answer; raises one of failures.FAILURES."""
        early = early_authorization(self._profile.methods, self._username, self._password)
        answer = await self._ask(self._target.url, early)
        if answer.status != 401 or not self._username or early:
            return answer
        url = answer.url.decode()
        header = authorization(
            answer.header_values(b"www-authenticate"), self._profile.methods, self._username,
            self._password, self._method, URL(url, encoded=True).raw_path_qs,
        )  # fmt: skip
        if not header or URL(url, encoded=True).origin() != URL(self._target.url).origin():
            return answer
        return await self._ask(url, header)

    async def _ask(self, url: str, header: str) -> HttpAnswer:
        async with self._session.request(
            self._method, URL(url, encoded=True), headers=self._headers(header),
            data=self._request.body or None, allow_redirects=self._profile.redirects,
            max_redirects=_REDIRECTS, **self._options(url),
        ) as response:  # fmt: skip
            self.times[b"starttransfer"] = self._loop.time()
            return HttpAnswer(
                status=response.status,
                reason=(response.reason or "").encode("utf-8", "surrogateescape"),
                headers=response.raw_headers,
                body=await _body(response, self._profile.most),
                url=str(response.url).encode(),
                version=_version(response),
            )

    def _options(self, url: str) -> dict[str, Any]:
        options: dict[str, Any] = {}
        profile = self._profile
        if profile.proxy:
            options["proxy"] = profile.proxy
        if profile.redirects or url.startswith("https:") or profile.proxy.startswith("https:"):
            options["ssl"] = tls_context(profile.tls)
        if profile.pooling.traced:
            options["trace_request_ctx"] = self.times
        return options

    def _headers(self, authorization_header: str) -> list[tuple[str, str]]:
        given = self._request.headers
        names = {name.lower() for name, _ in given}
        headers = [("Authorization", authorization_header)] if authorization_header else []
        if self._profile.user_agent and "user-agent" not in names:
            headers.append(("User-Agent", self._profile.user_agent))
        if self._request.body and "content-type" not in names:
            kind = self._request.content_type
            if kind is None or kind:
                headers.append(("Content-Type", _FORM if kind is None else kind))
        return [*headers, *((name, value) for name, value in given if value)]


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a body, of which no more than `most` octets are wanted unless that is 0."""
    parts = bytearray()
    async for part in response.content.iter_any():
        parts += part
        if most and len(parts) >= most:
            response.close()
            return bytes(parts[:most])
        if len(parts) > LONGEST_BODY:
            response.close()
            raise TargetError(TOO_LONG)
    return bytes(parts)


def _version(response: aiohttp.ClientResponse) -> bytes:
    version = response.version
    return b"%d.%d" % (version.major, version.minor) if version else b"1.1"
