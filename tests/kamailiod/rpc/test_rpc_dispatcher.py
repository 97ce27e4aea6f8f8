"""The envelope, and the coercion of parameters."""

import asyncio
import json

import pytest

from kamailiod.rpc.dispatcher import RpcDispatcher, collect, to_json
from kamailiod.script.module import RpcFault, rpc
from lua import Wait


class Commands:
    @rpc("t.add")
    def add(self, first: int, second: int = 10) -> object:
        return first + second

    @rpc("t.text")
    def text(self, value: str) -> object:
        return value

    @rpc("t.number")
    def number(self, value: float) -> object:
        return value

    @rpc("t.any")
    def any(self, value: object) -> object:
        return value

    @rpc("t.nothing")
    def nothing(self) -> None:
        return None

    @rpc("t.fault")
    def fault(self) -> object:
        raise RpcFault(404, "Not there")

    @rpc("t.bug")
    def bug(self) -> object:
        return {}["missing"]

    @rpc("t.later")
    async def later(self, value: str) -> object:
        await asyncio.sleep(0)
        return value

    @rpc("t.waits")
    def waits(self) -> object:
        return Wait(lambda: asyncio.sleep(0, "waited"))

    @rpc("t.later_fault")
    async def later_fault(self) -> object:
        raise RpcFault(503, "Later")


@pytest.fixture
def call(log):
    dispatcher = RpcDispatcher(collect([Commands()]), log)

    def ask(method, params=None):
        request = {"jsonrpc": "2.0", "method": method, "id": 1}
        if params is not None:
            request["params"] = params
        answer = asyncio.run(dispatcher.answer(request))
        assert (answer.pop("jsonrpc"), answer.pop("id")) == ("2.0", 1)
        return answer

    return ask


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("t.add", [1], 11),
        ("t.add", ["1", 2.0], 3),
        ("t.add", {"second": 1, "first": 2}, 3),
        ("t.add", [1, 2, 3, "more"], 3),
        ("t.text", [5], "5"),
        ("t.text", [0.5], "0.5"),
        ("t.text", ["x"], "x"),
        ("t.number", ["1.5"], 1.5),
        ("t.any", [7], 7),
        ("t.nothing", None, {}),
        ("t.nothing", "no list", {}),
        ("t.later", ["x"], "x"),
        ("t.waits", None, "waited"),
    ],
)
def test_results(call, method, params, result):
    assert call(method, params) == {"result": result}


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("t.fault", None, 404, "Not there"),
        ("t.later_fault", None, 503, "Later"),
        ("t.unknown", None, 500, "Method Not Found"),
        ("t.add", None, 400, "Parameter missing: first"),
        ("t.add", [True], 400, "Parameter missing: first"),
        ("t.add", ["x"], 400, "Parameter first: an integer is expected"),
        ("t.add", [float("inf")], 400, "Parameter first: an integer is expected"),
        ("t.number", ["x"], 400, "Parameter value: a number is expected"),
    ],
)
def test_faults(call, method, params, code, message):
    assert call(method, params) == {"error": {"code": code, "message": message}}


def test_a_bug_is_answered_and_logged_with_its_trace(call, log_lines):
    assert call("t.bug") == {"error": {"code": 500, "message": "Internal Server Error"}}
    (line,) = log_lines
    assert "ERROR" in line
    assert "t.bug failed" in line
    assert "KeyError: 'missing'" in line


@pytest.mark.parametrize("text", ["", "garbage", "[" * 100000, b"\xff\xfe"])
def test_what_is_no_json_has_no_answer(dispatcher, text):
    assert asyncio.run(dispatcher.answer_json(text)) is None


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"jsonrpc": "2.0", "method": "core.echo", "id": 7}, {"result": [], "id": 7}),
        ({"jsonrpc": "2.0", "method": "core.echo"}, {"result": []}),
        ({"method": "core.echo", "id": "a"}, {"result": {}, "id": "a"}),
        ({"jsonrpc": "1.0", "method": "core.echo", "id": 1}, {"result": {}, "id": 1}),
        ({"jsonrpc": "2.0", "id": 1}, {"result": {}, "id": 1}),
        ({"jsonrpc": "2.0", "method": 7, "id": 1}, {"result": {}, "id": 1}),
        ([1, 2], {"result": {}}),
        (None, {"result": {}}),
    ],
)
def test_envelope(dispatcher, request_, answer):
    text = json.dumps(request_)
    assert asyncio.run(dispatcher.answer_json(text)) == {"jsonrpc": "2.0", **answer}


def test_bytes_and_sets_can_be_shown():
    assert to_json({"a": b"x\xff", "b": {2, 1}}) == '{"a": "x\\\\xff", "b": [1, 2]}'


def test_the_first_command_of_a_name_stays():
    first, second = Commands(), Commands()
    assert collect([first, second])["t.add"].__self__ is first
