"""Module usrloc: where users can be reached, in shared memory; the registrar's memory.

Owns modparams, expiry and the ul.* commands; it must not know REGISTER.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.registration.locations import Locations, Matching
from kamailiod.script.module import Module, Params, RpcFault, rpc
from kamailiod.script.services import Services
from shm import Binding

ALL_METHODS = 0xFFFFFFFF
"""The methods mask of a contact that did not say which it takes."""

_EXPIRED_A_SLICE = 500
_MAP_SHARE = 0.4
_LEAST_BUCKETS = 65536
_NOT_FOUND = "AOR not found"


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


class Usrloc(Module):
    """The location tables of the registrar, and the commands to look into them.

    Expired contacts are invisible at once and removed by the timer process, a slice at a time.
    """

    name: ClassVar[str] = "usrloc"
    Params: ClassVar[type[Params]] = UsrlocParams
    params: UsrlocParams
    statistics: ClassVar[tuple[str, ...]] = ("usrloc:location-expires",)
    event_routes: ClassVar[tuple[str, ...]] = ("usrloc:contact-expired",)
    without_effect: ClassVar[tuple[str, ...]] = (
        "db_load", "db_insert_update", "fetch_rows", "handle_lost_tcp", "close_expired_tcp",
        "skip_remote_socket", "db_update_as_insert", "timer_procs", "db_check_update",
        "xavp_contact", "db_ops_ruid", "expires_type", "db_raw_fetch_type", "db_insert_null",
        "server_id_filter", "db_timer_clean", "rm_expired_delay", "ka_mode", "ka_from",
        "ka_domain", "ka_method", "ka_filter", "ka_interval", "ka_randomize", "ka_timeout",
        "ka_loglevel", "ka_logmsg", "ka_reply_codes", "load_rank", "db_clean_tcp", "nat_bflag",
        "ruid_column", "contact_column", "expires_column", "q_column", "callid_column",
        "cseq_column", "flags_column", "cflags_column", "timer_interval", "user_agent_column",
        "received_column", "path_column", "socket_column", "methods_column", "instance_column",
        "reg_id_column", "server_id_column", "connection_id_column", "keepalive_column",
        "partition_column", "version_table",
    )  # fmt: skip

    def __init__(self, params: UsrlocParams, services: Services) -> None:
        super().__init__(params, services)
        self.use_domain = bool(params.use_domain)
        self.locations: Locations
        self._expired: Callable[..., None] = _ignore

    def mod_init(self) -> None:
        """Make the shared map, after refusing what cannot be had yet."""
        if self.params.db_mode:
            raise ValueError(
                f"usrloc: db_mode {self.params.db_mode} is not supported: locations are kept in"
                " shared memory only (db_mode 0)"
            )
        if self.params.matching_mode not in list(Matching):
            raise ValueError(f"usrloc: matching_mode {self.params.matching_mode} is not known")
        buckets = max(1 << min(self.params.hash_size, 24), _LEAST_BUCKETS)
        self.locations = Locations(
            self.services.hash_map("location", buckets, _MAP_SHARE),
            Matching(self.params.matching_mode),
            bool(self.params.desc_time_order),
        )
        for name in self.params.preload:
            self.locations.table(name.encode())

    def child_init(self, rank: int) -> None:
        """Name this process's contacts; the timer process starts to expire."""
        self.locations.start_process()
        self._expired = self.services.statistics.counter("usrloc:location-expires")
        if rank == -1:
            self.services.timers.every(1.0, self.expire)

    def expire(self) -> None:
        """Remove a slice of what has expired from every table, and tell the script."""
        now = int(time.time())
        for name in self.locations.names():
            removed = self.locations.table(name).expire(now, _EXPIRED_A_SLICE)
            if not removed:
                continue
            self._expired(len(removed))
            for _ in removed:
                self.services.script.run_event("usrloc", "contact-expired")

    @rpc("ul.dump")
    def ul_dump(self, detail: str = "") -> object:
        """Show all contacts of all tables; `brief` leaves their particulars out."""
        now = time.time()
        names = self.locations.names()
        return {"Domains": [{"Domain": self._dump(name, detail, now)} for name in names]}

    @rpc("ul.lookup")
    def ul_lookup(self, table: str, aor: str) -> object:
        """Show the contacts of one user."""
        now = time.time()
        bindings = self.locations.table(table.encode()).bindings(aor.encode(), now)
        if not bindings:
            raise RpcFault(500, _NOT_FOUND)
        return {"AoR": aor, "Contacts": [{"Contact": _shown(b, now)} for b in bindings]}

    @rpc("ul.rm")
    def ul_rm(self, table: str, aor: str) -> object:
        """Remove a user with all contacts."""
        if not self.locations.table(table.encode()).remove(aor.encode()):
            raise RpcFault(500, _NOT_FOUND)
        return ""

    @rpc("ul.rm_contact")
    def ul_rm_contact(self, table: str, aor: str, contact: str) -> object:
        """Remove one contact of a user."""
        wanted = contact.encode()
        removed: list[Binding] = []

        def drop(bindings: list[Binding]) -> list[Binding]:
            removed.extend(b for b in bindings if b.contact == wanted)
            return [b for b in bindings if b.contact != wanted]

        self.locations.table(table.encode()).update(aor.encode(), drop)
        if not removed:
            raise RpcFault(500, "Contact not found")
        return ""

    @rpc("ul.flush")
    def ul_flush(self) -> object:
        """Write everything to the database: nothing to do while there is none."""
        return ""

    @rpc("ul.add")
    def ul_add(
        self,
        table: str,
        aor: str,
        contact: str,
        expires: int,
        q: float = -1.0,
        path: str = "",
        flags: int = 0,
        cflags: int = 0,
        methods: int = ALL_METHODS,
        instance: str = "",
        ruid: str = "",
    ) -> object:
        """Add a contact of a user, or refresh it; an expiry of 0 makes it permanent."""
        now = time.time()
        new = Binding(
            contact.encode(), b"", _absent(path), int(now) + int(expires) if expires else 0,
            round(float(q) * 1000) if float(q) >= 0 else -1, b"dfjrewr12386fd6-343@kamailiod.rpc",
            1, int(flags), int(cflags), b"kamailiod SIP Router - RPC Server", b"", int(methods),
            _absent(instance), 0, _absent(ruid) or self.locations.next_ruid(), 0, 0, now,
        )  # fmt: skip

        def put(bindings: list[Binding]) -> list[Binding]:
            known = [n for n, old in enumerate(bindings) if old.contact == new.contact]
            self.locations.place(bindings, new, known[0] if known else -1)
            return bindings

        if not self.locations.table(table.encode()).update(aor.encode(), put):
            raise RpcFault(500, "No shared memory left")
        return ""

    @rpc("ul.db_users")
    def ul_db_users(self, table: str) -> object:
        """Count the users of a table."""
        return self.locations.table(table.encode()).counts().records

    @rpc("ul.db_contacts")
    def ul_db_contacts(self, table: str) -> object:
        """Count the contacts of a table."""
        return self.locations.table(table.encode()).counts().contacts

    @rpc("ul.db_expired_contacts")
    def ul_db_expired_contacts(self, table: str) -> object:
        """Count the contacts of a table that have expired and are not removed yet."""
        now = time.time()
        found = self.locations.table(table.encode()).items()
        return sum(0 < b.expires <= now for _, bindings in found for b in bindings)

    def _dump(self, name: bytes, detail: str, now: float) -> object:
        records: list[object] = []
        most = 0
        for aor, bindings in self.locations.table(name).items():
            contacts = [{"Contact": _contact(b, detail, now)} for b in bindings]
            records.append({"Info": {"AoR": _text(aor), "HashID": 0, "Contacts": contacts}})
            most = max(most, len(contacts))
        return {
            "Domain": _text(name),
            "Size": len(records),
            "AoRs": records,
            "Stats": {"Records": len(records), "Max-Slots": most},
        }


def _ignore(by: int = 1) -> None:
    """Stand in for a counter until there is one."""


def _contact(binding: Binding, detail: str, now: float) -> dict[str, object]:
    return {"Address": _text(binding.contact)} if detail == "brief" else _shown(binding, now)


def _shown(binding: Binding, now: float) -> dict[str, object]:
    left: object = "permanent" if not binding.expires else int(binding.expires - now)
    if binding.expires and binding.expires <= now:
        left = "expired"
    return {
        "Address": _text(binding.contact),
        "Expires": left,
        "Q": binding.q / 1000 if binding.q >= 0 else -1,
        "Call-ID": _text(binding.call_id),
        "CSeq": binding.cseq,
        "User-Agent": _text(binding.user_agent) or "n/a",
        "Received": _text(binding.received) or "[not set]",
        "Path": _text(binding.path) or "[not set]",
        "State": "CS_NEW",
        "Flags": binding.flags,
        "CFlags": binding.cflags,
        "Socket": _text(binding.socket) or "[not set]",
        "Methods": binding.methods,
        "Ruid": _text(binding.ruid),
        "Instance": _text(binding.instance) or "[not set]",
        "Reg-Id": binding.reg_id,
        "Server-Id": binding.server_id,
        "Tcpconn-Id": binding.connection_id or -1,
        "Keepalive": 0,
        "Last-Keepalive": int(binding.last_modified),
        "KA-Roundtrip": 0,
        "Last-Modified": int(binding.last_modified),
    }


def _absent(text: str) -> bytes:
    return b"" if text in (".", "0") else text.encode()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
