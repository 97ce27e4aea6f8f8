"""The modparams of tm under Kamailio's names: their values, and which of them change nothing."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class TmParams(Params):
    """modparams of tm; times in milliseconds as in Kamailio."""

    reply_matching: int = 1
    ruri_matching: int = 1
    via1_matching: int = 1
    callid_matching: int = 0
    callid_cseq_matching: int = 0
    fr_timer: int = 30000
    fr_inv_timer: int = 120000
    wt_timer: int = 5000
    retr_timer1: int = 500
    retr_timer2: int = 4000
    max_inv_lifetime: int = 180000
    max_noninv_lifetime: int = 32000
    noisy_ctimer: int = 1
    auto_inv_100: int = 1
    auto_inv_100_reason: str = "trying -- your call is important to us"
    unix_tx_timeout: int = 500
    restart_fr_on_each_reply: int = 1
    fr_timer_avp: str = ""
    fr_inv_timer_avp: str = ""
    tw_append: str = ""
    pass_provisional_replies: int = 0
    aggregate_challenges: int = 1
    unmatched_cancel: int = 0
    default_code: int = 500
    default_reason: str = "Server Internal Error"
    reparse_invite: int = 1
    ac_extra_hdrs: str = ""
    blst_503: int = 0
    blst_503_def_timeout: int = 0
    blst_503_min_timeout: int = 0
    blst_503_max_timeout: int = 3600
    blst_methods_add: int = 1
    blst_methods_lookup: int = 4294967287
    cancel_b_method: int = 1
    reparse_on_dns_failover: int = 1
    on_sl_reply: str = ""
    contacts_avp: str = ""
    contact_flows_avp: str = ""
    disable_6xx_block: int = 0
    local_ack_mode: int = 0
    local_ack_branch_mode: int = 0
    failure_reply_mode: int = 3
    faked_reply_prio: int = 0
    remap_503_500: int = 1
    failure_exec_mode: int = 0
    dns_reuse_rcv_socket: int = 0
    local_cancel_reason: int = 1
    e2e_cancel_reason: int = 1
    e2e_cancel_hop_by_hop: int = 1
    headers_mode: int = 0
    xavp_contact: str = ""
    event_callback: str = ""
    evcb_local_ack_sent: str = ""
    relay_100: int = 0
    rich_redirect: int = 0
    event_callback_lres_sent: str = ""
    exec_time_check: int = 5000
    reply_relay_mode: int = 1
    enable_uac_fr: int = 0
    failover_reply_codes: str = ""
    reply_408_code: int = 408
    reply_408_reason: str = "Request Timeout"
    delayed_reply: int = 1
    evlreq_mode: int = 0


WITHOUT_EFFECT = (
    "reply_matching", "ruri_matching", "via1_matching", "callid_matching", "callid_cseq_matching",
    "max_inv_lifetime", "max_noninv_lifetime", "noisy_ctimer", "unix_tx_timeout",
    "restart_fr_on_each_reply", "fr_timer_avp", "fr_inv_timer_avp", "tw_append",
    "pass_provisional_replies", "unmatched_cancel", "reparse_invite", "ac_extra_hdrs", "blst_503",
    "blst_503_def_timeout", "blst_503_min_timeout", "blst_503_max_timeout", "blst_methods_add",
    "blst_methods_lookup", "cancel_b_method", "reparse_on_dns_failover", "on_sl_reply",
    "contacts_avp", "contact_flows_avp", "disable_6xx_block", "local_ack_mode",
    "local_ack_branch_mode", "failure_reply_mode", "faked_reply_prio", "failure_exec_mode",
    "dns_reuse_rcv_socket", "e2e_cancel_hop_by_hop", "headers_mode",
    "xavp_contact", "evcb_local_ack_sent", "relay_100", "rich_redirect", "event_callback_lres_sent",
    "exec_time_check", "reply_relay_mode", "enable_uac_fr", "failover_reply_codes",
    "reply_408_code", "reply_408_reason", "delayed_reply", "evlreq_mode",
)  # fmt: skip
