"""The embedded default with baresip as both phones."""

from __future__ import annotations

from contextlib import ExitStack

from tests.end_to_end.baresip import Baresip, needs_baresip
from tests.end_to_end.embedded_default import add_subscriber
from tests.end_to_end.running_server import RunningServer

pytestmark = needs_baresip


def test_a_phone_registers_and_calls_another(pbx: RunningServer, stack: ExitStack) -> None:
    for user in ("alice", "bob"):
        add_subscriber(pbx, user, "secret")
    bob = stack.enter_context(Baresip(pbx, "bob", "secret", answers=True))
    bob.wait_for_log("200 OK")
    dial = f"/dial sip:bob@{pbx.host}:{pbx.port}"
    alice = stack.enter_context(Baresip(pbx, "alice", "secret", answers=False, commands=dial))
    alice.wait_for_log("Call established")
    bob.wait_for_log("Call established")
    pbx.wait_for_log("ACC: transaction answered: .*method=INVITE.*code=200")
