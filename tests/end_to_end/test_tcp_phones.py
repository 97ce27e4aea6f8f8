"""Phones that register and call over TCP through the embedded default."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.end_to_end.embedded_default import embedded_default, registered
from tests.end_to_end.sip_client import Peer


def call_and_hang_up(caller: Peer, callee: Peer, call_id: str) -> None:
    """Make a call that the callee ends."""
    call = caller.invite(callee.user, call_id=call_id)
    invite = callee.expect("INVITE")
    callee.reply(invite, 200)
    answer = caller.expect(200, call_id=call_id)
    assert len(answer.values("Record-Route")) == 2
    caller.answered(call, answer)
    callee.expect("ACK")
    callee.request("BYE", callee.callee_dialog(invite))
    caller.reply(caller.expect("BYE"), 200)
    callee.expect(200)


@pytest.mark.parametrize(("caller", "callee"), [("tcp", "udp"), ("udp", "tcp")])
@pytest.mark.parametrize("children", [1, 2])
def test_calls_between_tcp_and_udp(
    tmp_path: Path, stack: ExitStack, caller: str, callee: str, children: int
) -> None:
    """Whichever worker has the connection and whichever owns the call."""
    server = stack.enter_context(embedded_default(tmp_path, children=children))
    dora = stack.enter_context(registered(server, "dora", caller))
    emil = stack.enter_context(registered(server, "emil", callee))
    for number in range(5):
        call_and_hang_up(dora, emil, hashlib.md5(b"%d" % number).hexdigest())
