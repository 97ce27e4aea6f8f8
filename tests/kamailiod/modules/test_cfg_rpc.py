"""Reading settings and changing the log level of all processes."""

import os

import pytest

from kamailiod.cfg import Settings
from kamailiod.modules.cfg_rpc import CfgRpc
from kamailiod.script.module import RpcFault


@pytest.fixture
def module(services):
    services.settings = Settings(children=3, server_signature=False)
    services.worker_count = 3
    services.log.level = 1
    made = services.load(CfgRpc)
    made.mod_init()
    return made


def test_reading(module):
    assert module.get("core", "children") == 3
    assert module.get("core", "server_signature") == 0
    assert module.get("core", "debug") == 1
    assert module.get("core")["children"] == 3
    assert "core: debug" in module.list_parameters()
    assert module.list_parameters("nope") == []
    assert module.help("core", "debug") == "(parameter type is integer)"


@pytest.mark.parametrize(("group", "name"), [("core", "nope"), ("nope", "x"), ("nope", "")])
def test_what_is_not_there(module, group, name):
    with pytest.raises(RpcFault, match="Failed to get the variable"):
        module.get(group, name)


def test_the_level_changes_in_every_process(module, services):
    told = []
    services.tell_worker = lambda rank, name: told.append((rank, name))
    assert module.set_now_integer("core", "debug", 3) is None
    assert [rank for rank, _ in told] == [1, 2, 3, -1, -2]
    services.functions[told[0][1]]()
    assert services.log.level == 3
    assert module.get("core", "debug") == 3


def test_a_process_started_later_has_the_level_too(module, services):
    child = os.fork()
    if child == 0:
        module.set_integer("core", "debug", 2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert services.log.level == 1
    module.child_init(2)
    assert services.log.level == 2


@pytest.mark.parametrize(
    ("group", "name", "value"), [("core", "children", 4), ("x", "debug", 1), ("core", "debug", 99)]
)
def test_what_cannot_be_changed(module, group, name, value):
    with pytest.raises(RpcFault, match="Failed to set the variable"):
        module.set(group, name, value)
