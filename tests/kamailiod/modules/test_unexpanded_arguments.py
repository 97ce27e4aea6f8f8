"""What native routes hand on as it is written: names of variables, and texts expanded only once."""

from __future__ import annotations

from pathlib import Path

from kamailiod.modules.pv import Pv
from kamailiod.modules.textops import Textops
from kamailiod.modules.xlog import Xlog
from tests.kamailiod.fakes import FakeServices
from tests.kamailiod.modules.inviting import invite
from tests.kamailiod.native_calls import NativeCalls

TEXT = """
loadmodule "pv"
loadmodule "xlog"
loadmodule "textops"
request_route {
    $avp(peer) = "$" + "avp(secret)";
    $avp(secret) = "hidden";
    pv_isset("$avp(none)");
    xlog("L_ERR", "code $rc, peer said $avp(peer)\\n");
    $var(level) = "L_INFO";
    xlog("$var(level)", "said at INFO\\n");
    xlog("alone at ERROR\\n");
    pv_isset("$avp(secret)"); $var(set) = $rc;
    is_int("$avp(secret)"); $var(number) = $rc;
    subst_v("$avp(secret)", "/h(.*)/$avp(peer):\\\\1/", "$avp(result)");
    pv_unset("$avp(secret)");
}
"""


def test_what_a_peer_sends_is_not_expanded(services: FakeServices, tmp_path: Path) -> None:
    modules = [services.module(kind) for kind in (Pv, Xlog, Textops)]
    services.start()
    context = NativeCalls(services, modules, tmp_path, TEXT).run(invite())
    said = [line.partition(") ")[2] for line in services.lines if "<script>" in line]
    assert said == [
        "ERROR: <script>: code -1, peer said $avp(secret)",
        "INFO: <script>: said at INFO",
        "ERROR: <script>: alone at ERROR",
    ]
    assert (context.variables[b"set"], context.variables[b"number"]) == (1, -1)
    assert context.shared.avps[b"result"] == [b"$avp(secret):idden"]
    assert not context.shared.avps.get(b"secret")
