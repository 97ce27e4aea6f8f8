"""Servers whose routes are all Lua (`cfgengine "lua"`), with a script of the test."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.end_to_end.running_server import RunningServer

CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
loadmodule "app_lua.so"
loadmodule "acc.so"
{more}
modparam("app_lua", "load", "script.lua")
modparam("acc", "log_flag", 2)
cfgengine "lua"
"""

PROXY = """\
local KSR = require("KSR")

-- Where a user is: sip:NAME+PORT@server goes to that port of 127.0.0.1.
function target(uri_user)
    local port = string.match(uri_user or "", "%+(%d+)$")
    return port and ("sip:" .. uri_user .. "@127.0.0.1:" .. port)
end

function ksr_request_route()
    if KSR.is_OPTIONS() then
        KSR.sl.send_reply(200, "OK")
        return 1
    end
    if KSR.siputils.has_totag() > 0 then
        if KSR.rr.loose_route() < 0 and KSR.tm.t_check_trans() < 0 then
            return 1
        end
        KSR.tm.t_relay()
        return 1
    end
    if KSR.is_CANCEL() then
        if KSR.tm.t_check_trans() > 0 then KSR.tm.t_relay() end
        return 1
    end
    if KSR.is_INVITE() then
        KSR.rr.record_route()
        KSR.acc.setflag(2)
        return new_call()
    end
end
"""
"""The common part of the scripts: a test adds `new_call` and what that arms."""


class Kemi:
    """Starts one server a test; it ends with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def __call__(
        self, script: str, *arguments: str, more: str = "", children: int = 2
    ) -> RunningServer:
        """Run PROXY and the test's part; `more` are lines for the config."""
        return self._stack.enter_context(
            RunningServer(
                self._folder, CONFIG.format(more=more), *arguments,
                files={"script.lua": PROXY + script}, children=children,
            )
        )  # fmt: skip
