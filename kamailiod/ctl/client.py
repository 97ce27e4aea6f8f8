"""One JSON-RPC call over HTTP to the running server; it knows no command."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit


class NoServer(Exception):
    """Nobody answers there, or not with JSON-RPC; the message is for the user."""


class Fault(Exception):
    """The server answered that it cannot."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Client:
    """Calls methods at a URL, never through a proxy; `timeout` in seconds."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self._url = url
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, *params: object) -> object:
        """Return a method's result; raises Fault or NoServer."""
        request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        answer = self._exchange(json.dumps(request).encode())
        fault = answer.get("error")
        if isinstance(fault, dict):
            message = str(fault.get("message", ""))
            if message == "Method Not Found":
                message = f"the server has no command {method}; is its module loaded?"
            raise Fault(fault.get("code", 500), message)
        return answer.get("result")

    def _exchange(self, body: bytes) -> dict[str, object]:
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise NoServer(f"{self._url} is no http URL")
        request = urllib.request.Request(
            self._url, body, headers={"Content-Type": "application/json"}
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            # The status of a fault is its code; the answer explains it.
            answer = error.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoServer(self._unreachable(error)) from error
        try:
            decoded = json.loads(answer)
        except ValueError:
            text = answer.decode("utf-8", "replace").strip().partition("\n")[0]
            raise NoServer(f"{self._url} does not speak JSON-RPC: {text[:200]}") from None
        if not isinstance(decoded, dict):
            raise NoServer(f"{self._url} does not speak JSON-RPC")
        return decoded

    def _unreachable(self, error: Exception) -> str:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or reason or type(error).__name__
        return f"no server at {self._url} ({why}); is kamailiod running?"
