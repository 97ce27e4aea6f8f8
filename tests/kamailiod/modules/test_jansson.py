"""jansson's functions: what Debian's Kamailio 5.6.3 returns and stores for the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamailiod.modules.jansson import Jansson
from kamailiod.script.context import Context
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.lua_calls import LuaCalls
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls

DOCUMENT = (
    '{"a":1,"b":"x","c":true,"d":false,"e":null,"f":1.5,"g":[1,{"h":2}],"big":5000000000,'
    '"neg":-3,"f2":1e3,"o":{"p":"q","u":"\\u00e9"},"t.x":5,"f3":0.1}'
)


class World:
    """jansson over $var(r), which holds "old" before each call."""

    def __init__(self, services: FakeServices) -> None:
        self.services = services
        self.lua = LuaCalls(services, [services.load(Jansson)])
        self.context: Context = invite()
        self.write("r", b"old")

    def __call__(self, function: str, *arguments: str) -> object:
        given = ", ".join(f"[==[{argument}]==]" for argument in arguments)
        return self.lua(self.context, f"return KSR.jansson.{function}({given})")

    def write(self, name: str, value: bytes | int) -> None:
        self.context.variables[name.encode()] = value

    def read(self, variable: str = "$var(r)") -> object:
        return self.services.variables.accessors[variable.encode()].get(self.context)


@pytest.fixture
def world(services: FakeServices) -> World:
    return World(services)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", 1), ("b", b"x"), ("c", 1), ("d", 0), ("f", b"1.5"), ("g", b'[1,{"h":2}]'),
        ("big", b"5000000000"), ("neg", -3), ("f2", b"1000"), ("f3", b"0.1"), ("o.p", b"q"),
        ("o", '{"p":"q","u":"é"}'.encode()), ("o.u", "é".encode()), ("g[0]", 1), ("g[1].h", 2),
        ("o.", '{"p":"q","u":"é"}'.encode()),
    ],
)  # fmt: skip
def test_get(world: World, path: str, value: object) -> None:
    assert (world("get", path, DOCUMENT, "$var(r)"), world.read()) == (1, value)
    world.write("r", b"old")
    assert (world("get_field", DOCUMENT, path, "$var(r)"), world.read()) == (1, value)


def test_get_null(world: World) -> None:
    world("get", "a", DOCUMENT, "$avp(n)")
    assert world("get", "e", DOCUMENT, "$var(r)") == 1
    assert world.read() in (0, None)


def test_get_all(world: World) -> None:
    assert world("get", "", '{"a": [1, 2]}', "$var(r)") == 1
    assert world.read() == b'{"a":[1,2]}'
    assert (world("get", "[1]", "[1,2]", "$var(r)"), world.read()) == (1, 2)


@pytest.mark.parametrize(
    "path", ["g[5]", "nope", "t.x", "[0]", "g[-1]", "g[x]", "g[0", "a.b", "b[0]"]
)
def test_get_nothing(world: World, path: str) -> None:
    assert (world("get", path, DOCUMENT, "$var(r)"), world.read()) == (-1, b"old")


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', "5", "{bad", "{'a':1}", '{"a":1} x', "", "[NaN]", "[1e999]", "[" * 100_000,
     '{"a":99999999999999999999}'],
)  # fmt: skip
def test_what_is_no_document(world: World, text: str) -> None:
    assert (world("get", "a", text, "$var(r)"), world.read()) == (-1, b"old")
    assert world("array_size", "a", text, "$var(r)") == -1
    assert world("xdecode", text, "x") == -1


def test_a_variable_that_cannot_be_written(world: World) -> None:
    assert world("get", "a", DOCUMENT, "$ci") == -1
    assert world("get", "a", DOCUMENT, "nothing") == -1
    assert world("array_size", "g", DOCUMENT, "$ci") == -1
    assert world("set", "int", "a", "1", "$ci") == -1
    assert world("xencode", "x", "$ci") == -1


def test_pv_get(world: World) -> None:
    world.write("d", DOCUMENT.encode())
    assert (world("pv_get", "o.p", "$var(d)", "$var(r)"), world.read()) == (1, b"q")
    assert world("pv_get", "a", "nothing", "$var(r)") == -1


def test_array_size(world: World) -> None:
    assert (world("array_size", "g", DOCUMENT, "$var(r)"), world.read()) == (1, 2)
    for path in ("b", "nope", "o"):
        assert (world("array_size", path, DOCUMENT, "$var(r)"), world.read()) == (-1, 2)
    assert (world("array_size", "", "[0,1,2]", "$var(r)"), world.read()) == (1, 3)


def test_set(world: World) -> None:
    world.write("r", 5)
    steps = [
        (("string", "s", "my input"), '{"s":"my input"}'),
        (("integer", "n", "9000"), '{"s":"my input","n":9000}'),
        (("true", "s", "0"), '{"s":true,"n":9000}'),
        (("false", "s", "0"), '{"s":false,"n":9000}'),
        (("null", "s", "0"), '{"s":null,"n":9000}'),
        (("real", "n", "3.5"), '{"s":null,"n":3.5}'),
        (("obj", "s", '{"foo":"bar"}'), '{"s":{"foo":"bar"},"n":3.5}'),
        (("str", "s.foo", "baz"), '{"s":{"foo":"baz"},"n":3.5}'),
        (("str", "s.x.y", "deep"), '{"s":{"foo":"baz","x":{"y":"deep"}},"n":3.5}'),
        (("object", "s", "{}"), '{"s":{},"n":3.5}'),
        (("array", "s", "[1,2]"), '{"s":[1,2],"n":3.5}'),
        (("int", "s[1]", "7"), '{"s":[1,7],"n":3.5}'),
    ]
    for arguments, expected in steps:
        assert world("set", *arguments, "$var(r)") == 1, arguments
        assert world.read() == expected.encode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("int", "n", "90x"), ("real", "n", "x"), ("real", "n", "inf"), ("array", "n", "{}"),
        ("obj", "n", "[]"), ("obj", "n", "{bad"), ("bad", "n", "1"), ("int", "", "1"),
        ("int", "s.x", "1"), ("int", "l[9]", "1"), ("int", "x[0]", "1"), ("int", "l[0", "1"),
        ("int", "s..x", "1"), ("int", "o.", "1"),
    ],
)  # fmt: skip
def test_set_what_cannot_be(world: World, arguments: tuple[str, ...]) -> None:
    before = b'{"s":"text","l":[1],"o":{}}'
    world.write("r", before)
    assert (world("set", *arguments, "$var(r)"), world.read()) == (-1, before)


def test_set_in_what_is_no_document(world: World) -> None:
    world.write("r", b"{x")
    assert (world("set", "int", "a", "1", "$var(r)"), world.read()) == (-1, b"{x")


def test_append(world: World) -> None:
    world.write("r", b'{"s":"t","o":{"foo":1,"x":2},"l":[1]}')
    for arguments in (("int", "l", "5"), ("obj", "o", '{"foo":3,"z":4}'), ("obj", "", '{"t":1}'),
                      ("int", "l[0]", "9")):  # fmt: skip
        assert world("append", *arguments, "$var(r)") == 1
    expected = b'{"s":"t","o":{"foo":3,"x":2,"z":4},"l":[9,5],"t":1}'
    assert world.read() == expected
    for arguments in (("int", "s", "5"), ("int", "nope", "5"), ("int", "o", "5"), ("int", "", "5")):
        assert (world("append", *arguments, "$var(r)"), world.read()) == (-1, expected)
    world.write("r", b"[]")
    assert world("append", "int", "", "0", "$var(r)") == 1
    assert world("append", "str", "", "q", "$var(r)") == 1
    assert world.read() == b'[0,"q"]'


def test_xdecode(world: World) -> None:
    text = '{"f":"bar","n":3,"t":true,"x":false,"z":null,"o":{"a":1},"l":[1,2],"r":1.5}'
    assert world("xdecode", text, "js") == 1
    values = {name: world.read(f"$xavp(js=>{name})") for name in "fntzolr"}
    assert values == {
        "f": b"bar", "n": 3, "t": 1, "z": None, "o": b'{"a":1}', "l": b"[1,2]",
        "r": b"1.5",
    }  # fmt: skip
    assert (world("xencode", "js", "$var(r)"), world.read()) == (
        1,
        b'{"r": "1.5", "l": "[1,2]", "o": "{\\"a\\":1}", "z": null, "x": 0, "t": 1, "n": 3, '
        b'"f": "bar"}',
    )


def test_xdecode_an_array(world: World) -> None:
    assert world("xdecode", '[{"a":1},{"a":2}]', "ja") == 1
    assert [world.read(f"$xavp(ja[{n}]=>a)") for n in (0, 1)] == [2, 1]
    assert (world("xencode", "ja", "$var(r)"), world.read()) == (1, b'{"a": 2}')
    assert world("xdecode", "[1,2]", "jb") == 1


def test_xencode(world: World) -> None:
    assert (world("xencode", "nosuch", "$var(r)"), world.read()) == (-1, b"old")
    for variable, value in (("$xavp(a=>foo)", b"bar"), ("$xavp(a[0]=>q)", 7)):
        world.services.variables.accessors[variable.encode()].set(world.context, value)
    assert (world("xencode", "a", "$var(r)"), world.read()) == (1, b'{"q": 7, "foo": "bar"}')
    world.context.shared.xavps[b"a"][0] = {b"bad": [b"\xff"]}
    assert world("xencode", "a", "$var(r)") == -1


def test_native_functions(services: FakeServices, tmp_path: Path) -> None:
    context = NativeCalls(services, [services.load(Jansson)], tmp_path, r"""
request_route {
    jansson_set("int", "count", 9000, "$var(j)");
    jansson_append("obj", "", '{"x":[1,2,3]}', "$var(j)");
    jansson_array_size("x", $var(j), "$var(n)");
    jansson_get("x[$var(two)]", "$var(j)", "$var(g)");
    jansson_get_field($var(j), "count", "$var(f)");
    jansson_pv_get("count", "$var(j)", "$var(p)");
    jansson_xdecode('{"foo":"bar"}', "js");
    jansson_xencode("js", "$var(e)");
    jansson_get("test", "{\"test\":\"abc\"}", "$var(t)");
    if (!jansson_get("nope", "$var(j)", "$var(g)")) { $var(none) = 1; }
}
""").run(_with_two(invite()))  # fmt: skip
    found = context.variables
    assert found[b"j"] == b'{"count":9000,"x":[1,2,3]}'
    values = {name: found[name.encode()] for name in ("n", "g", "f", "p", "e", "t", "none")}
    assert values == {
        "n": 3, "g": 3, "f": 9000, "p": 9000, "e": b'{"foo": "bar"}', "t": b"abc", "none": 1,
    }  # fmt: skip


def _with_two(context: Context) -> Context:
    context.variables[b"two"] = 2
    return context
