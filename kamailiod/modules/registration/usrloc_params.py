"""The modparams of usrloc, with Kamailio's names, types and defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from kamailiod.modules.registration.keepalive import KeepAliveRules
from kamailiod.modules.registration.location_rows import LocationColumns, RowRules
from kamailiod.script.module import Params

WITHOUT_EFFECT = (
    "handle_lost_tcp", "close_expired_tcp", "timer_procs", "db_raw_fetch_type", "db_insert_null",
    "version_table", "load_rank", "ka_interval", "ka_randomize", "ka_reply_codes",
)  # fmt: skip
"""Modparams that are taken and do nothing here.

Who keeps time and who reads the database at the start is fixed (timer_procs, load_rank), queries
are such that every database takes them (db_raw_fetch_type), and columns without a value are written
as NULL (db_insert_null).  ka_interval, ka_randomize and ka_reply_codes came after Kamailio 5.6.
"""


@dataclass(frozen=True, slots=True)
class UsrlocParams(Params):
    """Kamailio's modparams of usrloc."""

    ruid_column: str = "ruid"
    user_column: str = "username"
    domain_column: str = "domain"
    contact_column: str = "contact"
    expires_column: str = "expires"
    q_column: str = "q"
    callid_column: str = "callid"
    cseq_column: str = "cseq"
    flags_column: str = "flags"
    cflags_column: str = "cflags"
    db_url: str = "mysql://kamailio:kamailiorw@localhost/kamailio"
    timer_interval: int = 60
    db_mode: int = 0
    db_load: int = 1
    db_insert_update: int = 0
    use_domain: int = 0
    desc_time_order: int = 0
    user_agent_column: str = "user_agent"
    received_column: str = "received"
    path_column: str = "path"
    socket_column: str = "socket"
    methods_column: str = "methods"
    instance_column: str = "instance"
    reg_id_column: str = "reg_id"
    server_id_column: str = "server_id"
    connection_id_column: str = "connection_id"
    keepalive_column: str = "keepalive"
    partition_column: str = "partition"
    matching_mode: int = 0
    cseq_delay: int = 20
    fetch_rows: int = 2000
    hash_size: int = 10
    nat_bflag: int = -1
    handle_lost_tcp: int = 0
    close_expired_tcp: int = 0
    skip_remote_socket: int = 0
    preload: list[str] = field(default_factory=list)
    db_update_as_insert: int = 0
    timer_procs: int = 0
    db_check_update: int = 0
    xavp_contact: str = ""
    db_ops_ruid: int = 1
    expires_type: int = 0
    db_raw_fetch_type: int = 0
    db_insert_null: int = 0
    server_id_filter: int = 0
    db_timer_clean: int = 0
    rm_expired_delay: int = 0
    version_table: int = 1
    ka_mode: int = 0
    ka_from: str = "sip:server@kamailio.org"
    ka_domain: str = "kamailio.org"
    ka_method: str = "OPTIONS"
    ka_filter: int = 0
    ka_interval: int = 40
    ka_randomize: int = 20
    ka_timeout: int = 0
    ka_loglevel: int = 255
    ka_logmsg: str = " to-uri: [$tu] remote-addr: [$sas]"
    ka_reply_codes: str = "0"
    load_rank: int = 1
    db_clean_tcp: int = 0

    def columns(self) -> LocationColumns:
        """Return the names of the columns."""
        return LocationColumns(
            self.ruid_column, self.user_column, self.domain_column, self.contact_column,
            self.received_column, self.path_column, self.expires_column, self.q_column,
            self.callid_column, self.cseq_column, self.flags_column, self.cflags_column,
            self.user_agent_column, self.socket_column, self.methods_column, self.instance_column,
            self.reg_id_column, self.server_id_column, self.connection_id_column,
            self.keepalive_column, self.partition_column,
        )  # fmt: skip

    def row_rules(self, scheme: str, server_id: int) -> RowRules:
        """Return how rows are written.

        A row of the same ruid is replaced in any case, as db_insert_update and db_check_update
        have it; with db_ops_ruid 0 they alone ask for that.
        """
        return RowRules(
            scheme,
            bool(self.use_domain),
            bool(self.expires_type),
            bool(self.db_ops_ruid or self.db_insert_update or self.db_check_update),
            bool(self.db_update_as_insert),
            server_id,
            bool(self.server_id_filter),
            self.keepalive_flag(),
        )

    def keepalive_rules(self, server_id: int) -> KeepAliveRules:
        """Return what keep-alives need."""
        return KeepAliveRules(
            self.ka_mode, self.ka_filter, self.ka_method.encode(), self.ka_from.encode(),
            self.ka_domain.encode(), self.ka_timeout, self.keepalive_flag(), server_id,
        )  # fmt: skip

    def keepalive_flag(self) -> int:
        """Return the mask of nat_bflag, 0 when there is none."""
        return 1 << self.nat_bflag if 0 <= self.nat_bflag < 32 else 0
