"""The acc module's modparams."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class AccParams(Params):
    """Kamailio's names, types and defaults; flags are numbers, -1 for none."""

    early_media: int = 0
    failed_transaction_flag: int = -1
    failed_filter: str = ""
    report_ack: int = 0
    report_cancels: int = 0
    multi_leg_info: str = ""
    detect_direction: int = 0
    acc_prepare_flag: int = -1
    acc_prepare_always: int = 0
    reason_from_hf: int = 0
    acc_extra_nullable: int = 0
    log_flag: int = -1
    log_missed_flag: int = -1
    log_level: int = 1
    log_facility: str = ""
    log_extra: str = ""
    cdr_enable: int = 0
    cdr_skip: str = ""
    cdr_log_enable: int = 1
    cdr_start_on_confirmed: int = 0
    cdr_facility: str = ""
    cdr_extra: str = ""
    cdr_extra_nullable: int = 0
    cdr_start_id: str = "start_time"
    cdr_end_id: str = "end_time"
    cdr_duration_id: str = "duration"
    cdr_duration_mode: int = 1
    cdr_expired_dlg_enable: int = 0
    db_flag: int = -1
    db_missed_flag: int = -1
    db_extra: str = ""
    db_url: str = ""
    db_table_acc: str = "acc"
    db_table_missed_calls: str = "missed_calls"
    db_version_check: int = 1
    acc_method_column: str = "method"
    acc_from_tag_column: str = "from_tag"
    acc_to_tag_column: str = "to_tag"
    acc_callid_column: str = "callid"
    acc_sip_code_column: str = "sip_code"
    acc_sip_reason_column: str = "sip_reason"
    acc_time_column: str = "time"
    db_insert_mode: int = 0
    time_mode: int = 0
    time_attr: str = "time_attr"
    time_exten: str = "time_exten"
    cdrs_table: str = ""
    time_format: str = "%Y-%m-%d %H:%M:%S"
    clone_msg: int = 1
    cdr_on_failed: int = 1
    acc_extra_size: int = 64
    cdr_extra_size: int = 64


WITHOUT_EFFECT = (
    "acc_extra_size", "cdr_extra_size", "clone_msg", "db_insert_mode", "cdr_duration_mode",
    "db_version_check",
)  # fmt: skip
"""Modparams that change nothing: there is no limit of attributes, no message is copied, every row
is inserted behind the call's back; the last two are of later versions."""
