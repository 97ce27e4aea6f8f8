"""The fake services that the tests of modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kamailiod.fakes import FakeServices


@pytest.fixture
def services() -> Iterator[FakeServices]:
    fake = FakeServices()
    yield fake
    fake.close()
