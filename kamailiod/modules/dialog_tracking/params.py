"""The dialog module's modparams."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class DialogParams(Params):
    """Kamailio's names, types and defaults; times in seconds."""

    enable_stats: int = 1
    hash_size: int = 4096
    rr_param: str = "did"
    timeout_avp: str = ""
    default_timeout: int = 43200
    dlg_extra_hdrs: str = ""
    dlg_match_mode: int = 0
    detect_spirals: int = 1
    db_url: str = "mysql://kamailio:kamailiorw@localhost/kamailio"
    db_mode: int = 0
    table_name: str = "dialog"
    call_id_column: str = "callid"
    from_uri_column: str = "from_uri"
    from_tag_column: str = "from_tag"
    to_uri_column: str = "to_uri"
    to_tag_column: str = "to_tag"
    h_id_column: str = "hash_id"
    h_entry_column: str = "hash_entry"
    state_column: str = "state"
    start_time_column: str = "start_time"
    timeout_column: str = "timeout"
    to_cseq_column: str = "callee_cseq"
    from_cseq_column: str = "caller_cseq"
    to_route_column: str = "callee_route_set"
    from_route_column: str = "caller_route_set"
    to_contact_column: str = "callee_contact"
    from_contact_column: str = "caller_contact"
    to_sock_column: str = "callee_sock"
    from_sock_column: str = "caller_sock"
    sflags_column: str = "sflags"
    toroute_name_column: str = "toroute_name"
    vars_table_name: str = "dialog_vars"
    vars_h_id_column: str = "hash_id"
    vars_h_entry_column: str = "hash_entry"
    vars_key_column: str = "dialog_key"
    vars_value_column: str = "dialog_value"
    db_update_period: int = 60
    db_fetch_rows: int = 200
    profiles_with_value: str = ""
    profiles_no_value: str = ""
    bridge_controller: str = "sip:controller@kamailio.org"
    bridge_contact: str = "sip:controller@kamailio.org:5060"
    ruri_pvar: str = "$ru"
    initial_cbs_inscript: int = 1
    send_bye: int = 0
    wait_ack: int = 1
    xavp_cfg: str = ""
    ka_timer: int = 0
    ka_interval: int = 0
    timeout_noreset: int = 0
    timer_procs: int = 0
    track_cseq_updates: int = 0
    lreq_callee_headers: str = ""
    db_skip_load: int = 0
    ka_failed_limit: int = 1
    enable_dmq: int = 0
    enable_dmq_ka_iflags_sync: int = 0
    event_callback: str = ""
    early_timeout: int = 300
    noack_timeout: int = 60
    end_timeout: int = 300
    h_id_start: int = 0
    h_id_step: int = 1
    keep_proxy_rr: int = 0
    dlg_filter_mode: int = 0
    bye_early_code: int = 480
    bye_early_reason: str = "Temporarily Unavailable"
    dlg_ctxiuid_mode: int = 0
    debug_variables: int = 0
    dlg_mode: int = 0
    dmq_peer_id: str = "dialog"
    dlg_flag: int = -1


WITHOUT_EFFECT = (
    "bye_early_code", "bye_early_reason", "debug_variables", "dlg_ctxiuid_mode", "dlg_mode",
    "dmq_peer_id", "enable_dmq", "enable_dmq_ka_iflags_sync", "end_timeout", "timer_procs",
    "track_cseq_updates", "wait_ack", "xavp_cfg",
)  # fmt: skip
"""Modparams that are taken but change nothing.

A dialog that has ended is removed at once (end_timeout, wait_ack), deadlines cost the timer process
nothing (timer_procs), no function here changes a CSeq (track_cseq_updates), there is no dmq; the
rest is of later releases.
"""
