"""From a JSON-RPC 2.0 request to a command and back to an answer.

Owns the envelope (as Kamailio's jsonrpcs has it) and the coercion of parameters; it knows no
transport and no command.
"""

from __future__ import annotations

import inspect
import json
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import cast

from kamailiod.rpc.arguments import coerce
from kamailiod.script.log import Log
from kamailiod.script.module import RpcDeclaration, RpcFault
from lua import Wait

Command = Callable[..., object]
Answer = dict[str, object]

NOT_FOUND = (500, "Method Not Found")
INTERNAL_ERROR = (500, "Internal Server Error")


class RpcDispatcher:
    """Runs commands by name; a command may return an awaitable or a lua.Wait."""

    def __init__(self, commands: Mapping[str, Command], log: Log) -> None:
        self.commands = dict(sorted(commands.items()))
        self._log = log

    async def answer_json(self, text: str | bytes) -> Answer | None:
        """Return the answer to a request given as JSON text; None when the text is no JSON."""
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return await self.answer(request)

    async def answer(self, request: object) -> Answer:
        """Return the answer to a request; without method or version it has an empty result."""
        answer: Answer = {"jsonrpc": "2.0"}
        fields: Mapping[str, object] = request if isinstance(request, dict) else {}
        method = fields.get("method")
        if fields.get("jsonrpc") != "2.0" or not isinstance(method, str):
            answer["result"] = {}
        else:
            try:
                answer["result"] = await self.run(method, fields.get("params"))
            except RpcFault as fault:
                answer["error"] = {"code": fault.code, "message": fault.message}
        if "id" in fields:
            answer["id"] = fields["id"]
        return answer

    async def run(self, method: str, params: object = None) -> object:
        """Run one command and return its result; raises RpcFault, also for a command's bug."""
        command = self.commands.get(method)
        if command is None:
            raise RpcFault(*NOT_FOUND)
        try:
            result = command(*coerce(command, _positional(params)))
            if isinstance(result, Wait):
                result = result.awaitable_factory()
            if inspect.isawaitable(result):
                result = await cast("Awaitable[object]", result)
        except RpcFault:
            raise
        except Exception:
            self._log.error("rpc", f"{method} failed\n{traceback.format_exc()}")
            raise RpcFault(*INTERNAL_ERROR) from None
        return {} if result is None else result


def collect(owners: Iterable[object]) -> dict[str, Command]:
    """Return all commands declared by @rpc on these objects; the first of a name stays."""
    commands: dict[str, Command] = {}
    for owner in owners:
        for name, function in inspect.getmembers(type(owner), inspect.isfunction):
            declaration = getattr(function, "rpc", None)
            if isinstance(declaration, RpcDeclaration):
                commands.setdefault(declaration.name, getattr(owner, name))
    return commands


def to_json(answer: object) -> str:
    """Return an answer as JSON text; bytes are shown as UTF-8 text."""
    return json.dumps(answer, default=_plain)


def _positional(params: object) -> list[object]:
    """Return the parameters in their order; named ones are taken in the order they stand."""
    if isinstance(params, list):
        return params
    if isinstance(params, dict):
        return list(params.values())
    return []


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
