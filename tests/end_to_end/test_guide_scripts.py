"""The guide's scripts, bit exact, each in a server as the guide configures it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.embedded_default import add_subscriber
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.sip_client import Peer

MakePhone = Callable[..., Peer]
GUIDE = Path(__file__).with_name("guide")
ORIGINAL = Path(__file__).resolve().parents[3] / "shared" / "guide" / "scripts"
SETTINGS = """
debug=2
log_stderror=yes
loadmodule "auth_db.so"
loadmodule "acc.so"
loadmodule "rr.so"
loadmodule "registrar.so"
loadmodule "dialog.so"
loadmodule "textops.so"
loadmodule "sanity.so"
modparam("auth_db", "db_url", "sqlite:///run/kamailiod.sqlite")
modparam("auth_db", "calculate_ha1", 1)
modparam("auth_db", "password_column", "password")
modparam("acc", "log_flag", 2)
"""


@pytest.mark.skipif(not ORIGINAL.exists(), reason="the guide is not on this machine")
@pytest.mark.parametrize("name", sorted(path.name for path in GUIDE.iterdir()))
def test_the_copy_is_bit_exact(name: str) -> None:
    assert (GUIDE / name).read_bytes() == (ORIGINAL / name).read_bytes()


def guide(number: str) -> Path:
    """Return the guide's script with a number."""
    return next(GUIDE.glob(f"{number}-*"))


class GuideServer:
    """Starts the guide's own kamailio.cfg; only the scripts' folder and the ports are ours."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def __call__(self, *numbers: str, loader: str = "") -> RunningServer:
        """Run scripts of the guide, loaded in this order, then the lines of a test."""
        scripts: dict[str, Path | str] = {guide(n).name: guide(n) for n in numbers}
        # The parameter that stands last is loaded first: main.lua comes after the guide's scripts.
        loads = "".join(f'modparam("app_lua", "load", "{name}")\n' for name in reversed(scripts))
        config = guide("02").read_text().replace(
            "/etc/kamailio/scripts/main.lua", str(self._folder / "main.lua")
        ) + SETTINGS + loads
        (self._folder / "run").mkdir()
        return self._stack.enter_context(
            RunningServer(self._folder, config, files={**scripts, "main.lua": loader})
        )


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> GuideServer:
    return GuideServer(tmp_path, stack)


def test_registration_and_routing(start: GuideServer, phone: MakePhone) -> None:
    """Scripts 02, 03, 06 and 07, which call each other."""
    server = start("03", "06", "07", loader="function handle_bye() KSR.rr.loose_route() "
                   "KSR.tm.t_relay() end\n")  # fmt: skip
    server.wait_for_log("Lua script initialized")
    server.wait_for_log("Child process [12] initialized", count=2)
    for user in ("alice", "bob"):
        add_subscriber(server, user, "secret")
    alice, bob = phone(server), phone(server, "bob")
    # The guide reads $rU of a REGISTER, so the user is in the request URI.
    alice.register("secret")
    bob.register("secret")
    server.wait_for_log(r"REGISTER: bob@127\.0\.0\.1")
    call = alice.invite("bob")
    invite = bob.expect("INVITE")
    bob.reply(invite, 200)
    dialog = alice.answered(call, alice.expect(200, call_id=call.call_id))
    server.wait_for_log("Reply status: 200")
    alice.request("BYE", dialog)
    bob.reply(bob.expect("BYE"), 200)
    alice.expect(200)
    server.wait_for_log(rf"INVITE: alice -> bob \[{call.call_id}\]")
    server.wait_for_log("ACC: transaction answered: .*method=INVITE.*code=200")
    refused = alice.invite("nobody")
    alice.ack_failure(refused, alice.expect(404))


def test_routing_by_prefix(start: GuideServer, phone: MakePhone) -> None:
    """Script 12, whose gateways are on networks that nothing here reaches."""
    loader = """
KSR = require("KSR")
function handle_request()
    if KSR.is_INVITE() then
        KSR.pv.sets("$avp(before)", "x")
        handle_invite()
        KSR.info("gateway " .. KSR.pv.get("$du") .. "\\n")
    end
end
"""
    server = start("12", loader=loader)
    alice = phone(server)
    for number, gateway in (("8001", "10:5060"), ("9001", "11:5060"), ("1001", "1:5060")):
        alice.invite(number)
        server.wait_for_log(rf"gateway sip:192\.168\.1\.{gateway}")


TOP_LEVEL = """
KSR = require("KSR")
function handle_request()
    local chunk = assert(loadfile("%s"))
    chunk()
    KSR.info("end of the snippet " .. KSR.pv.get("$rU") .. "\\n")
end
"""


def test_accessing_variables(start: GuideServer, phone: MakePhone) -> None:
    """Script 14, a snippet without functions."""
    server = start(loader=TOP_LEVEL.replace("%s", str(guide("14"))))
    phone(server).invite("bob")
    server.wait_for_log("end of the snippet newuser")


def test_module_functions(start: GuideServer, phone: MakePhone) -> None:
    """Script 15, a list of calls; the modules of later parts (dispatcher, pike, permissions) are
    replaced by tables that do nothing."""
    loader = """
local real = require("KSR")
local function missing(name)
    return setmetatable({}, { __index = function() return function() return 1 end end })
end
KSR = setmetatable({}, { __index = function(_, name)
    if name == "dispatcher" or name == "pike" or name == "permissions" then
        return missing(name)
    end
    return real[name]
end })
function handle_request()
    local chunk = assert(loadfile("%s"))
    chunk()
    real.info("end of the snippet\\n")
end
"""
    server = start(loader=loader.replace("%s", str(guide("15"))))
    alice = phone(server)
    call = alice.invite("bob")
    server.wait_for_log("end of the snippet")
    alice.expect_that(lambda m: m.status >= 200 and m.call_id == call.call_id, "a final reply")


def test_logging(start: GuideServer, phone: MakePhone) -> None:
    """Script 19: at debug=2 the debug message does not show."""
    server = start(loader=TOP_LEVEL.replace("%s", str(guide("19"))))
    phone(server).invite("bob")
    server.wait_for_log(r"INFO: .*Info message")
    server.wait_for_log(r"WARNING: .*Warning message")
    server.wait_for_log(r"ERROR: .*Error message")
    server.wait_for_log(r"User: alice from IP: 127\.0\.0\.1")
    assert "Debug message" not in server.log()


def test_printing_variables(start: GuideServer, phone: MakePhone) -> None:
    """Script 20."""
    server = start("20", loader="function handle_request() debug_request() end")
    alice = phone(server)
    call = alice.invite("bob")
    server.wait_for_log("=== Request Debug ===")
    server.wait_for_log("Method: INVITE")
    server.wait_for_log(f"Call-ID: {call.call_id}")
    server.wait_for_log(f"Source: 127.0.0.1:{alice.port}")
