"""json's functions and the {json.*} transformations."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.json import Json
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls

TEXT = '{"foo":"b/r","n":1,"z":null,"o":{"a":[1,{"b.c":"x"}],"e":{}},"l":[]}'


class World:
    """json over $var(r), which holds "old" before each call."""

    def __init__(self, services: FakeServices, **params: object) -> None:
        self.services = services
        self.lua = LuaCalls(services, [services.load(Json, **params)])
        self.context: Context = invite()

    def __call__(self, function: str, text: str, name: str, target: str = "$var(r)") -> object:
        self.context.variables[b"r"] = b"old"
        call = f"return KSR.json.{function}([==[{text}]==], [==[{name}]==], '{target}')"
        returned = self.lua(self.context, call)
        return returned, self.context.variables[b"r"]

    def read(self, variable: str) -> object:
        return self.services.variables.accessors[variable.encode()].get(self.context)


def test_get_field(services: FakeServices) -> None:
    world = World(services)
    assert world("get_field", TEXT, "foo") == (1, b'"b\\/r"')
    assert world("get_field", TEXT, "n") == (1, b"1")
    assert world("get_field", TEXT, "o") == (
        1, b'{ "a": [ 1, { "b.c": "x" } ], "e": { } }',
    )  # fmt: skip
    assert world("get_field", TEXT, "l") == (1, b"[ ]")
    assert world("get_field", "{'foo':'b\"ar\\''}", "foo") == (1, b'"b\\"ar\'"')
    for name in ("nope", "z", "o.a"):
        assert world("get_field", TEXT, name) == (-1, b"old")
    for text in ("", "{", "[1]", "[" * 100_000):
        assert world("get_field", text, "foo") == (-1, b"old")
    assert world("get_field", TEXT, "foo", "$ci") == (-1, b"old")


def test_get_string(services: FakeServices) -> None:
    world = World(services)
    assert world("get_string", TEXT, "foo") == (1, b"b/r")
    assert world("get_string", TEXT, "o.a[0]") == (1, b"1")
    assert world("get_string", TEXT, "o.a[1].b%c") == (1, b"x")
    for path in ("o.a[2]", "o.nope", "foo.x"):
        assert world("get_string", TEXT, path) == (-1, b"old")
    assert World(services, json_escape_char="~")("get_string", TEXT, "o.a[1].b~c") == (1, b"x")


def test_get_keys(services: FakeServices) -> None:
    world = World(services)
    assert world("get_keys", TEXT, "", "$avp(k)") == (1, b"old")
    assert world.context.shared.avps[b"k"] == [b"l", b"o", b"z", b"n", b"foo"]
    assert world("get_keys", TEXT, "o", "$avp(o)")[0] == 1
    assert world.read("$(avp(o)[*])") == b"e, a"
    assert world("get_keys", TEXT, "o", "$var(r)")[0] == -1
    assert world("get_keys", "{", "o", "$avp(x)")[0] == -1


def test_native_functions(services: FakeServices, tmp_path: Path) -> None:
    context = NativeCalls(services, [services.load(Json)], tmp_path, """
request_route {
    json_get_field("{'foo':'bar'}", "foo", "$var(a)");
    json_get_string("{'foo':'bar'}", "foo", "$var(b)");
    json_get_keys("{'foo':'bar'}", "", "$avp(c)");
}
""").run(invite())  # fmt: skip
    assert context.variables[b"a"] == b'"bar"'
    assert context.variables[b"b"] == b"bar"
    assert context.shared.avps[b"c"] == [b"foo"]


@pytest.mark.parametrize(
    ("transformation", "value"),
    [
        ("{json.parse,foo}", b"b/r"), ("{json.parse,n}", b"1"), ("{json.parse,o.a[0]}", b"1"),
        ("{json.parse,o.a[1].b%c}", b"x"), ("{json.parse,nope}", b""), ("{json.parse,z}", b""),
        ("{json.parsex,foo}", b"b/r"), ("{json.parsex,nope}", None),
        ("{json.parse,$var(path)}", b"b/r"),
    ],
)  # fmt: skip
def test_parse(services: FakeServices, transformation: str, value: object) -> None:
    world = World(services)
    world.context.variables[b"t"] = TEXT.encode()
    world.context.variables[b"path"] = b"foo"
    assert world.read(f"$(var(t){transformation})") == value


@pytest.mark.parametrize(
    ("text", "encoded"),
    [(b"a.b c/\xff", b"a%2Eb+c%2F%FF"), (b"#", b"#"), (b"*", b"*"), (b"a#", b"a%23")],
)
def test_encode(services: FakeServices, text: bytes, encoded: bytes) -> None:
    world = World(services)
    world.context.variables[b"t"] = text
    assert world.read("$(var(t){json.encode})") == encoded


def test_a_text_that_is_no_json(services: FakeServices) -> None:
    world = World(services)
    world.context.variables[b"t"] = b"{"
    assert world.read("$(var(t){json.parse,a})") == b""
