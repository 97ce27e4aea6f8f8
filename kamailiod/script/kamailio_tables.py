"""Kamailio's tables as data: columns, indexes and versions as 5.6.3 has them.

Owns the facts alone; what is in a table is its module's, and making them table_layouts.py's.
"""

from __future__ import annotations

from kamailiod.script.table_layout import Column, Default, Key, Kind, Table

NULL, NONE = Default.NULL, Default.NONE
_PAST = "2000-01-01 00:00:01"
_FUTURE = "2030-05-28 21:32:15"
_CALL_ID = "Default-Call-ID"


def text(name: str, size: int, default: str | Default = "") -> Column:
    """Return a column of characters."""
    return Column(name, Kind.TEXT, size, default)


def integer(name: str, default: int | Default = NONE) -> Column:
    """Return a column of whole numbers."""
    return Column(name, Kind.INTEGER, 0, default)


def unsigned(name: str, default: int | Default = NONE) -> Column:
    """Return a column of whole numbers from 0."""
    return Column(name, Kind.UNSIGNED, 0, default)


def small(name: str, default: int | Default = NONE) -> Column:
    """Return a column of numbers below 65536."""
    return Column(name, Kind.SMALL, 0, default)


def real(name: str, decimals: int, default: float | Default = NONE) -> Column:
    """Return a column of numbers with decimals."""
    return Column(name, Kind.REAL, decimals, default)


def moment(name: str, default: str | Default = NONE) -> Column:
    """Return a column of times of a day."""
    return Column(name, Kind.MOMENT, 0, default)


def unique(name: str, *columns: str) -> Key:
    """Return an index that refuses a second row."""
    return Key(name, columns, True)


def index(name: str, *columns: str) -> Key:
    """Return an index."""
    return Key(name, columns, False)


TABLES = (
    Table(
        "version",
        1,
        (
            text("table_name", 32, NONE),
            unsigned("table_version", 0),
        ),
        (unique("table_name_idx", "table_name"),),
    ),
    Table(
        "acc",
        5,
        (
            text("method", 16),
            text("from_tag", 128),
            text("to_tag", 128),
            text("callid", 255),
            text("sip_code", 3),
            text("sip_reason", 128),
            moment("time", NONE),
        ),
        (index("callid_idx", "callid"),),
    ),
    Table(
        "acc_cdrs",
        2,
        (
            moment("start_time", "2000-01-01 00:00:00"),
            moment("end_time", "2000-01-01 00:00:00"),
            real("duration", 3, 0),
        ),
        (index("start_time_idx", "start_time"),),
    ),
    Table(
        "missed_calls",
        4,
        (
            text("method", 16),
            text("from_tag", 128),
            text("to_tag", 128),
            text("callid", 255),
            text("sip_code", 3),
            text("sip_reason", 128),
            moment("time", NONE),
        ),
        (index("callid_idx", "callid"),),
    ),
    Table(
        "subscriber",
        7,
        (
            text("username", 64),
            text("domain", 64),
            text("password", 64),
            text("ha1", 128),
            text("ha1b", 128),
        ),
        (
            unique("account_idx", "username", "domain"),
            index("username_idx", "username"),
        ),
    ),
    Table(
        "location",
        9,
        (
            text("ruid", 64),
            text("username", 64),
            text("domain", 64, NULL),
            text("contact", 512),
            text("received", 128, NULL),
            text("path", 512, NULL),
            moment("expires", _FUTURE),
            real("q", 2, 1.0),
            text("callid", 255, _CALL_ID),
            integer("cseq", 1),
            moment("last_modified", _PAST),
            integer("flags", 0),
            integer("cflags", 0),
            text("user_agent", 255),
            text("socket", 64, NULL),
            integer("methods", NULL),
            text("instance", 255, NULL),
            integer("reg_id", 0),
            integer("server_id", 0),
            integer("connection_id", 0),
            integer("keepalive", 0),
            integer("partition", 0),
        ),
        (
            unique("ruid_idx", "ruid"),
            index("account_contact_idx", "username", "domain", "contact"),
            index("expires_idx", "expires"),
            index("tcpcon_idx", "connection_id"),
            index("connection_idx", "server_id", "connection_id"),
        ),
    ),
    Table(
        "location_attrs",
        1,
        (
            text("ruid", 64),
            text("username", 64),
            text("domain", 64, NULL),
            text("aname", 64),
            integer("atype", 0),
            text("avalue", 512),
            moment("last_modified", _PAST),
        ),
        (
            index("account_record_idx", "username", "domain", "ruid"),
            index("last_modified_idx", "last_modified"),
        ),
    ),
    Table(
        "aliases",
        8,
        (
            text("ruid", 64),
            text("username", 64),
            text("domain", 64, NULL),
            text("contact", 255),
            text("received", 255, NULL),
            text("path", 512, NULL),
            moment("expires", _FUTURE),
            real("q", 2, 1.0),
            text("callid", 255, _CALL_ID),
            integer("cseq", 1),
            moment("last_modified", _PAST),
            integer("flags", 0),
            integer("cflags", 0),
            text("user_agent", 255),
            text("socket", 64, NULL),
            integer("methods", NULL),
            text("instance", 255, NULL),
            integer("reg_id", 0),
            integer("server_id", 0),
            integer("connection_id", 0),
            integer("keepalive", 0),
            integer("partition", 0),
        ),
        (
            unique("ruid_idx", "ruid"),
            index("account_contact_idx", "username", "domain", "contact"),
            index("expires_idx", "expires"),
        ),
    ),
    Table(
        "dialog",
        7,
        (
            unsigned("hash_entry", NONE),
            unsigned("hash_id", NONE),
            text("callid", 255, NONE),
            text("from_uri", 255, NONE),
            text("from_tag", 128, NONE),
            text("to_uri", 255, NONE),
            text("to_tag", 128, NONE),
            text("caller_cseq", 20, NONE),
            text("callee_cseq", 20, NONE),
            text("caller_route_set", 512, NULL),
            text("callee_route_set", 512, NULL),
            text("caller_contact", 255, NONE),
            text("callee_contact", 255, NONE),
            text("caller_sock", 64, NONE),
            text("callee_sock", 64, NONE),
            unsigned("state", NONE),
            unsigned("start_time", NONE),
            unsigned("timeout", 0),
            unsigned("sflags", 0),
            unsigned("iflags", 0),
            text("toroute_name", 32, NULL),
            text("req_uri", 255, NONE),
            text("xdata", 512, NULL),
        ),
        (index("hash_idx", "hash_entry", "hash_id"),),
    ),
    Table(
        "dialog_vars",
        1,
        (
            unsigned("hash_entry", NONE),
            unsigned("hash_id", NONE),
            text("dialog_key", 128, NONE),
            text("dialog_value", 512, NONE),
        ),
        (index("hash_idx", "hash_entry", "hash_id"),),
    ),
    Table(
        "dispatcher",
        4,
        (
            integer("setid", 0),
            text("destination", 192),
            integer("flags", 0),
            integer("priority", 0),
            text("attrs", 128),
            text("description", 64),
        ),
        (),
    ),
    Table(
        "trusted",
        6,
        (
            text("src_ip", 50, NONE),
            text("proto", 4, NONE),
            text("from_pattern", 64, NULL),
            text("ruri_pattern", 64, NULL),
            text("tag", 64, NULL),
            integer("priority", 0),
        ),
        (index("peer_idx", "src_ip"),),
    ),
    Table(
        "address",
        6,
        (
            unsigned("grp", 1),
            text("ip_addr", 50, NONE),
            integer("mask", 32),
            small("port", 0),
            text("tag", 64, NULL),
        ),
        (),
    ),
    Table(
        "dbaliases",
        1,
        (
            text("alias_username", 64),
            text("alias_domain", 64),
            text("username", 64),
            text("domain", 64),
        ),
        (
            index("alias_user_idx", "alias_username"),
            index("alias_idx", "alias_username", "alias_domain"),
            index("target_idx", "username", "domain"),
        ),
    ),
    Table(
        "speed_dial",
        2,
        (
            text("username", 64),
            text("domain", 64),
            text("sd_username", 64),
            text("sd_domain", 64),
            text("new_uri", 255),
            text("fname", 64),
            text("lname", 64),
            text("description", 64),
        ),
        (unique("speed_dial_idx", "username", "domain", "sd_domain", "sd_username"),),
    ),
    Table(
        "domain",
        2,
        (
            text("domain", 64, NONE),
            text("did", 64, NULL),
            moment("last_modified", _PAST),
        ),
        (unique("domain_idx", "domain"),),
    ),
    Table(
        "domain_attrs",
        1,
        (
            text("did", 64, NONE),
            text("name", 32, NONE),
            unsigned("type", NONE),
            text("value", 255, NONE),
            moment("last_modified", _PAST),
        ),
        (index("domain_attrs_idx", "did", "name"),),
    ),
    Table(
        "grp",
        2,
        (
            text("username", 64),
            text("domain", 64),
            text("grp", 64),
            moment("last_modified", _PAST),
        ),
        (unique("account_group_idx", "username", "domain", "grp"),),
    ),
    Table(
        "re_grp",
        1,
        (
            text("reg_exp", 128),
            integer("group_id", 0),
        ),
        (index("group_idx", "group_id"),),
    ),
    Table(
        "uri",
        1,
        (
            text("username", 64),
            text("domain", 64),
            text("uri_user", 64),
            moment("last_modified", _PAST),
        ),
        (unique("account_idx", "username", "domain", "uri_user"),),
    ),
    Table(
        "mtree",
        1,
        (
            text("tprefix", 32),
            text("tvalue", 128),
        ),
        (unique("tprefix_idx", "tprefix"),),
    ),
    Table(
        "mtrees",
        2,
        (
            text("tname", 128),
            text("tprefix", 32),
            text("tvalue", 128),
        ),
        (unique("tname_tprefix_tvalue_idx", "tname", "tprefix", "tvalue"),),
    ),
    Table(
        "htable",
        2,
        (
            text("key_name", 64),
            integer("key_type", 0),
            integer("value_type", 0),
            text("key_value", 128),
            integer("expires", 0),
        ),
        (),
    ),
    Table(
        "pl_pipes",
        1,
        (
            text("pipeid", 64),
            text("algorithm", 32),
            integer("plimit", 0),
        ),
        (),
    ),
)
