"""Servers and phones for the tests; all of them end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.embedded_default import VOICEMAIL, embedded_default, registered
from tests.end_to_end.kemi import Kemi
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


@pytest.fixture
def pbx(tmp_path: Path) -> Iterator[RunningServer]:
    """The embedded default, running."""
    with embedded_default(tmp_path) as server:
        yield server


@pytest.fixture
def alice(pbx: RunningServer, stack: ExitStack) -> Peer:
    return stack.enter_context(registered(pbx, "alice"))


@pytest.fixture
def bob(pbx: RunningServer, stack: ExitStack) -> Peer:
    return stack.enter_context(registered(pbx, "bob"))


@pytest.fixture
def voicemail(pbx: RunningServer, stack: ExitStack) -> Peer:
    return stack.enter_context(Peer((pbx.host, pbx.port), "voicemail", bind=VOICEMAIL))


@pytest.fixture
def kemi(tmp_path: Path, stack: ExitStack) -> Kemi:
    """Starts servers with `cfgengine "lua"` and a script."""
    return Kemi(tmp_path, stack)


@pytest.fixture
def phone(stack: ExitStack) -> Callable[..., Peer]:
    """Makes phones of a server: phone(server, user, transport)."""

    def make(server: RunningServer, user: str = "alice", transport: str = "udp") -> Peer:
        return stack.enter_context(Peer((server.host, server.port), user, transport))

    return make
