"""Putting another message in the place of the one a script runs over.

Owns what stays the same then: the transaction it belongs to, and what tells a loop.
"""

from __future__ import annotations

from kamailiod.script.context import Context
from kamailiod.script.transactions import loop_value, request_key
from kamailiod.sip.message import SipMessage, parse


def replace_message(context: Context, message: SipMessage) -> None:
    """Make a sound message the context's; its edits are left to the caller.

    What is received again is the old one: it must find the transaction all the same, and a
    request that comes back as it is now is no loop.
    """
    if message.is_request:
        message.transaction_key = request_key(context.message)
        message.loop_value = loop_value(context.message)
    context.message = message


def replace_line(context: Context, number: int, line: bytes) -> bool:
    """Have a header line as if it had been received so; False when that is no message any more."""
    old = context.message
    lines = [*old.lines[:number], line, *old.lines[number + 1 :]]
    message = parse(b"\r\n".join((*lines, b"", old.body)))
    if message.fault is not None or len(message.lines) != len(lines):
        return False
    replace_message(context, message)
    context.edits.replaced.pop(number, None)
    return True
