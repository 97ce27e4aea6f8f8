"""Module auth: digest challenges, nonces, and checking credentials against a known password.

Owns what is common to all authentication; where passwords come from is for others (auth_db).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kamailiod.modules.authentication.check import (
    AUTHORIZATION,
    ERROR,
    NO_CREDENTIALS,
    NOTE,
    OK,
    PROXY_AUTHORIZATION,
    UNCHALLENGED,
    USER_MISMATCH,
    WRONG_PASSWORD,
    Authorization,
    chosen_algorithm,
    find_authorization,
    is_right,
)
from kamailiod.modules.authentication.nonce import Checks, Nonces, NonceState
from kamailiod.modules.sl import Sl
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, Variable, kemi
from kamailiod.script.services import Services
from kamailiod.sip.digest import known_algorithm

QOP_AUTH, QOP_AUTH_INT, NO_SERVER_ERROR, STALE = 1, 2, 4, 16
"""Flags of the challenge functions."""

HASHED = 1
"""Flag of the pv_* functions: the password is an ha1."""

_USES_BUCKETS = 65536
_USES_SHARE = 0.02
_FORGOTTEN_A_SLICE = 2000
_REPLIES = Route.REQUEST | Route.FAILURE | Route.ONREPLY | Route.REPLY


@dataclass(frozen=True, slots=True)
class AuthParams(Params):
    """Kamailio's modparams of auth; `algorithm` may also name several, with commas between."""

    secret: str = ""
    nonce_expire: int = 300
    nonce_auth_max_drift: int = 3
    protect_contacts: int = 0
    challenge_attr: str = "$digest_challenge"
    proxy_challenge_header: str = "Proxy-Authenticate"
    www_challenge_header: str = "WWW-Authenticate"
    qop: str = ""
    auth_checks_register: int = 0
    auth_checks_no_dlg: int = 0
    auth_checks_in_dlg: int = 0
    nonce_count: int = 0
    nc_array_size: int = 1048576
    nc_array_order: int = 20
    one_time_nonce: int = 0
    otn_in_flight_no: int = 1048576
    otn_in_flight_order: int = 20
    nid_pool_no: int = 1
    force_stateless_reply: int = 0
    realm_prefix: str = ""
    use_domain: int = 0
    algorithm: str = ""
    add_authinfo_hdr: int = 0


class Auth(Module):
    """Challenges requests and checks what comes back."""

    name: ClassVar[str] = "auth"
    Params: ClassVar[type[AuthParams]] = AuthParams
    params: AuthParams
    without_effect: ClassVar[tuple[str, ...]] = (
        "protect_contacts", "challenge_attr", "nc_array_size", "nc_array_order", "qop",
        "otn_in_flight_no", "otn_in_flight_order", "nid_pool_no", "use_domain",
        "add_authinfo_hdr",
    )  # fmt: skip

    def __init__(self, params: AuthParams, services: Services) -> None:
        super().__init__(params, services)
        self._sl = services.module(Sl)
        self._strip = params.realm_prefix.encode()
        named = [name.strip().encode() for name in params.algorithm.split(",") if name.strip()]
        self.algorithms: tuple[bytes, ...] = tuple(named) or (b"MD5",)
        self._names_algorithm = bool(named)
        self._nonces: Nonces

    def mod_init(self) -> None:
        """Choose the secret, and make the memory of used nonces when it is asked for."""
        for algorithm in self.algorithms:
            if not known_algorithm(algorithm):
                raise ValueError(f"auth: algorithm {algorithm.decode()} is not known")
        params = self.params
        uses = None
        if params.nonce_count or params.one_time_nonce:
            uses = self.services.hash_map("nonces", _USES_BUCKETS, _USES_SHARE)
        self._nonces = Nonces(
            params.secret.encode() or os.urandom(32),
            params.nonce_expire,
            params.nonce_auth_max_drift,
            uses,
            bool(params.one_time_nonce),
        )

    def child_init(self, rank: int) -> None:
        """Have the timer process forget old nonces."""
        if rank == -1 and (self.params.nonce_count or self.params.one_time_nonce):
            self.services.timers.every(1.0, self._forget)

    @kemi("auth.auth_challenge", routes=_REPLIES)
    def auth_challenge(self, context: Context, realm: bytes, flags: int = 0) -> int:
        """Challenge a request: 401 to REGISTER, else 407; 1 when sent, negative when not.

        Flags: 1 qop auth, 2 qop auth-int, 4 no 500 on error, 16 stale=true, which is also set when
        the credentials had a nonce that was too old or not ours.
        """
        if context.request.method == b"REGISTER":
            return self.www_challenge(context, realm, flags)
        return self.proxy_challenge(context, realm, flags)

    @kemi("auth.www_challenge", routes=_REPLIES)
    def www_challenge(self, context: Context, realm: bytes, flags: int = 0) -> int:
        """Challenge a request with 401; flags as in auth_challenge."""
        name = self.params.www_challenge_header.encode()
        return self._challenge(context, 401, b"Unauthorized", name, realm, flags)

    @kemi("auth.proxy_challenge", routes=_REPLIES)
    def proxy_challenge(self, context: Context, realm: bytes, flags: int = 0) -> int:
        """Challenge a request with 407; flags as in auth_challenge."""
        name = self.params.proxy_challenge_header.encode()
        reason = b"Proxy Authentication Required"
        return self._challenge(context, 407, reason, name, realm, flags)

    @kemi("auth.auth_get_www_authenticate", routes=Route.REQUEST)
    def auth_get_www_authenticate(
        self, context: Context, realm: bytes, flags: int, variable: Variable
    ) -> int:
        """Put the text of a challenge into a pseudo-variable instead of sending it."""
        accessor = self.services.variables.compile(variable)
        if accessor is None:
            return ERROR
        name = self.params.www_challenge_header.encode()
        text = b"\r\n".join(self._headers(context, name, realm, flags)) + b"\r\n"
        return OK if accessor.set(context, text) else ERROR

    @kemi("auth.consume_credentials", routes=Route.REQUEST)
    def consume_credentials(self, context: Context) -> int:
        """Remove the credentials that were checked and found right; -1 when there are none."""
        authorization = context.shared.notes.get(NOTE)
        if not isinstance(authorization, Authorization) or not authorization.authorized:
            return -1
        context.edits.replaced[authorization.line] = None
        return 1

    @kemi("auth.has_credentials", routes=Route.REQUEST)
    def has_credentials(self, context: Context, realm: bytes) -> int:
        """Whether a request has digest credentials for a realm: 1 or -1."""
        for header in (PROXY_AUTHORIZATION, AUTHORIZATION):
            if find_authorization(context.message, header, realm, self._strip) is not None:
                return 1
        return -1

    @kemi("auth.pv_auth_check", routes=Route.REQUEST)
    def pv_auth_check(
        self, context: Context, realm: bytes, password: bytes, flags: int, checks: int
    ) -> int:
        """Check credentials against a password, or an ha1 with flag 1; returns as auth_check.

        With 1 in `checks` the user must be that of To in a REGISTER, else of From.
        """
        result = self._checked(context, realm, password, flags, _authorization_header(context))
        if result == OK and checks & 1 and not self.is_same_user(context):
            return USER_MISMATCH
        return result

    @kemi("auth.pv_www_authenticate", routes=Route.REQUEST)
    def pv_www_authenticate(
        self, context: Context, realm: bytes, password: bytes, flags: int
    ) -> int:
        """Check the Authorization of a realm against a password, or an ha1 with flag 1."""
        return self._checked(context, realm, password, flags, AUTHORIZATION)

    @kemi("auth.pv_www_authenticate_method", native=(), routes=Route.REQUEST)
    def pv_www_authenticate_method(
        self, context: Context, realm: bytes, password: bytes, flags: int, method: bytes
    ) -> int:
        """Check the Authorization as for another method than the request's."""
        return self._checked(context, realm, password, flags, AUTHORIZATION, method)

    @kemi("auth.pv_proxy_authenticate", routes=Route.REQUEST)
    def pv_proxy_authenticate(
        self, context: Context, realm: bytes, password: bytes, flags: int
    ) -> int:
        """Check the Proxy-Authorization of a realm against a password, or an ha1 with flag 1."""
        return self._checked(context, realm, password, flags, PROXY_AUTHORIZATION)

    def begin(self, context: Context, realm: bytes, header: bytes) -> Authorization | int:
        """Return the credentials to check, their nonce being good, or what to return at once."""
        message = context.message
        if message.method in UNCHALLENGED:
            return OK
        if not realm:
            return ERROR
        authorization = find_authorization(message, header, realm, self._strip)
        if authorization is None:
            return NO_CREDENTIALS
        context.shared.notes[NOTE] = authorization
        credentials = authorization.credentials
        if not credentials.complete:
            return ERROR if credentials.nonce and credentials.response else NO_CREDENTIALS
        checks = self._checks(context)
        if checks & Checks.URI and credentials.uri != message.uri_text:
            return ERROR
        state = self._nonces.judge(credentials.nonce, time.time(), checks, message, context.source)
        if state is not NonceState.GOOD:
            authorization.stale = True
            return int(state)
        return authorization

    def finish(
        self,
        context: Context,
        authorization: Authorization,
        secret: bytes,
        hashed: bool,
        method: bytes = b"",
    ) -> int:
        """Check credentials whose nonce is good against a password or ha1; OK or why not."""
        credentials = authorization.credentials
        algorithm = chosen_algorithm(credentials, self.algorithms)
        if algorithm is None:
            return WRONG_PASSWORD
        message = context.message
        if not is_right(message, credentials, algorithm, secret, hashed, method or message.method):
            return WRONG_PASSWORD
        state = self._nonces.use(credentials.nonce, credentials.nc, time.time())
        if state is not NonceState.GOOD:
            authorization.stale = True
            return int(state)
        authorization.authorized = True
        return OK

    def is_same_user(self, context: Context) -> bool:
        """Whether the authorized user is that of To in REGISTER and PUBLISH, else of From."""
        authorization = context.shared.notes.get(NOTE)
        message = context.message
        is_own = message.method in (b"REGISTER", b"PUBLISH")
        address = message.to if is_own else message.from_
        uri = address.uri if address is not None else None
        if uri is None or not isinstance(authorization, Authorization):
            return False
        return uri.user == authorization.credentials.user

    def _checked(
        self,
        context: Context,
        realm: bytes,
        password: bytes,
        flags: int,
        header: bytes,
        method: bytes = b"",
    ) -> int:
        authorization = self.begin(context, realm, header)
        if isinstance(authorization, int):
            return authorization
        return self.finish(context, authorization, password, bool(flags & HASHED), method)

    def _checks(self, context: Context) -> Checks:
        # Calling an IntFlag is slow, and the usual case asks for nothing.
        params = self.params
        if context.message.method == b"REGISTER":
            return Checks(params.auth_checks_register) if params.auth_checks_register else _NONE
        if context.message.to_tag:
            return Checks(params.auth_checks_in_dlg) if params.auth_checks_in_dlg else _NONE
        return Checks(params.auth_checks_no_dlg) if params.auth_checks_no_dlg else _NONE

    def _challenge(
        self, context: Context, code: int, reason: bytes, name: bytes, realm: bytes, flags: int
    ) -> int:
        reply: Callable[..., int] = self._sl.send_reply
        if not realm:
            if not flags & NO_SERVER_ERROR:
                reply(context, 500, b"Internal Server Error")
            return ERROR
        headers = self._headers(context, name, realm, flags)
        if not self.params.force_stateless_reply:
            return OK if reply(context, code, reason, headers) > 0 else -3
        lines = context.shared.reply_lines
        before = len(lines)
        lines.extend(headers)
        sent = self._sl.sl_send_reply(context, code, reason)
        del lines[before:]
        return OK if sent > 0 else -3

    def _headers(self, context: Context, name: bytes, realm: bytes, flags: int) -> list[bytes]:
        nonce = self._nonces.make(
            time.time(), self._checks(context), context.request, context.source
        )
        noted = context.shared.notes.get(NOTE)
        stale = flags & STALE or (isinstance(noted, Authorization) and noted.stale)
        text = b'%b: Digest realm="%b", nonce="%b"' % (name, realm.removeprefix(self._strip), nonce)
        if flags & QOP_AUTH_INT:
            text += b', qop="auth-int"'
        elif flags & QOP_AUTH:
            text += b', qop="auth"'
        if stale:
            text += b", stale=true"
        if not self._names_algorithm:
            return [text]
        return [b"%b, algorithm=%b" % (text, algorithm) for algorithm in self.algorithms]

    def _forget(self) -> None:
        self._nonces.forget(time.time(), _FORGOTTEN_A_SLICE)


_NONE = Checks(0)


def _authorization_header(context: Context) -> bytes:
    return AUTHORIZATION if context.message.method == b"REGISTER" else PROXY_AUTHORIZATION
