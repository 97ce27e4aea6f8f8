"""JSON-RPC over a UNIX datagram socket and over a FIFO, as Kamailio's tools speak it.

Owns the files, their permissions and the cutting of the FIFO's stream; it knows no command.
"""

from __future__ import annotations

import asyncio
import errno
import grp
import json
import os
import pwd
import socket
import stat
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Answered = Callable[[bytes], Awaitable[bytes | None]]
Failed = Callable[[str], None]

_LARGEST = 1 << 16
_BURST = 64
_REPLY_SECONDS = 2.0
_PAUSE = 0.005


@dataclass(frozen=True, slots=True)
class Permissions:
    """Mode, and owner and group by name or number, "" for those of the process."""

    mode: int
    user: str = ""
    group: str = ""

    def give(self, path: str) -> None:
        """Set them on a file; raises OSError."""
        os.chmod(path, self.mode)
        user = _identity(self.user, lambda name: pwd.getpwnam(name).pw_uid)
        group = _identity(self.group, lambda name: grp.getgrnam(name).gr_gid)
        if (user, group) != (-1, -1):
            os.chown(path, user, group)


class DatagramTransport:
    """A request a datagram; the answer goes to the address of the sender's own socket."""

    def __init__(
        self, path: str, permissions: Permissions, answered: Answered, failed: Failed
    ) -> None:
        self._path = path
        self._permissions = permissions
        self._answered = answered
        self._failed = failed
        self._socket: socket.socket | None = None
        self._loop: AbstractEventLoop
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, loop: AbstractEventLoop) -> None:
        """Bind and answer; raises OSError."""
        _remove(self._path, stat.S_ISSOCK)
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            own.bind(self._path)
            self._permissions.give(self._path)
        except OSError as error:
            own.close()
            raise OSError(error.errno, error.strerror, self._path) from error
        self._socket, self._loop = own, loop
        loop.add_reader(own.fileno(), self._drain, own)

    def close(self) -> None:
        """Stop, and remove the socket's file."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
            _remove(self._path, stat.S_ISSOCK)

    def _drain(self, own: socket.socket) -> None:
        for _ in range(_BURST):
            try:
                text, sender = own.recvfrom(_LARGEST)
            except OSError:
                return
            task = self._loop.create_task(self._handle(own, text, sender))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, own: socket.socket, text: bytes, sender: str | None) -> None:
        answer = await self._answered(text)
        if answer is None or not sender:
            return
        try:
            own.sendto(answer, sender)
        except OSError as error:
            self._failed(f"no answer to {sender}: {error.strerror}")


class FifoTransport:
    """Requests from a FIFO; "reply_name" names the client's FIFO in the reply directory."""

    def __init__(
        self, path: str, reply_directory: str, permissions: Permissions, answered: Answered,
        failed: Failed,
    ) -> None:  # fmt: skip
        self._path = path
        self._reply_directory = reply_directory
        self._permissions = permissions
        self._answered = answered
        self._failed = failed
        self._descriptor = -1
        self._pending = b""
        self._loop: AbstractEventLoop
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, loop: AbstractEventLoop) -> None:
        """Make the FIFO and answer; raises OSError."""
        _remove(self._path, stat.S_ISFIFO)
        os.mkfifo(self._path, 0o600)
        self._permissions.give(self._path)
        # Opened for writing too, it never comes to an end between two clients.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
        self._loop = loop
        loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Stop, and remove the FIFO."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            _remove(self._path, stat.S_ISFIFO)

    def _read(self) -> None:
        try:
            self._pending += os.read(self._descriptor, _LARGEST)
        except OSError:
            return
        for request in self._requests():
            task = self._loop.create_task(self._handle(request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _requests(self) -> list[dict[str, object]]:
        """Cut whole requests off what was read; of what is none, drop up to the next line."""
        found: list[dict[str, object]] = []
        while self._pending.strip():
            text = self._pending.decode("utf-8", "replace").lstrip()
            try:
                request, end = json.JSONDecoder().raw_decode(text)
            except ValueError as error:
                if len(self._pending) < _LARGEST and _is_unfinished(text, error):
                    self._pending = text.encode()
                    return found
                self._failed("a request on the FIFO is no JSON")
                _, _, self._pending = self._pending.lstrip().partition(b"\n")
                continue
            self._pending = text[end:].encode()
            if isinstance(request, dict):
                found.append(request)
        self._pending = b""
        return found

    async def _handle(self, request: dict[str, object]) -> None:
        name = request.pop("reply_name", None)
        answer = await self._answered(json.dumps(request).encode())
        if answer is None or not isinstance(name, str):
            return
        try:
            await self._reply(name, answer)
        except OSError as error:
            self._failed(f"no answer to FIFO {name!r}: {error.strerror}")

    async def _reply(self, name: str, answer: bytes) -> None:
        if not name or "/" in name or name.startswith("."):
            raise OSError(0, "not a plain name")
        path = os.path.join(self._reply_directory, name)
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise OSError(0, "not a FIFO")
            deadline = self._loop.time() + _REPLY_SECONDS
            while answer:
                answer = answer[_written(descriptor, answer) :]
                if answer and self._loop.time() > deadline:
                    raise OSError(0, "the client does not read")
                await asyncio.sleep(_PAUSE if answer else 0)
        finally:
            os.close(descriptor)


def _written(descriptor: int, data: bytes) -> int:
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0


def _is_unfinished(text: str, error: ValueError) -> bool:
    """Whether more input could make it JSON: it starts as an object and ends too early."""
    position = getattr(error, "pos", 0)
    unterminated = "Unterminated" in str(error)
    return text.startswith("{") and (position >= len(text.rstrip()) or unterminated)


def _remove(path: str, expected: Callable[[int], bool]) -> None:
    """Remove a file left over; one of another kind is left, for the next step to fail on it."""
    try:
        if expected(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        return


def _identity(name: str, number: Callable[[str], int]) -> int:
    if not name:
        return -1
    try:
        return int(name) if name.isdecimal() else number(name)
    except KeyError:
        raise OSError(errno.ENOENT, "no such user or group", name) from None
