"""ratelimit from Lua and by its commands, with the values that Kamailio 5.6.3 gave."""

from __future__ import annotations

import pytest

from kamailiod.modules.ratelimit import Ratelimit
from kamailiod.script.module import RpcFault
from tests.kamailiod.fakes import FakeServices, context_of
from tests.kamailiod.lua_calls import LuaCalls

REQUEST = (
    b"%b sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 %b\r\n\r\n"
)
DAY = 86400
PIPES = ["0:TAILDROP:1", "1:RED:2", "2:FEEDBACK:80", "3:NETWORK:10000", "4:NOP:0"]


class Server:
    def __init__(self, services: FakeServices, **params: object) -> None:
        self.services = services
        params.setdefault("pipe", PIPES)
        params.setdefault("queue", ["0:INVITE", "1:*"])
        self.module: Ratelimit = services.load(Ratelimit, **params)
        services.start()
        self.lua = LuaCalls(services, [self.module])

    def __call__(self, call: str, method: bytes = b"OPTIONS") -> object:
        context = context_of(REQUEST % (method, method))
        return self.lua(context, f"return KSR.ratelimit.{call}")


@pytest.fixture
def pipes(services: FakeServices) -> Server:
    return Server(services, timer_interval=DAY)


def test_the_limit_is_by_the_second(services: FakeServices) -> None:
    """As Kamailio: 15 pass in an interval of 3 seconds with a limit of 5."""
    pipes = Server(services, timer_interval=3, pipe=["0:TAILDROP:5"], queue=[])
    while True:
        found = [pipes("rl_check_pipe(0)") for _ in range(20)]
        if found == [1] * 15 + [-1] * 5:
            break
        assert found != [1] * 20


def test_queues_choose_the_pipe(pipes: Server) -> None:
    pipes.module.set_pipe(0, "TAILDROP", 0)
    assert pipes("rl_check()", b"INVITE") == -1
    assert pipes("rl_check()", b"BYE") == 1
    assert pipes("rl_check_pipe(-1)", b"INVITE") == -1
    assert pipes("rl_check_pipe(0)", b"BYE") == -1


def test_without_a_queue_or_pipe(services: FakeServices) -> None:
    pipes = Server(services, queue=["0:INVITE"])
    assert pipes("rl_check()") == -1
    assert pipes("rl_check_pipe(9)") == pipes("rl_check_pipe(40)") == -1
    assert "out of range or not defined" in services.lines[-1]
    assert pipes("rl_check_pipe(4)") == 1
    assert "no algorithm" in services.lines[-1]


def test_feedback_and_network(pipes: Server) -> None:
    assert pipes("rl_check_pipe(2)") == pipes("rl_check_pipe(3)") == 1
    for _ in range(60):
        pipes.module.push_load(1.0)
    assert [pipes("rl_check_pipe(2)") for _ in range(20)] == [-1] * 20
    pipes.module.refresh()
    assert pipes("rl_check_pipe(3)") == 1


def test_commands(pipes: Server) -> None:
    module = pipes.module
    pipes("rl_check_pipe(1)")
    stats = module.stats()
    assert isinstance(stats, list)
    assert len(stats) == 32
    assert stats[3] == "PIPE[3]: 0/10000 (drop rate: -1)"
    assert stats[31] == "PIPE[31]: 0/0 (drop rate: 0)"
    assert module.get_pipes() == [
        "PIPE[0]: 2:TAILDROP 0/1 (drop rate: 0) [0]",
        "PIPE[1]: 1:RED 0/2 (drop rate: 0) [1]",
        "PIPE[2]: 3:FEEDBACK 0/80 (drop rate: 0) [0]",
        "PIPE[3]: 4:NETWORK 0/10000 (drop rate: -1) [0]",
        "PIPE[4]: 0:NOP 0/0 (drop rate: 0) [0]",
    ]
    assert module.set_pipe(7, "red", 9) is None
    assert module.set_pipe(0, "RED", 9) is None
    shown = module.get_pipes()
    assert isinstance(shown, list)
    assert (shown[0], shown[-1]) == (
        "PIPE[0]: 1:RED 0/9 (drop rate: 0) [0]", "PIPE[7]: 1:RED 0/9 (drop rate: 0) [0]",
    )  # fmt: skip
    assert module.get_queues() == ["QUEUE[0]: 0:INVITE", "QUEUE[1]: 1:*"]
    assert module.set_queue(0, "bye", 1) is None
    assert module.get_queues() == ["QUEUE[0]: 1:BYE", "QUEUE[1]: 1:*"]
    assert module.get_pid() == "ki[-25.000000] kp[0.000000] kd[0.000000] "
    assert module.set_pid(0.5, 0.5, 0.5) is None
    assert module.get_pid() == "ki[0.500000] kp[0.500000] kd[0.500000] "


def test_pipes_are_logged_on_demand(pipes: Server) -> None:
    pipes.module.refresh()
    assert not any("PIPE[0]" in line for line in pipes.services.lines)
    assert pipes.module.set_debug(1) is None
    pipes.module.refresh()
    assert any("PIPE[0]: 2:TAILDROP" in line for line in pipes.services.lines)
    count = len(pipes.services.lines)
    pipes.module.set_debug(0)
    pipes.module.refresh()
    assert len(pipes.services.lines) == count


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (("set_pipe", 0, "FOO", 9), "Unknown algorithm"),
        (("set_pipe", 99, "RED", 9), "Unknown pipe"),
        (("set_pipe", 7, "FEEDBACK", 9), "Feedback limits don't match"),
        (("set_queue", 0, "INFO", 99), "Invalid pipe number"),
        (("set_queue", 5, "INFO", 0), "MAX_QUEUES reached"),
        (("push_load", 2.0), "Value out of range"),
    ],
)
def test_faults_of_commands(pipes: Server, command: tuple[object, ...], fault: str) -> None:
    with pytest.raises(RpcFault) as caught:
        getattr(pipes.module, str(command[0]))(*command[1:])
    assert (caught.value.code, caught.value.message) == (400, fault)


@pytest.mark.parametrize(
    "params",
    [
        {"pipe": ["0:FOO:1"]},
        {"pipe": ["0:RED"]},
        {"pipe": ["x:RED:1"]},
        {"pipe": ["32:RED:1"]},
        {"pipe": ["0:FEEDBACK:1", "1:FEEDBACK:2"]},
        {"pipe": ["0:FEEDBACK:101"]},
        {"queue": ["INVITE"]},
        {"queue": ["77:INVITE"]},
        {"queue": ["0:INVITE"] * 11},
    ],
)
def test_bad_modparams(services: FakeServices, params: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="ratelimit"):
        services.load(Ratelimit, **params)
