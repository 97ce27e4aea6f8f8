"""The SIP extensions of a REGISTER: outbound (RFC 5626) and GRUU (RFC 5627).

Owns what is asked for by Supported and Require and what is answered; it must not know tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.modules.registration.path import Path, Refusal
from kamailiod.sip.message import SipMessage

REFUSED, OFFERED, DEMANDED = range(3)
"""outbound_mode: outbound is not understood, done when asked for, or asked of every phone."""

_MOST_KNOWN = 256


@dataclass(frozen=True, slots=True)
class ExtensionRules:
    """The registrar's modparams that concern extensions; `flow_timer` in seconds."""

    outbound_mode: int
    regid_mode: int
    flow_timer: int
    gruu_enabled: bool


class Negotiated:
    """What is done for one REGISTER: `lines` are for a 200, `refusal` is None unless it is refused.

    `keeps_instance` and `keeps_flow` say whether +sip.instance and reg-id are stored.
    """

    __slots__ = ("gruu", "keeps_flow", "keeps_instance", "lines", "outbound", "refusal")

    def __init__(
        self,
        lines: tuple[bytes, ...],
        outbound: bool,
        gruu: bool,
        keeps_instance: bool,
        keeps_flow: bool,
        refusal: Refusal | None,
    ) -> None:
        self.lines = lines
        self.outbound = outbound
        self.gruu = gruu
        self.keeps_instance = keeps_instance
        self.keeps_flow = keeps_flow
        self.refusal = refusal


NO_EDGE = Refusal(
    439, b"First Hop Lacks Outbound Support", b"No support for Outbound on edge proxy"
)


class Extensions:
    """Negotiates; what Supported and Require were seen is remembered, phones send few kinds."""

    __slots__ = ("_known", "_plain", "_rules")

    def __init__(self, rules: ExtensionRules) -> None:
        self._rules = rules
        self._known: dict[tuple[bytes, bytes], Negotiated] = {}
        self._plain = self._negotiated(b"", b"")

    def negotiate(self, message: SipMessage) -> Negotiated:
        """Return what a request asks for and gets."""
        index = message.index
        if b"supported" not in index and b"require" not in index:
            return self._plain
        asked = (b",".join(message.headers(b"supported")), b",".join(message.headers(b"require")))
        found = self._known.get(asked)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[asked] = self._negotiated(*asked)
        return found

    def _negotiated(self, supported: bytes, required: bytes) -> Negotiated:
        rules = self._rules
        offers = _tokens(supported) | _tokens(required)
        outbound = b"outbound" in offers and rules.outbound_mode != REFUSED
        lines: list[bytes] = []
        if rules.outbound_mode != REFUSED:
            lines.append(b"Supported: outbound")
        if outbound:
            lines.append(b"Require: outbound")
            if rules.flow_timer > 0:
                lines.append(b"Flow-Timer: %d" % rules.flow_timer)
        return Negotiated(
            tuple(lines),
            outbound,
            rules.gruu_enabled and b"gruu" in offers,
            rules.gruu_enabled or outbound,
            outbound or bool(rules.regid_mode),
            self._refusal(outbound, _tokens(required)),
        )

    def _refusal(self, outbound: bool, required: frozenset[bytes]) -> Refusal | None:
        mode = self._rules.outbound_mode
        if mode == REFUSED and b"outbound" in required:
            text = b"No support for Outbound here"
            return Refusal(420, b"Bad Extension", text, (b"Unsupported: outbound",))
        if mode == DEMANDED and not outbound:
            lines = (b"Require: outbound", b"Supported: outbound")
            text = b"No support for Outbound indicated"
            return Refusal(421, b"Extension Required", text, lines)
        return None


def lacks_edge_support(message: SipMessage, path: Path) -> bool:
    """Whether the first hop of a phone is a proxy that knows no outbound (RFC 5626 6)."""
    if len(message.vias) < 2:
        return False
    addresses = message.addresses(b"path") if path.vector else None
    edge = addresses[-1].uri if addresses else None
    return edge is None or edge.parameter(b"ob") is None


def _tokens(text: bytes) -> frozenset[bytes]:
    return frozenset(token.strip().lower() for token in text.split(b",") if token.strip())
