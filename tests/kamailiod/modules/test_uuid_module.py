"""uuid from Lua and as a variable."""

from __future__ import annotations

from uuid import UUID, SafeUUID

import pytest

from kamailiod.modules.uuid import Uuid
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls


@pytest.mark.parametrize(("function", "version"), [("get", 4), ("rget", 4), ("tget", 1)])
def test_functions(services: FakeServices, function: str, version: int) -> None:
    lua = LuaCalls(services, [services.load(Uuid)])
    found = {lua(services.faked_context(), f"return KSR.uuid.{function}()") for _ in range(3)}
    assert len(found) == 3
    assert {UUID(text.decode()).version for text in found} == {version}


def test_variables(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> None:
    LuaCalls(services, [services.load(Uuid)])
    context = services.faked_context()

    def version(name: bytes) -> object:
        value = services.variables.accessors[name].get(context)
        return UUID(value.decode()).version if value is not None else None

    assert [version(b"$uuid(%s)" % kind) for kind in (b"g", b"r", b"t", b"x")] == [4, 4, 1, None]
    for safety, expected in ((SafeUUID.safe, 1), (SafeUUID.unsafe, None)):
        made = UUID(int=0, version=1, is_safe=safety)
        monkeypatch.setattr("uuid.uuid1", lambda made=made: made)
        assert version(b"$uuid(s)") == expected
