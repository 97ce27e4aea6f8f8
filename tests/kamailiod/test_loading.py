"""Which modules a script names, and which it only asks for."""

from __future__ import annotations

from pathlib import Path

from kamailiod.loading import functions_in, module_classes, modules_in_question, script_modules

SCRIPT = """\
-- if KSR.siputils then this is only a comment
local rr = KSR.rr
function ksr_route_auth()
    if not KSR.auth then return 1 end
    if KSR.permissions and not KSR.is_REGISTER() then KSR.permissions.allow_source_address(1) end
    if not KSR.corex.has_ruri_user() then KSR.tm.t_relay() end
    if KSR.acc ~= nil then KSR.acc.acc_log_request("x") end
    KSR.auth_db.auth_check("r", "subscriber", 0)
end
"""


def test_modules_that_are_asked_for_and_those_that_are_taken_for_granted(tmp_path: Path) -> None:
    (tmp_path / "other.lua").write_text("if KSR.textops then KSR.textops.has_body() end\n")
    script = tmp_path / "script.lua"
    script.write_text(SCRIPT + 'dofile("other.lua")\n')
    assert modules_in_question(str(script)) == {"auth", "permissions", "acc", "textops"}
    named = script_modules(module_classes(), functions_in(str(script)))
    assert named == {"corex", "tm", "acc", "auth_db", "permissions", "textops"}


def test_each_module_is_in_the_file_of_its_name() -> None:
    kinds = module_classes()
    assert {name: kind.name for name, kind in kinds.items()} == {name: name for name in kinds}
    assert "tm" in kinds
    assert "tm_params" not in kinds


def test_names_under_another_prefix_have_an_owner() -> None:
    kinds = module_classes()
    named = ("tm.t_suspend", "pvx.xavp_get", "kx.get_ruri", "tm.no_such_function")
    assert script_modules(kinds, named) == {"tmx", "pv", "kemix"}


def test_a_script_that_cannot_be_read_names_nothing(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.lua")
    assert (functions_in(missing), modules_in_question(missing)) == (set(), set())
