"""Kamailio's modparams of dispatcher."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class DispatcherParams(Params):
    """Names, types and defaults are those of Kamailio 5.6."""

    list_file: str = "/etc/kamailio/dispatcher.list"
    db_url: str = ""
    table_name: str = "dispatcher"
    setid_col: str = "setid"
    destination_col: str = "destination"
    flags_col: str = "flags"
    priority_col: str = "priority"
    attrs_col: str = "attrs"
    ds_db_extra_attrs: str = ""
    ds_attrs_none: int = 0
    ds_load_mode: int = 0
    reload_delta: int = 5
    force_dst: int = 1
    flags: int = 0
    use_default: int = 0
    xavp_dst: str = "_dsdst_"
    xavp_dst_mode: int = 0
    xavp_ctx: str = "_dsctx_"
    xavp_ctx_mode: int = 0
    hash_pvar: str = ""
    setid_pvname: str = ""
    attrs_pvname: str = ""
    ds_probing_threshold: int = 1
    ds_inactive_threshold: int = 1
    ds_ping_method: str = "OPTIONS"
    ds_ping_from: str = "sip:dispatcher@localhost"
    ds_ping_interval: int = 0
    ds_ping_latency_stats: int = 0
    ds_latency_estimator_alpha: int = 900
    ds_ping_reply_codes: str = ""
    ds_probing_mode: int = 0
    ds_hash_size: int = 0
    ds_hash_expire: int = 7200
    ds_hash_initexpire: int = 7200
    ds_hash_check_interval: int = 30
    outbound_proxy: str = ""
    ds_default_socket: str = ""
    ds_default_sockname: str = ""
    ds_timer_mode: int = 0
    event_callback: str = ""
    ds_dns_mode: int = 1
    ds_dns_interval: int = 600
    ds_dns_ttl: int = 0


WITHOUT_EFFECT = (
    # There is one timer process; names are looked up when a message goes there, by the resolver.
    "ds_timer_mode", "ds_dns_mode", "ds_dns_interval", "ds_dns_ttl",
)  # fmt: skip
