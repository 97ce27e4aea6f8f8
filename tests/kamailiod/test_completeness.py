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
        auth_algorithm ds_oc_set_attrs ds_dsg_fetch_uri dlg_set_state dlg_update_state
        dlg_refer_did dlg_refer_cid dlg_remove_dialogs_from_node dlg_update_contact
        dlg_update_socket dlg_get_var dlg_set_var dlg_req_within via_param_rm msg_changed_route
        forward_uac forward_uac_uri msg_vbflag_set msg_vbflag_reset msg_vbflag_is_set
        msg_vbflag_parse add_tcp_alias http_client_request_v2pk http_client_response_headers_set
        http_client_response_headers_clear http_async_send http_async_send_xdata
        add_path_advertised_address add_path_received_advertised_address xavp_push_dst
        async_tkv_emit""",
    "SCTP, which there is none of": "t_relay_to_sctp t_replicate_sctp t_forward_nonack_sctp",
    "a destination from an AVP or an old form of address: $du and t_relay do it": """
        t_relay_to_avp t_replicate_to t_forward_nonack_to forward_reply send_udp send_tcp""",
    "requests written to an external program": "t_write_req t_write_unix",
    "flows of contacts that failed one by one (RFC 5626)": "t_next_contact_flow",
    "internal flags of Kamailio's": "msg_iflag_set msg_iflag_reset msg_iflag_is_set",
    "old names of pv_www_authenticate and pv_proxy_authenticate": """
        pv_www_authorize pv_proxy_authorize""",
    "of no use to a script": "ul_bind_usrloc is_rpid_user_e164 sip_p_charging_vector",
}
FEWER_COUNTS = {
    "www_challenge", "proxy_challenge", "auth_challenge", "pv_www_authenticate",
    "www_authenticate",
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
