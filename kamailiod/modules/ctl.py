"""Module ctl: accepted so that Kamailio's config files load; JSON-RPC takes the place of binrpc.

Owns the modparams and the commands that tell of its listeners, of which there are none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.script.module import Module, Params, rpc


@dataclass(frozen=True, slots=True)
class CtlParams(Params):
    """modparams of ctl."""

    fifo: list[str] = field(default_factory=list)
    binrpc: list[str] = field(default_factory=list)
    mode: int = 0o600
    user: str = ""
    group: str = ""
    autoconversion: int = 0
    binrpc_max_body_size: int = 32
    binrpc_struct_max_body_size: int = 8
    binrpc_buffer_size: int = 1024


class Ctl(Module):
    """The control interface of Kamailio's own tools; kamailiod-ctl speaks JSON-RPC instead."""

    name: ClassVar[str] = "ctl"
    Params: ClassVar[type[Params]] = CtlParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "fifo", "binrpc", "mode", "user", "group", "autoconversion", "binrpc_max_body_size",
        "binrpc_struct_max_body_size", "binrpc_buffer_size",
    )  # fmt: skip
    params: CtlParams

    @rpc("ctl.connections")
    def connections(self) -> object:
        """Show the number of connections."""
        return 0

    @rpc("ctl.listen")
    def listeners(self) -> object:
        """List the addresses that ctl listens on."""
        return []

    @rpc("ctl.who")
    def peers(self) -> object:
        """List the connections."""
        return []
