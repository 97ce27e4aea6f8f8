"""The guide's complete PBX script, unmodified, over functions that only record their calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from lua import DONE, FAILED, Function

GUIDE = Path(__file__).parents[1] / "end_to_end" / "guide"
SCRIPT = GUIDE / "25-complete-example-custom-pbx-logic.lua"


@pytest.fixture
def pbx(make_bench):
    """The script on a server where it is given a method and results by function name."""
    answers = {"is_REGISTER": False, "is_INVITE": False, "siputils.has_totag": -1, "pv.get": b"u"}
    made = []

    def answering(name, parameters):
        def call(context, *arguments):
            made.append((name, *arguments))
            return answers.get(name, 1)

        return Function(name, call, parameters)

    signatures = {
        "sanity.sanity_check": ("int", "int"),
        "err": ("str",),
        "is_REGISTER": (),
        "is_INVITE": (),
        "siputils.has_totag": (),
        "rr.loose_route": (),
        "rr.record_route": (),
        "sl.send_reply": ("int", "str"),
        "tm.t_relay": (),
        "tm.t_on_failure": ("str",),
        "tm.t_check_status": ("str",),
        "pv.get": ("str",),
        "pv.sets": ("str", "str"),
        "auth_db.auth_check": ("str", "str", "int"),
        "auth.auth_challenge": ("str", "int"),
        "registrar.save": ("str", "int"),
        "registrar.lookup": ("str",),
        "acc.setflag": ("int",),
        "dialog.dlg_manage": (),
        "dialog.set_dlg_timeout": ("int",),
    }
    bench = make_bench([answering(*signature) for signature in signatures.items()])
    bench.runtime.load(str(SCRIPT))
    bench.answers, bench.made = answers, made
    return bench


def test_initialisation(pbx):
    assert pbx.runtime.run_to_completion(None, b"mod_init") == DONE
    assert pbx.calls == [(None, b"PBX Lua script loaded\n")]


def test_call_to_a_registered_phone(pbx):
    pbx.answers["is_INVITE"] = True
    assert pbx.start("handle_request") == DONE
    assert pbx.made[-2:] == [("tm.t_on_failure", b"VOICEMAIL_FAILURE"), ("tm.t_relay",)]
    assert ("dialog.set_dlg_timeout", 3600) in pbx.made
    assert pbx.calls == [("request", b"Call: u -> u\n")]


def test_call_to_an_absent_phone_goes_to_voicemail(pbx):
    pbx.answers.update({"is_INVITE": True, "registrar.lookup": -1})
    assert pbx.start("handle_request") == DONE
    assert pbx.made[-2:] == [("pv.sets", b"$du", b"sip:voicemail.local:5070"), ("tm.t_relay",)]


def test_register_without_credentials_is_challenged(pbx):
    pbx.answers.update({"is_REGISTER": True, "auth_db.auth_check": -5})
    assert pbx.start("handle_request") == DONE
    assert pbx.made[-1] == ("auth.auth_challenge", b"u", 0)


def test_within_a_dialog_without_a_route(pbx):
    pbx.answers.update({"siputils.has_totag": 1, "rr.loose_route": -1})
    pbx.start("handle_request")
    assert pbx.made[-1] == ("sl.send_reply", 403, b"Forbidden")


def test_failure_route(pbx):
    assert pbx.start("VOICEMAIL_FAILURE") == DONE
    assert pbx.made[0] == ("tm.t_check_status", b"486|408|487")


def test_a_missing_function_is_named_with_its_line(pbx):
    pbx.runtime.bind("rr.record_route", None)
    pbx.answers["is_INVITE"] = True
    assert pbx.start("handle_request") == FAILED
    assert f"{SCRIPT}:72 in function 'handle_invite'" in pbx.errors[0]
    assert "record_route" in pbx.errors[0]
