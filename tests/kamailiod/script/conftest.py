"""The proxy core's world for all tests of this folder: left without a transaction at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.script.proxy_world import ProxyWorld


@pytest.fixture
def world(services: FakeServices) -> Iterator[ProxyWorld]:
    found = ProxyWorld(services)
    yield found
    found.script.go_on()
    found.assert_empty()
