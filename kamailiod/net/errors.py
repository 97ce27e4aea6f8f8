"""Errors of our own side of the network; what a peer does wrong is never one of these."""

from __future__ import annotations


class NetError(Exception):
    """Base of this package's errors."""


class BindError(NetError):
    """A listen address cannot be used; its text says which and why."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")
        self.address = address
