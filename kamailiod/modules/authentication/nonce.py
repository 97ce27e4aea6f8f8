"""Nonces that need no memory: a time stamp signed with the server's secret.

Owns their form, age and binding to what auth_checks_* ask for; the time is an argument.
"""

from __future__ import annotations

import binascii
import hmac
import os
import re
from base64 import b64decode, b64encode
from enum import IntEnum, IntFlag

from kamailiod.net.address import Source
from kamailiod.sip.message import SipMessage
from shm import KEEP, HashMap
from shm.hashmap import Change

# Multiples of three in sum, so that base64 needs no padding.
_TIME_SIZE = 4
_IDENTITY_SIZE = 6
_SIGNATURE_SIZE = 14
_BINDING_SIZE = 12

# nc-value = 8LHEX      (RFC 2617 3.2.2)
_COUNT = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")


class Checks(IntFlag):
    """What auth_checks_register, auth_checks_no_dlg and auth_checks_in_dlg may ask for."""

    URI = 1
    CALL_ID = 2
    FROM_TAG = 4
    SOURCE = 8


class NonceState(IntEnum):
    """What a nonce is worth; the values are what the auth functions return."""

    GOOD = 1
    FORGED = -1
    STALE = -4
    REUSED = -6


class Nonces:
    """Makes nonces and judges them; times are unix seconds.

    A nonce is base64 of the time, an identity when `uses` is there, a signature of both, and a
    signature over what it is bound to when checks are asked for.  `uses` remembers the count each
    nonce was last used with.
    """

    __slots__ = ("_drift", "_last", "_lifetime", "_once", "_secret", "_uses")

    def __init__(
        self, secret: bytes, lifetime: int, drift: int, uses: HashMap | None, once: bool
    ) -> None:
        self._secret = secret
        self._lifetime = lifetime
        self._drift = drift
        self._uses = uses
        self._once = once
        self._last = (0, b"")

    def make(self, now: float, checks: Checks, message: SipMessage, source: Source) -> bytes:
        """Return a nonce for the challenge of a request."""
        second = int(now)
        if self._uses is None and not checks:
            if self._last[0] != second:
                self._last = (second, b64encode(self._signed(second.to_bytes(_TIME_SIZE, "big"))))
            return self._last[1]
        identity = os.urandom(_IDENTITY_SIZE) if self._uses is not None else b""
        signed = self._signed(second.to_bytes(_TIME_SIZE, "big") + identity)
        if checks:
            signed += self._binding(signed, checks, message, source)
        return b64encode(signed)

    def judge(
        self, nonce: bytes, now: float, checks: Checks, message: SipMessage, source: Source
    ) -> NonceState:
        """Say whether a nonce is ours, young enough and was made for such a request."""
        try:
            data = b64decode(nonce, validate=True)
        except (binascii.Error, ValueError):
            return NonceState.FORGED
        size = _TIME_SIZE + (_IDENTITY_SIZE if self._uses is not None else 0)
        signed = data[: size + _SIGNATURE_SIZE]
        if not hmac.compare_digest(signed, self._signed(data[:size])):
            return NonceState.FORGED
        made = int.from_bytes(data[:_TIME_SIZE], "big")
        if made > now + self._drift or made + self._lifetime < now:
            return NonceState.STALE
        bound = data[len(signed) :]
        expected = self._binding(signed, checks, message, source) if checks else b""
        return NonceState.GOOD if hmac.compare_digest(bound, expected) else NonceState.STALE

    def use(self, nonce: bytes, count: bytes, now: float) -> NonceState:
        """Note that a good nonce was used with a nonce count; each count is good once, rising.

        With one-time nonces any second use is REUSED.
        """
        uses = self._uses
        if uses is None:
            return NonceState.GOOD
        number = 1
        if not self._once:
            if not _COUNT.match(count):
                return NonceState.STALE
            number = int(count, 16)
        good = True

        def note(old: bytes | None, _: int) -> Change:
            nonlocal good
            good = old is None or (not self._once and number > int.from_bytes(old, "big"))
            return (number.to_bytes(8, "big"), expires) if good else KEEP

        # Without room for the note the use counts as good: refusing would lock everyone out.
        expires = int(now) + self._lifetime + self._drift + 1
        uses.update(b64decode(nonce), note)
        if good:
            return NonceState.GOOD
        return NonceState.REUSED if self._once else NonceState.STALE

    def forget(self, now: float, limit: int) -> None:
        """Drop the memory of nonces that are stale by now."""
        if self._uses is not None:
            self._uses.pop_expired(int(now), limit)

    def _signed(self, data: bytes) -> bytes:
        return data + hmac.digest(self._secret, data, "sha256")[:_SIGNATURE_SIZE]

    def _binding(self, signed: bytes, checks: Checks, message: SipMessage, source: Source) -> bytes:
        parts = [signed]
        if checks & Checks.CALL_ID:
            parts.append(message.call_id)
        if checks & Checks.FROM_TAG:
            parts.append(message.from_tag)
        if checks & Checks.SOURCE:
            parts.append(source.host)
        return hmac.digest(self._secret, b"\0".join(parts), "sha256")[:_BINDING_SIZE]
