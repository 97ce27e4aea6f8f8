"""The embedded default with sipp as phones and as voicemail."""

from __future__ import annotations

from contextlib import ExitStack

from tests.end_to_end.embedded_default import VOICEMAIL, add_subscriber
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.sipp import Sipp, needs_sipp

pytestmark = needs_sipp


def register(server: RunningServer, user: str, port: int) -> None:
    """Register a user's contact by sipp, with digest."""
    add_subscriber(server, user, "secret")
    with Sipp(
        server, "register", "-s", user, "-au", user, "-ap", "secret",
        "-key", "contact_port", str(port),
    ) as sipp:  # fmt: skip
        sipp.finish()


def test_twenty_calls(pbx: RunningServer, stack: ExitStack) -> None:
    port = free_port()
    register(pbx, "alice", free_port())
    register(pbx, "bob", port)
    callee = stack.enter_context(Sipp(pbx, "callee", calls=20, port=port))
    caller = stack.enter_context(Sipp(pbx, "caller", "-s", "bob", "-r", "20", calls=20))
    caller.finish()
    callee.finish()
    lines = pbx.wait_for_log("ACC: transaction answered: .*method=INVITE.*code=200", count=20)
    assert len(lines) == 20


def test_voicemail(pbx: RunningServer, stack: ExitStack) -> None:
    host, port = VOICEMAIL
    voicemail = stack.enter_context(Sipp(pbx, "callee", host=host, port=port))
    caller = stack.enter_context(Sipp(pbx, "caller", "-s", "nobody"))
    caller.finish()
    voicemail.finish()
