"""Calls through the proxy core that its tests have in common: forked, canceled, acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from kamailiod.script.context import Context
from tests.kamailiod.script.proxy_world import ProxyWorld

A, B, C = 6001, 6002, 6003


def fork(
    world: ProxyWorld, *ports: int, prepare: Callable[[Context], object] | None = None
) -> None:
    def route(context: Context) -> None:
        if context.message.method == b"CANCEL":
            world.tm.t_relay(context)
            return
        if prepare is not None:
            prepare(context)
        assert world.relay(context, ports) == 1

    world.script.request_route = route
    world.invite()


def cancel(world: ProxyWorld) -> None:
    world.request(b"CANCEL")


def acknowledge(world: ProxyWorld, tag: bytes = b"x") -> None:
    world.request(b"ACK", to=b"<sip:b@b.example>;tag=" + tag)
