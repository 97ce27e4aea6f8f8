"""Privileges, taken in a child so that the tests keep their own."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers import Privileges, PrivilegesError, pin_to_processors

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its user")


def in_child(action: Callable[[], Any]) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = action()
        except BaseException as error:
            answer = repr(error)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    answer = json.loads(os.read(reader, 65536))
    os.close(reader)
    return answer


@needs_root
@pytest.mark.parametrize(("privileges", "uid", "gid"), [
    (Privileges(user="nobody"), 65534, 65534),
    (Privileges(user="65534", group="1"), 65534, 1),
    (Privileges(user="nobody", group="daemon"), 65534, 1),
    (Privileges(group="daemon"), 0, 1),
    (Privileges(user="54321", group="54322"), 54321, 54322),
])
def test_user_and_group(privileges: Privileges, uid: int, gid: int) -> None:
    def action() -> list[Any]:
        privileges.take()
        return [os.getresuid(), os.getresgid(), 0 in os.getgroups()]

    assert in_child(action) == [[uid] * 3, [gid] * 3, False]


def test_directory_and_limits(tmp_path: Path) -> None:
    def action() -> list[Any]:
        Privileges(workdir=str(tmp_path), core_dumps=False, open_files=200).take()
        return [os.getcwd(), resource.getrlimit(resource.RLIMIT_CORE)[0],
                resource.getrlimit(resource.RLIMIT_NOFILE)[0]]

    assert in_child(action) == [str(tmp_path), 0, 200]


def test_core_dumps_are_lifted_to_the_hard_limit() -> None:
    def action() -> bool:
        Privileges(core_dumps=True).take()
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        return soft == hard

    assert in_child(action) is True


@needs_root
def test_the_user_is_looked_up_before_the_root_changes(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()

    def action() -> list[Any]:
        Privileges(user="nobody", root=str(tmp_path), workdir="/below").take()
        return [os.listdir("/"), os.getcwd(), os.getuid()]

    tmp_path.chmod(0o755)
    assert in_child(action) == [["below"], "/below", 65534]


@pytest.mark.parametrize(("privileges", "what"), [
    (Privileges(root="/no/such/jail"), "root directory /no/such/jail: "),
    (Privileges(user="no-such-user"), "no such user"),
    (Privileges(group="no-such-group"), "no such group"),
    (Privileges(workdir="/no/such/place"), "No such file or directory"),
])
def test_what_is_refused(privileges: Privileges, what: str) -> None:
    with pytest.raises(PrivilegesError, match=what):
        privileges.take()


def test_pinning() -> None:
    def action() -> list[int]:
        processor = min(os.sched_getaffinity(0))
        pin_to_processors([processor])
        return [processor, *os.sched_getaffinity(0)]

    first, *rest = in_child(action)
    assert rest == [first]
    assert "PrivilegesError" in in_child(lambda: pin_to_processors([100_000]))
