"""Every core parameter Kamailio knows: owns names, aliases, kinds and defaults, reads no values.

One is ours: call_id_hash_offset, the first octet of a Call-ID that counts for its worker.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a core parameter takes."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"
    NAME = "name"  # a quoted string, a bare word or an address


@dataclass(frozen=True, slots=True)
class CoreParameter:
    """A core parameter; default None means Kamailio decides when it starts."""

    name: str
    kind: Kind
    default: int | str | None


_INTEGERS = """
children=8 tcp_children sctp_children socket_workers=0 async_workers=0 async_usleep=0
async_nonblock=0 fork_delay=0 modinit_delay=0 port=5060 advertised_port mhomed=0 mcast_ttl=-1
tos=16 pmtu_discovery=0 ip_free_bind=0 auto_bind_ipv6=0 bind_ipv6_link_local=0 udp_mtu=0
udp_receiver_mode=0 udp_accept_proxy=0 udp4_raw=0 udp4_raw_mtu=1500 udp4_raw_ttl=-1
maxbuffer=262144 maxsndbuffer=262144 server_id=0 open_files_limit=-1 exit_timeout=60
wait_worker1_mode=0 wait_worker1_time=4000000 wait_worker1_usleep=100000 real_time=0 rt_prio=0
rt_policy=0 rt_timer1_prio=0 rt_timer1_policy=0 rt_timer2_prio=0 rt_timer2_policy=0 mlock_pages=0
shm_force_alloc=0 shm_mem_size=0 sip_warning=0 reply_to_via=0 check_via=0 local_rport=0
phone2tel=1 max_branches=12 max_while_loops=100 max_recursive_level=256 onsend_route_reply=0
msg_time=1 msg_recv_max_size=32767 msg_apply_changes_mode=0 msg_clone_extra_size=0
sip_parser_mode=1 received_route_mode=0 route_locks_size=0 return_mode=0 log_prefix_mode=0 debug=0
memdbg=4 memlog=4 mem_summary=12 mem_join=1 mem_safety=1 mem_status_mode=0 corelog=-1
sip_parser_log=-1 sip_parser_log_oneline=0 latency_log=-1 latency_cfg_log=3
latency_limit_action=0 latency_limit_db=0 latency_limit_cfg=0 verbose_startup=0 rpc_exec_delta=0
rpc_exec_locks=0 rpc_exec_locks_mode=0 tcp_max_connections=2048 tls_max_connections=2048
tcp_connection_lifetime=120 tcp_connect_timeout=10 tcp_send_timeout=10 tcp_conn_wq_max=32768
tcp_wq_max=10485760 tcp_wq_blk_size=2100 tcp_rd_buf_size=16384 tcp_accept_unique=0
tcp_accept_iplimit=1024 tcp_keepidle=0 tcp_keepintvl=0 tcp_keepcnt=0 tcp_defer_accept=0
tcp_syncnt=0 tcp_linger2=0 tcp_listen_backlog=1024 tcp_close_rst=0 tcp_clone_rcvbuf=0
tcp_connection_match=0 tcp_msg_read_timeout=20 tcp_msg_data_timeout=20 tcp_wait_data=5000
tcp_script_mode=0 tcp_check_timer=-1 tcp_main_threads=0 tls_port_no=5061 tls_threads_mode=2
tls_connection_match_domain=0 dns_udp_pref=30 dns_tcp_pref=20 dns_tls_pref=10 dns_sctp_pref=20
dns_cache_init=1 dns_cache_flags=0 dns_cache_negative_ttl=60 dns_cache_min_ttl=0
dns_cache_max_ttl dns_cache_mem=500 dns_cache_gc_interval=120 dns_cache_rec_pref=0
dns_retr_time=-1 dns_retr_no=-1 dns_servers_no=-1 dns_slow_query_ms=0 dst_blocklist_expire=60
dst_blocklist_mem=250 dst_blocklist_gc_interval=60 dst_blocklist_udp_imask=0
dst_blocklist_tcp_imask=0 dst_blocklist_tls_imask=0 dst_blocklist_sctp_imask=0
dst_blocklist_init=1 pv_buffer_size=8192 pv_buffer_slots=10 pv_cache_limit=2048 pv_cache_action=0
sql_buffer_size=65535 call_id_hash_offset=0
"""
_BOOLEANS = """
fork=1 auto_aliases=1 auto_domains=1 disable_core_dump=0 server_signature=1 force_rport=0 dns=0
rev_dns=0 http_reply_parse=0 log_stderror=0 log_color=0 disable_tcp=0 tcp_async=1
tcp_accept_aliases=0 tcp_accept_no_cl=0 tcp_accept_haproxy=0 tcp_accept_hep3=0 tcp_no_connect=0
tcp_crlf_ping=1 tcp_keepalive=1 tcp_delayed_ack=1 tcp_fd_cache=1 tcp_reuse_port=0 enable_tls=0
disable_tls=0 enable_sctp disable_sctp dns_try_ipv6=1 dns_try_naptr=0 dns_srv_lb=0
use_dns_failover=0 use_dns_cache=1 dns_cache_del_nonexp=0 dns_use_search_list=1
dns_search_full_match=1 dns_naptr_ignore_rfc=1 use_dst_blocklist=0 mcast_loopback=0
"""
_STRINGS = """
async_workers_group async_tkv_gname async_tkv_evcb server_header user_agent_header
uri_host_extra_chars hdr_name_extra_chars xavp_via_params xavp_via_fields xavp_via_reply_params
stats_name_separator=_ log_prefix log_engine_type log_engine_data ipv6_hex_style=c
version_table=version loadpath mpath
"""
_NAMES = """
bind advertised_address user group chroot workdir=/ run_dir=/run/kamailio mcast
log_facility=LOG_DAEMON log_name udp_mtu_try_proto=off tcp_source_ipv4 tcp_source_ipv6
tcp_poll_method=auto tcp_accept_protocols
"""
ALIASES = {
    "uid": "user", "gid": "group", "wdir": "workdir", "rundir": "run_dir",
    "ser_kill_timeout": "exit_timeout", "ipfreebind": "ip_free_bind",
    "ip_nonlocal_bind": "ip_free_bind", "http_reply_hack": "http_reply_parse",
    "tcp_buf_write": "tcp_async", "mpath": "loadpath",
    "auto_domains": "auto_aliases",
}  # fmt: skip


def _table() -> dict[str, CoreParameter]:
    table: dict[str, CoreParameter] = {}
    for kind, text in (
        (Kind.INTEGER, _INTEGERS), (Kind.BOOLEAN, _BOOLEANS), (Kind.STRING, _STRINGS),
        (Kind.NAME, _NAMES),
    ):  # fmt: skip
        for entry in text.split():
            name, _, default = entry.partition("=")
            table[name] = CoreParameter(name, kind, _default(kind, default))
    return table


def _default(kind: Kind, text: str) -> int | str | None:
    if not text:
        return None
    return int(text) if kind in (Kind.INTEGER, Kind.BOOLEAN) else text


CORE_PARAMETERS = _table()


def find_core_parameter(name: str) -> CoreParameter | None:
    """The parameter called name, in its own or another of its spellings."""
    return CORE_PARAMETERS.get(ALIASES.get(name, name))
