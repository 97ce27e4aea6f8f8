"""Module jsonrpcs: JSON-RPC from scripts, over a datagram socket and over a FIFO.

Owns modparams and script functions; sockets are in jsonrpc_transports.py, the commands are given by
the server.
"""

from __future__ import annotations

import json
import os
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.rpc_transports.transports import (
    DatagramTransport,
    FifoTransport,
    Permissions,
)
from kamailiod.script.context import Context, Value
from kamailiod.script.module import Module, Params, kemi, pseudo_variable, rpc
from kamailiod.script.services import Services
from lua import Wait

Answer = Callable[[str | bytes], Awaitable[dict[str, object] | None]]

_FIFO, _DATAGRAM = 2, 4
_RPC_RANK = -2
_NOTE = "jsonrpcs"


@dataclass(frozen=True, slots=True)
class JsonrpcsParams(Params):
    """modparams of jsonrpcs; relative names are below the run directory."""

    pretty_format: int = 1
    transport: int = 6
    fifo_name: str = "kamailio_rpc.fifo"
    fifo_mode: int = 0o660
    fifo_group: str = ""
    fifo_user: str = ""
    fifo_reply_dir: str = "/tmp/"
    dgram_socket: str = "kamailio_rpc.sock"
    dgram_workers: int = 1
    dgram_timeout: int = 2000
    dgram_mode: int = 0o660
    dgram_group: str = ""
    dgram_user: str = ""
    tcp_socket: str = ""


class Jsonrpcs(Module):
    """JSON-RPC for scripts and for Kamailio's tools; `use` gives it the server's commands."""

    name: ClassVar[str] = "jsonrpcs"
    Params: ClassVar[type[Params]] = JsonrpcsParams
    without_effect: ClassVar[tuple[str, ...]] = ("dgram_workers", "dgram_timeout", "tcp_socket")
    params: JsonrpcsParams

    def __init__(self, params: JsonrpcsParams, services: Services) -> None:
        super().__init__(params, services)
        self._answer: Answer = _nothing
        self._transports: list[DatagramTransport | FifoTransport] = []

    def use(self, answer: Answer) -> None:
        """Take what answers a request given as JSON text; called before the fork."""
        self._answer = answer

    def child_init(self, rank: int) -> None:
        """Open socket and FIFO in the RPC process; raises OSError when that fails."""
        if rank != _RPC_RANK:
            return
        params = self.params
        if params.transport & _FIFO and params.fifo_name:
            permissions = Permissions(params.fifo_mode, params.fifo_user, params.fifo_group)
            self._start(
                FifoTransport(
                    self._path(params.fifo_name), params.fifo_reply_dir, permissions,
                    self._answered, self._failed,
                )
            )  # fmt: skip
        if params.transport & _DATAGRAM and params.dgram_socket:
            permissions = Permissions(params.dgram_mode, params.dgram_user, params.dgram_group)
            path = self._path(params.dgram_socket)
            self._start(DatagramTransport(path, permissions, self._answered, self._failed))

    def child_exit(self, rank: int) -> None:
        """Close what was opened and remove its files."""
        for transport in self._transports:
            transport.close()
        self._transports.clear()

    def _start(self, transport: DatagramTransport | FifoTransport) -> None:
        loop: AbstractEventLoop = self.services.loop
        transport.open(loop)
        self._transports.append(transport)

    def _path(self, name: str) -> str:
        return os.path.join(self.services.settings.run_dir, name)

    async def _answered(self, text: bytes) -> bytes | None:
        answer = await self._answer(text)
        return None if answer is None else self._shown(answer)

    def _failed(self, reason: str) -> None:
        self.services.log.error("jsonrpcs", reason)

    def _shown(self, answer: object) -> bytes:
        indent = "\t" if self.params.pretty_format else None
        return json.dumps(answer, indent=indent, default=_plain).encode()

    @kemi("jsonrpcs.dispatch", native="jsonrpc_dispatch")
    def dispatch(self, context: Context) -> int:
        """Answer a JSON-RPC request received over HTTP; SIP messages are none, which is logged."""
        self._failed("jsonrpc_dispatch: there is no HTTP request to answer")
        return 1

    @kemi("jsonrpcs.exec", native="jsonrpc_exec", waits=True)
    def exec(self, context: Context, command: bytes) -> Wait:
        """Run a request given as JSON; 1 and the answer in $jsonrpl, or -1 when it is no JSON."""

        async def run() -> int:
            answer = await self._answer(command)
            if answer is None:
                return -1
            context.shared.notes[_NOTE] = (*_status(answer), self._shown(answer))
            return 1

        return Wait(run)

    @kemi("jsonrpcs.execx", native=(), waits=True)
    def execx(self, context: Context, command: bytes) -> Wait:
        """Run a request given as JSON; the same as exec here."""
        return self.exec(context, command)

    @kemi("jsonrpcs.response", native=())
    def response(self, context: Context) -> Value:
        """Return the answer of the last exec."""
        return self.reply(context, b"body", None)

    @pseudo_variable("jsonrpl")
    def reply(self, context: Context, inner: bytes, index: object) -> Value:
        """$jsonrpl(code), $jsonrpl(text) and $jsonrpl(body): the answer of the last exec."""
        found = context.shared.notes.get(_NOTE)
        if not isinstance(found, tuple):
            return None
        code, text, body = found
        answers: dict[bytes, Value] = {b"code": code, b"text": text, b"body": body}
        return answers.get(inner)

    @rpc("jsonrpc.echo")
    def echo(self, *values: object) -> object:
        """Answer with the parameters."""
        return list(values)


def _status(answer: dict[str, object]) -> tuple[int, bytes]:
    fault = answer.get("error")
    if isinstance(fault, dict):
        return int(fault["code"]), str(fault["message"]).encode()
    return 200, b"OK"


def _plain(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


async def _nothing(text: str | bytes) -> None:
    """Answer nothing: the server gave no commands."""
