"""Bare words of expressions: owns the keyword values and the constants they are compared with."""

KEYWORD_VALUES = frozenset(
    (
        "method", "uri", "from_uri", "to_uri", "status", "src_ip", "src_port", "dst_ip",
        "dst_port", "proto", "af", "msg:len", "max_len", "snd_ip", "snd_port", "snd_proto",
        "snd_af", "to_ip", "to_port",
    )
)  # fmt: skip
CONSTANTS = {
    "UDP": "udp", "TCP": "tcp", "TLS": "tls", "SCTP": "sctp", "WS": "ws", "WSS": "wss",
    "udp": "udp", "tcp": "tcp", "tls": "tls", "sctp": "sctp", "ws": "ws", "wss": "wss",
    "INET": "inet", "INET6": "inet6", "inet": "inet", "inet6": "inet6", "IPv4": "inet",
    "IPv6": "inet6",
}  # fmt: skip
PAIRS = frozenset(("uri:host", "uri:port"))
