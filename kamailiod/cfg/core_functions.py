"""The core's own script functions: owns their names and numbers of arguments."""

from .catalogue import ANY_ROUTE, NativeFunction

_COUNTS = {
    "forward": "0 1 2", "forward_udp": "0 1 2", "forward_tcp": "0 1 2", "forward_tls": "0 1 2",
    "forward_sctp": "0 1 2", "log": "1 2", "setflag": "1", "resetflag": "1", "isflagset": "1",
    "setavpflag": "2", "resetavpflag": "2", "isavpflagset": "2", "flags": "0",
    "sethost": "1", "rewritehost": "1", "seth": "1", "sethostport": "1", "rewritehostport": "1",
    "sethp": "1", "sethostporttrans": "1", "rewritehostporttrans": "1", "sethpt": "1",
    "setuser": "1", "rewriteuser": "1", "setu": "1", "setuserpass": "1", "rewriteuserpass": "1",
    "setup": "1", "setport": "1", "rewriteport": "1", "setp": "1", "seturi": "1",
    "rewriteuri": "1", "revert_uri": "0", "prefix": "1", "strip": "1", "strip_tail": "1",
    "userphone": "0", "remove_branch": "0 1", "clear_branches": "0", "force_rport": "0",
    "add_rport": "0", "add_local_rport": "0", "force_tcp_alias": "0 1", "add_tcp_alias": "0 1",
    "udp_mtu_try_proto": "1", "set_advertised_address": "1", "set_advertised_port": "1",
    "force_send_socket": "1", "set_forward_no_connect": "0", "set_forward_close": "0",
    "set_reply_no_connect": "0", "set_reply_close": "0", "cfg_select": "2", "cfg_reset": "1",
    "exec": "1", "error": "2", "strlen": "1", "strempty": "1", "selval": "3",
}  # fmt: skip

CORE_FUNCTIONS = {
    name: NativeFunction(frozenset(int(count) for count in counts.split()), ANY_ROUTE)
    for name, counts in _COUNTS.items()
}
