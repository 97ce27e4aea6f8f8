"""The modparams of permissions."""

from __future__ import annotations

from dataclasses import dataclass

from kamailiod.script.module import Params


@dataclass(frozen=True, slots=True)
class PermissionsParams(Params):
    """Kamailio's modparams of permissions."""

    default_allow_file: str = "permissions.allow"
    default_deny_file: str = "permissions.deny"
    check_all_branches: int = 1
    allow_suffix: str = ".allow"
    deny_suffix: str = ".deny"
    db_url: str = ""
    db_mode: int = 0
    trusted_table: str = "trusted"
    source_col: str = "src_ip"
    proto_col: str = "proto"
    from_col: str = "from_pattern"
    ruri_col: str = "ruri_pattern"
    tag_col: str = "tag"
    priority_col: str = "priority"
    peer_tag_avp: str = ""
    peer_tag_mode: int = 0
    address_table: str = "address"
    address_file: str = ""
    grp_col: str = "grp"
    ip_addr_col: str = "ip_addr"
    mask_col: str = "mask"
    port_col: str = "port"
    max_subnets: int = 512
    load_backends: int = 0xFFFF
    reload_delta: int = 5
    trusted_cleanup_interval: int = 60
