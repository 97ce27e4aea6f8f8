"""Module pv: KSR.pv, KSR.pvx, the variables of the server; returned values as in Kamailio 5.6.3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kamailiod.modules.pv import Pv, PvParams
from kamailiod.net.address import ListenAddress
from kamailiod.script.context import Context
from kamailiod.script.module import declared, signature
from tests.kamailiod.fakes import FakeServices


class Loaded:
    """The module in a server, with a context to call it on."""

    def __init__(self, **params: object) -> None:
        self.services = FakeServices()
        self.services.settings.server_id = 42
        self.services.defines = {"FOO": '"bar x"', "NUM": "42"}
        self.pv: Any = self.services.load(Pv, **params)
        self.services.variables.register_module(self.pv)
        self.pv.mod_init()
        self.context: Context = self.services.faked_context()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.pv, name)
        return lambda *arguments: function(self.context, *arguments)


@pytest.fixture
def pv() -> Iterator[Loaded]:
    loaded = Loaded()
    yield loaded
    loaded.services.close()


def test_getters(pv: Loaded) -> None:
    assert pv.get(b"$rU") == b"you"
    assert pv.get(b"$rmid") == 512
    assert pv.get(b"$avp(n)") is None
    assert pv.getw(b"$avp(n)") == b"<null>"
    assert pv.gete(b"$avp(n)") == b""
    assert pv.geti(b"$avp(n)") == 0
    assert pv.getvn(b"$avp(n)", 7) == 7
    assert pv.getvs(b"$avp(n)", b"d") == b"d"
    assert pv.getvs(b"$rU", b"d") == b"you"
    assert pv.is_null(b"$avp(n)")
    assert pv.is_null(b"$nope")
    assert not pv.is_null(b"$rU")


def test_setters(pv: Loaded) -> None:
    assert pv.sets(b"$var(a)", b"7")
    assert (pv.geti(b"$var(a)"), pv.getl(b"$var(a)")) == (7, 7)
    pv.sets(b"$var(a)", b"x7")
    assert pv.geti(b"$var(a)") == 0
    assert pv.seti(b"$avp(n)", 5)
    assert pv.get(b"$avp(n)") == 5
    assert pv.unset(b"$avp(n)")
    assert pv.is_null(b"$avp(n)")
    assert not pv.seti(b"$rU", 5)
    assert not pv.sets(b"$nope", b"x")
    assert pv.sets(b"$si", b"x")
    assert pv.sets(b"$rU", b"")
    assert pv.context.uri == b"sip:127.0.0.1"


def test_questions_about_values(pv: Loaded) -> None:
    pv.sets(b"$var(a)", b"12")
    assert (pv.pv_isset(b"$var(a)"), pv.pv_isset(b"$avp(n)")) == (1, -1)
    assert (pv.is_int(b"$var(a)"), pv.is_int(b"$rU")) == (1, -1)
    assert (pv.not_empty(b"$rU"), pv.not_empty(b"$du")) == (1, -1)
    assert (pv.typeof(b"$rmid", b"int"), pv.typeof(b"$rU", b"null")) == (1, -1)
    assert pv.evalx(b"$var(e)", b"$rm x") == 1
    assert pv.get(b"$var(e)") == b"OPTIONS x"


def test_shared_variables_survive_messages() -> None:
    loaded = Loaded(shvset=["x=i:5", "y=s:text", "bad"], varset=["v=i:3"])
    assert loaded.get(b"$shv(x)") == 5
    assert loaded.get(b"$shvinc(x)") == 6
    loaded.context = loaded.services.faked_context()
    assert loaded.get(b"$shv(x)") == 6
    assert loaded.shv_get(b"y") == b"text"
    assert loaded.shvinc_get(b"y") is None
    assert loaded.get(b"$shv(other)") == 0
    assert loaded.get(b"$var(v)") == loaded.var_get(b"v") == 3
    assert sum("bad" in line for line in loaded.services.lines) == 1
    loaded.services.close()


def test_forced_socket(pv: Loaded) -> None:
    named = ListenAddress(1, b"tcp", b"::1", 5070, name=b"inner")
    pv.services.network.sockets = [*pv.services.network.sockets, named]
    assert (pv.get(b"$fs"), pv.get(b"$fsp")) == (None, 0)
    assert pv.sets(b"$fs", b"tcp:[::1]:5070")
    assert pv.context.socket is named
    assert (pv.get(b"$fs"), pv.get(b"$fsn"), pv.get(b"$fsp")) == (b"tcp:[::1]:5070", b"inner", 5070)
    assert pv.sets(b"$fs", b"udp:192.0.2.1:5")
    assert pv.context.socket is named
    assert pv.unset(b"$fs")
    assert pv.context.socket is None
    assert pv.sets(b"$fsn", b"inner")
    assert pv.context.socket is named
    assert not pv.sets(b"$fsn", b"other")


def test_configuration(pv: Loaded) -> None:
    assert pv.get(b"$sid") == 42
    assert pv.get(b"$def(FOO)") == b'"bar x"'
    assert pv.get(b"$defs(FOO)") == b"bar x"
    assert pv.get(b"$defn(NUM)") == 42
    assert (pv.get(b"$def(NOPE)"), pv.get(b"$defn(NOPE)")) == (None, 0)
    pv.services.statistics.counter("core:rcv_requests")(3)
    assert pv.get(b"$stat(core:rcv_requests)") == pv.get(b"$stat(rcv_requests)") == 3
    assert pv.get(b"$stat(nope)") is None


def test_avp_functions(pv: Loaded) -> None:
    assert pv.avp_is_null(b"s:a") == 1
    pv.avp_seti(b"a", 1)
    pv.avp_sets(b"s:a", b"two")
    assert (pv.avp_get(b"a"), pv.get(b"$avp(a)")) == (b"two", b"two")
    pv.avp_rm(b"a")
    assert (pv.avp_getw(b"a"), pv.avp_gete(b"b"), pv.avp_getw(b"b")) == (1, b"", b"<null>")


@pytest.mark.parametrize("kind", ["xavp", "xavi"])
def test_record_functions(pv: Loaded, kind: str) -> None:
    def call(name: str, *arguments: object) -> object:
        return getattr(pv, f"{kind}_{name}")(*arguments)

    name = kind.encode()
    assert call("is_null", b"r") == 1
    assert call("child_sets", b"r", b"f", b"1") == 1
    assert call("child_seti", b"r", b"f", 2) == 1
    assert pv.get(b"$%s(r=>f)" % name) == 2
    assert (call("child_get", b"r", b"f"), call("child_gete", b"r", b"g")) == (2, b"")
    assert call("child_getw", b"r", b"g") == b"<null>"
    assert (call("child_is_null", b"r", b"f"), call("is_null", b"r")) == (-1, -1)
    assert call("getd", b"r") == call("getd_p1", b"r", 0) == {b"f": 2}
    assert (call("get_keys", b"r", 0), call("get_keys", b"r", 1)) == ([b"f"], None)
    call("child_rm", b"r", b"f")
    assert call("child_get", b"r", b"f") is None
    call("sets", b"v", b"old")
    call("seti", b"v", 9)
    assert (call("get", b"v"), call("child_sets", b"v", b"f", b"x")) == (9, -1)
    call("rm", b"v")
    assert (call("gete", b"v"), call("getw", b"w")) == (b"old", b"<null>")
    assert call("rm_all", b"v") == call("is_null", b"v") == 1


def test_case_of_names(pv: Loaded) -> None:
    pv.xavi_sets(b"Aa", b"x")
    assert pv.get(b"$xavi(aA)") == b"x"
    pv.xavp_sets(b"Aa", b"x")
    assert pv.get(b"$xavp(aa)") is None


def test_unique_records(pv: Loaded) -> None:
    pv.xavu_seti(b"n", 1)
    pv.xavu_sets(b"n", b"2")
    pv.xavu_child_sets(b"r", b"f", b"v")
    pv.xavu_child_seti(b"r", b"g", 3)
    assert (pv.xavu_get(b"n"), pv.get(b"$xavu(r=>f)")) == (b"2", b"v")
    assert (pv.xavu_child_getw(b"r", b"g"), pv.xavu_child_gete(b"r", b"h")) == (3, b"")
    pv.xavu_child_rm(b"r", b"f")
    assert (pv.xavu_child_is_null(b"r", b"f"), pv.xavu_child_is_null(b"r", b"g")) == (1, -1)
    pv.xavu_rm(b"n")
    assert (pv.xavu_is_null(b"n"), pv.xavu_is_null(b"r")) == (1, -1)


def test_explode_and_implode(pv: Loaded) -> None:
    assert pv.xavp_params_explode(b'p=1;q="2 3"', b"x") == 1
    assert pv.get(b"$xavp(x=>q)") == b"2 3"
    assert pv.xavp_params_implode(b"x", b"$var(o)") == 1
    assert pv.get(b"$var(o)") == b"p=1;q=2 3;"
    pv.xavp_params_implode_qval(b"x", b"$var(o)")
    assert pv.get(b"$var(o)") == b'p="1";q="2 3";'
    assert pv.xavp_xparams_explode(b"p=1&q=2", b"&", b"y") == 1
    assert pv.get(b"$xavp(y=>q)") == b"2"
    assert (pv.xavp_params_explode(b"", b"z"), pv.xavp_params_implode(b"z", b"$var(o)")) == (-1, -1)
    assert pv.xavu_params_explode(b"a=1;b=2", b"u") == 1
    assert pv.xavu_params_implode(b"u", b"$var(o)") == 1
    assert pv.get(b"$var(o)") == b"a=1;b=2;"
    assert pv.xavp_slist_explode(b"a, b,c", b",", b"t", b"l") == 1
    assert pv.get(b"$xavp(l=>v[1])") == b"b"
    assert pv.get(b"$xavp(l=>v[*])") == b"a, b, c"


def test_records_and_variables(pv: Loaded) -> None:
    pv.var_sets(b"a", b"1")
    assert (pv.pv_var_to_xavp(b"a", b"x"), pv.pv_var_to_xavp(b"none", b"x")) == (1, -1)
    pv.var_seti(b"a", 2)
    assert (pv.pv_xavp_to_var(b"x"), pv.pv_xavp_to_var(b"none")) == (1, -1)
    assert pv.var_get(b"a") == b"1"


def test_copies_are_independent(pv: Loaded) -> None:
    pv.xavp_child_sets(b"x", b"f", b"1")
    assert (pv.xavp_copy(b"x", 0, b"y"), pv.xavp_copy(b"x", 4, b"y")) == (1, -1)
    pv.xavp_child_sets(b"x", b"f", b"2")
    assert pv.get(b"$xavp(y=>f)") == b"1"
    assert (pv.xavp_copy_dst(b"x", 0, b"y", 0), pv.xavp_copy_dst(b"x", 0, b"y", 3)) == (1, -1)
    assert pv.get(b"$xavp(y=>f)") == b"2"
    pv.xavp_sets(b"y", b"top")
    assert (pv.xavp_lshift(b"y", 1), pv.xavp_lshift(b"y", 5)) == (1, -1)
    assert pv.get(b"$xavp(y=>f)") == b"2"


def test_printing(pv: Loaded) -> None:
    pv.xavp_child_sets(b"x", b"f", b"1")
    assert pv.pv_xavp_print() == pv.pv_xavu_print() == pv.pv_xavi_print() == 1
    assert any("$xavp(x[0]) = {f=1}" in line for line in pv.services.lines)


def test_static_branch(pv: Loaded) -> None:
    assert pv.sbranch_append() == pv.sbranch_set_ruri() == -1
    pv.sets(b"$sbranch(uri)", b"sip:s@h")
    pv.sets(b"$sbranch(dst_uri)", b"sip:d")
    assert pv.sbranch_append() == pv.sbranch_set_ruri() == 1
    assert [branch.uri for branch in pv.context.branches] == [b"sip:s@h"]
    assert (pv.context.uri, pv.context.destination) == (b"sip:s@h", b"sip:d")
    assert pv.sbranch_reset() == 1
    assert pv.get(b"$sbranch(uri)") is None


def test_declarations() -> None:
    found = dict(declared(Pv, "kemi"))
    names = {name for declaration in found.values() for name in declaration.names}
    assert len(names) > 90
    for name in found:
        assert signature(getattr(Pv, name)).returns in ("int", "bool", "xval")
        assert getattr(Pv, name).__doc__
    assert set(Pv.without_effect) <= set(PvParams.__dataclass_fields__)
