"""What Kamailio's modules offer is there: functions, modparams, native commands, variables.

The rows are in spec/; what is missing is listed here by name, with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kamailiod.loading import module_classes
from kamailiod.modules.dialog import Dialogs
from kamailiod.modules.rr import Rr
from kamailiod.modules.tm import Tm
from kamailiod.script.functions import catalogue, known_functions
from tests.kamailiod.fakes import FakeServices, context_of

SPEC = Path(__file__).parent / "spec"
MESSAGE = (Path(__file__).parents[1] / "messages" / "all-variables.sip").read_bytes()
KINDS = module_classes()

GAPS = {
    "newer than Kamailio 5.6": """
        t_reply_error t_relay_to_proxy t_set_no_auto_ack t_msg_apply_changes t_cell_append_branches
        t_uac_ack_local t_cancel_branch_idx t_vbflag_set t_vbflag_reset t_vbflag_is_set lookup_xavp
        auth_algorithm dlg_set_state dlg_update_state dlg_refer_did dlg_refer_cid
        dlg_remove_dialogs_from_node dlg_update_contact dlg_update_socket dlg_get_var dlg_set_var
        dlg_req_within via_param_rm forward_uac forward_uac_uri msg_vbflag_set msg_vbflag_reset
        msg_vbflag_is_set msg_vbflag_parse add_tcp_alias xavp_push_dst""",
    "the next hop by argument: $du and t_relay do it": """
        t_relay_to_udp t_relay_to_tcp t_relay_to_tls t_relay_to_sctp t_relay_to_avp t_relay_to
        t_forward_nonack t_forward_nonack_uri t_forward_nonack_udp t_forward_nonack_tcp
        t_forward_nonack_tls t_forward_nonack_sctp t_forward_nonack_to t_relay_cancel send_udp
        send_tcp sl_reply sl_forward_reply forward_reply t_send_reply""",
    "replication to another server": """
        t_replicate t_replicate_udp t_replicate_tcp t_replicate_tls t_replicate_sctp
        t_replicate_to""",
    "transaction controls that are not there yet": """
        t_on_branch_failure t_write_req t_write_unix t_set_max_lifetime t_reset_max_lifetime
        t_set_auto_inv_100 t_set_disable_6xx t_set_disable_failover t_set_no_e2e_cancel_reason
        t_disable_e2e_cancel_reason t_set_disable_internal_reply t_is_retr_async_reply t_is_expired
        t_drop_replies t_save_lumps t_use_uac_headers t_uac_send t_load_contacts t_next_contacts
        t_next_contact_flow t_clean t_cancel_callid t_reply_callid t_flush_flags t_flush_xflags
        t_reuse_branch t_drop msg_iflag_set msg_iflag_reset msg_iflag_is_set""",
    "routing with an address or mode of the script's": """
        loose_route_preloaded loose_route_mode record_route_advertised_address
        rr_next_hop_route""",
    "dialog profiles, requests of the server's own within dialogs, dialogs in a database": """
        set_dlg_profile unset_dlg_profile is_in_profile get_profile_size dlg_refer dlg_bridge
        dlg_set_timeout_by_profile dlg_reset_property dlg_remote_profile dlg_set_ruri
        dlg_db_load_callid dlg_db_load_extra""",
    "reading contacts without a lookup": "reg_fetch_contacts reg_free_contacts",
    "accounting into a database": "acc_db_request acc_request",
    "old names of pv_www_authenticate and pv_proxy_authenticate": """
        pv_www_authorize pv_proxy_authorize""",
    "of no use to a script": "ul_bind_usrloc is_rpid_user_e164 sip_p_charging_vector",
}
FEWER_COUNTS = {
    "t_lookup_cancel", "t_relay", "record_route", "save", "lookup", "registered", "www_challenge",
    "proxy_challenge", "auth_challenge", "pv_www_authenticate", "www_authenticate",
}  # fmt: skip
"""Native functions with some of their parameter counts only."""

DIFFERENT = {
    "$via1(params)": "Kamailio has none, although the branch is one",
}


def rows(name: str) -> list[list[str]]:
    lines = (SPEC / f"{name}.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("name", "parameters"), rows("functions"))
def test_script_functions(name: str, parameters: str) -> None:
    function = known_functions(KINDS.values())[name]
    count = len(parameters.split(",")) if parameters else 0
    most = len(function.parameters)
    assert most - function.optional <= count <= most


def test_native_functions_are_there_or_known_gaps() -> None:
    modules = catalogue(KINDS).modules
    missing, fewer = set(), set()
    for module, name, counts in rows("native"):
        found = modules[module].functions.get(name)
        if found is None:
            missing.add(name)
        elif not {int(count) for count in counts.split(",")} <= found.counts:
            fewer.add(name)
    assert missing == {name for names in GAPS.values() for name in names.split()}
    assert fewer == FEWER_COUNTS


@pytest.mark.parametrize(("module", "name", "kind", "default"), rows("modparams"))
def test_modparams(module: str, name: str, kind: str, default: str) -> None:
    made = getattr(KINDS[module].Params(), name)
    text = re.sub(r" \(.*|^\(.*", "", default).strip('"')
    if kind.startswith("int"):
        text = re.sub(r"^~BYE$", "4294967287", text)
        assert made == int(text)
    elif text in ("DB", "RODB"):
        assert str(made).startswith("mysql://kamailio")
    elif kind.endswith("/func") and not made:
        assert text in ("", "(none)")
    else:
        assert made == default.strip('"') or (made == "" and text == "")


@pytest.mark.parametrize(("name", "kind", "value"), rows("pseudovariables"))
def test_pseudo_variables(services: FakeServices, name: str, kind: str, value: str) -> None:
    for module in (Rr, Tm, Dialogs):
        services.variables.register_module(services.module(module))
    found = services.variables.accessors[name.encode()].get(context_of(MESSAGE))
    if name in DIFFERENT:
        assert str(found) != value
        return
    shown = found.decode() if isinstance(found, bytes) else found
    lua = {str: "string", int: "number", type(None): "nil"}[type(shown)]
    text = "nil" if shown is None else str(shown).replace("\r", "\\r").replace("\n", "\\n")
    assert (lua, text) == (kind, value)
