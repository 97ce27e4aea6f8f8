"""xlog: levels, expansion, and that nothing is expanded for a line that is not shown."""

from __future__ import annotations

import pytest

from kamailiod.modules.xlog import Xlog
from kamailiod.script.log import DEBUG, ERROR
from tests.kamailiod.fakes import FakeServices


def shown(services: FakeServices) -> list[str]:
    return [line.split(") ", 1)[1] for line in services.lines]


def test_variables_are_expanded(services: FakeServices) -> None:
    xlog: Xlog = services.load(Xlog)
    assert xlog.xinfo(services.faked_context(), b"call $ci from $fU $$\n") == 1
    assert shown(services) == ["INFO: <script>: call fake from me $"]


@pytest.mark.parametrize(
    ("level", "name"),
    [(b"L_INFO", "INFO"), (b"warn", "WARNING"), (b"L_ALERT", "ALERT"), (b"-1", "ERROR"),
     (b"3", "DEBUG"), (b"zzz", "ERROR"), (b"L_BUG", "BUG"), (b"notice", "NOTICE")],
)  # fmt: skip
def test_levels(services: FakeServices, level: bytes, name: str) -> None:
    xlog: Xlog = services.load(Xlog)
    assert xlog.xlog(services.faked_context(), level, b"text") == 1
    assert shown(services) == [f"{name}: <script>: text"]


def test_native_forms(services: FakeServices) -> None:
    xlog: Xlog = services.load(Xlog)
    context = services.faked_context()
    xlog.native_xlog(context, b"alone")
    xlog.native_xlog(context, b"L_DBG", b"two")
    xlog.native_xlog(context, b"LOG_LOCAL0", b"L_INFO", b"three")
    xlog.xalert(context, b"$rm")
    assert shown(services) == [
        "ERROR: <script>: alone", "DEBUG: <script>: two", "INFO: <script>: three",
        "ALERT: <script>: OPTIONS",
    ]  # fmt: skip


def test_nothing_is_expanded_below_the_level(services: FakeServices) -> None:
    xlog: Xlog = services.load(Xlog)
    services.log.level = ERROR
    context = services.faked_context()
    for function in (xlog.xdbg, xlog.xinfo, xlog.xnotice, xlog.xwarn):
        assert function(context, b"$avp(x) $unknownvariable") == 1
    assert services.lines == []
    services.log.level = DEBUG


def test_prefix_and_size(services: FakeServices) -> None:
    xlog: Xlog = services.load(Xlog, prefix="<edge>: ", buf_size=4)
    xlog.xinfo(services.faked_context(), b"123456")
    assert shown(services) == ["INFO: <edge>: 1234"]


def test_methods_filter(services: FakeServices) -> None:
    context = services.faked_context()
    invites_only: Xlog = services.load(Xlog, methods_filter=1)
    invites_only.xlogm(context, b"L_INFO", b"hidden")
    options_too: Xlog = services.load(Xlog, methods_filter=513)
    options_too.xlogm(context, b"L_INFO", b"shown")
    assert shown(services) == ["INFO: <script>: shown"]
