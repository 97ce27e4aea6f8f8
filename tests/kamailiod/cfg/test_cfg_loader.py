"""Whole configs: items, settings, checks, and every fault at its place in one go."""

import csv
import re
from pathlib import Path

import pytest
from lupa import luajit21

from kamailiod.cfg import (
    Address,
    Catalogue,
    ConfigError,
    ModuleEntry,
    NativeFunction,
    Options,
    ParameterKind,
    compile_routes,
    load,
    resolved_text,
)
from kamailiod.cfg.core_params import ALIASES, CORE_PARAMETERS, Kind
from kamailiod.cfg.settings import EFFECTIVE, Settings

ROOT = Path(__file__).parents[3]
STOCK = "/etc/kamailio/kamailio.cfg"
needs_stock = pytest.mark.skipif(not Path(STOCK).exists(), reason="Kamailio is not installed")
FEATURES = [
    "WITH_MYSQL", "WITH_AUTH", "WITH_IPAUTH", "WITH_USRLOCDB", "WITH_PRESENCE", "WITH_NAT",
    "WITH_RTPENGINE", "WITH_PSTN", "WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_MULTIDOMAIN",
    "WITH_TLS", "WITH_JSONRPC", "WITH_ANTIFLOOD", "WITH_BLOCK3XX", "WITH_BLOCK401407",
    "WITH_VOICEMAIL", "WITH_ACCDB", "WITH_DEBUG", "WITH_MSGREBUILD", "WITH_NATSIPPING",
]  # fmt: skip
CATALOGUE = Catalogue({
    "tm": ModuleEntry(
        {"fr_timer": ParameterKind.INTEGER, "event_callback": ParameterKind.STRING},
        {"t_relay": NativeFunction(frozenset((0, 2)), frozenset("QF")),
         "t_drop_replies": NativeFunction(frozenset((0, 1)), frozenset("F"))},
    ),
    "xlog": ModuleEntry({"prefix": ParameterKind.EITHER},
                        {"xlog": NativeFunction(frozenset((1, 2)))}),
})  # fmt: skip


@needs_stock
@pytest.mark.parametrize("defines", [[], *([name] for name in FEATURES), FEATURES])
def test_stock_config(defines):
    config = load(STOCK, Options(defines=["DBURL=\"x\"", *defines]))
    assert len(config.routes) >= 17
    assert len(config.load_modules) >= 20
    lua = luajit21.LuaRuntime(encoding=None)
    chunk = compile_routes(config)
    assert lua.eval("function(text) return assert(loadstring(text)) end")(chunk.text.encode())


def test_guide_config():
    config = load(str(ROOT / "tests/end_to_end/guide/02-kamailio-cfg.cfg"))
    assert [module.name for module in config.load_modules] == ["app_lua"]
    assert [(p.name, p.value) for p in config.module_parameters] == [
        ("load", "/etc/kamailio/scripts/main.lua"), ("log_mode", 1),
    ]  # fmt: skip
    assert list(config.functions_used()) == ["lua_run", "sl_send_reply"]
    assert config.find_routes("reply")[0].position.line == 21
    assert config.warnings == ()


def test_settings(read):
    settings = read("""
children=4; debug=-1 log_stderror=yes fork=no wdir="/x" user=kamailio uid = 5
listen=udp:127.0.0.1:5060 advertise 1.2.3.4:5080 name "x" virtual
listen=tcp:[::1]:5070 tls:eth0:5061-5063 127.0.0.1
listen=(a.example.org, 10.0.0.1)
socket = { bind=udp:10.1.1.1:5066; advertise=h.example:7; name="s"; }
alias=sip.example.com alias="sip:10" domain=a-b.example.org:5060 c.example
advertised_address=pub.example.com tcp_poll_method=epoll_lt
kemi.request_route_callback="mine"
pstn.gw_ip = "1.1.1.1" desc "gateway"
pstn.max = 5
""".replace('alias="sip:10"', 'alias="tls:x.example:5061"')).settings
    assert (settings.children, settings.debug, settings.log_stderror) == (4, -1, True)
    assert (settings.fork, settings.workdir, settings.user) == (False, "/x", "5")
    first = settings.listen[0]
    assert (first.proto, first.host, first.port) == ("udp", "127.0.0.1", 5060)
    assert (first.advertise, first.name, first.virtual) == (Address("", "1.2.3.4", 5080), "x", True)
    assert [(s.proto, s.host, s.port, s.port2) for s in settings.listen[1:]] == [
        ("tcp", "::1", 5070, 0), ("tls", "eth0", 5061, 5063), ("", "127.0.0.1", 0, 0),
        ("", "a.example.org", 0, 0), ("", "10.0.0.1", 0, 0), ("udp", "10.1.1.1", 5066, 0),
    ]  # fmt: skip
    assert settings.listen[-1].name == "s"
    assert settings.alias == (
        Address("", "sip.example.com", 0), Address("tls", "x.example", 5061),
        Address("", "a-b.example.org", 5060), Address("", "c.example", 0),
    )  # fmt: skip
    assert settings.advertised_address == "pub.example.com"
    assert settings.kemi.request_route_callback == "mine"
    assert settings.kemi.reply_route_callback == "ksr_reply_route"
    assert settings.custom["pstn"]["gw_ip"].description == "gateway"
    assert settings.custom["pstn"]["max"].value == 5


def test_parameter_without_effect_is_warned_about_once(read):
    config = read("memlog=5\nmem_join=1\nmemlog=6\ntcp_poll_method=poll")
    assert [(w.line, w.message) for w in config.warnings] == [
        (1, "core parameter memlog has no effect here"),
        (2, "core parameter mem_join has no effect here"),
        (4, "core parameter tcp_poll_method has no effect here"),
    ]
    assert config.settings.others == {"memlog": 6, "mem_join": 1, "tcp_poll_method": "poll"}


def test_resolved_text_is_what_kamailio_prints(tmp_path):
    (tmp_path / "inc.cfg").write_text('log_name="q"\n')
    main = tmp_path / "main.cfg"
    main.write_text("""#!KAMAILIO
#!define X "hello"
#!ifdef X
debug=2   # comment
#!else
debug=3 include_file "inc.cfg"
#!endif
include_file "inc.cfg"
#!ifndef X
#!ifdef Y
a `
#!endif
#!endif
import_file "nothere.cfg"
request_route {
   exit;
}
""")
    assert resolved_text(str(main)) == """#!KAMAILIO
#!define X "hello"
debug=2   # comment
log_name="q"


request_route {
   exit;
}
"""
    (tmp_path / "open.cfg").write_text("#!ifdef X")
    with pytest.raises(ConfigError, match="#!ifdef without #!endif"):
        resolved_text(str(tmp_path / "open.cfg"))


def test_kemi_callbacks_that_are_never_called_are_warned_about(read, faults):
    config = read('kemi.onsend_route_callback="x"\nkemi.reply_route_callback="none"')
    assert [(w.line, w.message) for w in config.warnings] == [
        (1, "core parameter kemi.onsend_route_callback has no effect here"),
    ]
    assert faults("kemi.request_route_callback=5\nkemi.other=\"x\"") == [
        "1:1: unknown core parameter kemi.request_route_callback",
        "2:1: unknown core parameter kemi.other",
    ]


def test_every_setting_is_read_by_something():
    """What nothing reads must not be a field: it would be taken without a warning."""
    sources = [path.read_text() for path in (ROOT / "kamailiod").rglob("*.py")]
    for name in EFFECTIVE - {"others"}:
        assert any(re.search(rf"settings\.{name}\b", text) for text in sources), name


@pytest.mark.parametrize("name", sorted({*CORE_PARAMETERS, *ALIASES}))
def test_every_core_parameter_is_read(read, name):
    kind = CORE_PARAMETERS[ALIASES.get(name, name)].kind
    text = "1" if kind in (Kind.INTEGER, Kind.BOOLEAN) else '"x"'
    settings = read(f"{name}={text}").settings
    canonical = ALIASES.get(name, name)
    value = getattr(settings, canonical) if canonical in EFFECTIVE else settings.others[canonical]
    assert value == {"1": 1, '"x"': "x"}[text]


def test_defaults_agree_with_the_table():
    structured = {"listen", "alias", "kemi", "custom", "others"}
    for name in EFFECTIVE - structured:
        assert getattr(Settings(), name) == CORE_PARAMETERS[name].default, name


def test_all_faults_at_once(faults):
    text = """nosuch=1
children="4"
log_prefix=5
listen=foo:1.1.1.1:5
#!define A 1
#!define A 2
request_route {
    if ($rU == ) exit;
}
route[X] { f(; }
route[X] { $var(a) = 1 - "b"; g(word); }
route[X] { exit; }
failure_route[Y] { setflag(); }
debug=yes loadmodule tm
fork=7
"""
    assert faults(text) == [
        "6:1: already defined: A",
        "8:16: syntax error at ')'",
        "10:14: syntax error at ';'",
        "14:22: syntax error at 'tm'",
        "1:1: unknown core parameter nosuch",
        "2:1: children: number expected",
        "3:1: log_prefix: string value expected",
        "4:8: unknown protocol 'foo' in 'foo:1.1.1.1:5'",
        "12:1: duplicate route block 'X'",
        "11:26: type mismatch: str instead of int",
        "11:33: unknown word word, quotes missing?",
        "13:20: setflag takes 1 arguments, not 0",
    ]


@pytest.mark.parametrize(
    "text",
    ["request_route { if (1) {} exit; }", "request_route { }", "request_route { exit }",
     "request_route { 1 == 1; }", "request_route { $var(x) += 1; }", "request_route { { exit; } }",
     "request_route { uri = 1; }", "debug=1+1", "request_route { $var(x) = $avp(u)[1]; }",
     "request_route { f(L_ERR, 1); }", "g.v = ", "request_route { exit; ", "}"],
)  # fmt: skip
def test_what_kamailio_refuses(faults, text):
    assert len(faults(text)) == 1


@pytest.mark.parametrize(
    "statement",
    ["if $rU==$null exit;", "while 1 break;", "exit();", "drop(1);", "return $var(x)+1;", ";",
     "if (1) exit; else if (0) drop; else exit;", "$(avp(u)[*])=$null;", "break;", "force_rport;",
     "switch($rm) { }", "forward(uri:host, uri:port);", "forward(10.0.0.1, 5060);",
     "if (myself==uri) exit;", "if (src_ip==[::1]) exit;", "if (src_ip==::1) exit;",
     "if (af==INET) exit;", "if (src_ip==localhost) exit;", "if (msg:len > 5) exit;",
     '$var(x) = @ruri.user; if (@hf_value["x"] =~ "a") exit;', 'log(1,"x"); log("y");'],
)  # fmt: skip
def test_what_kamailio_accepts(engine, statement):
    fake = engine(f"request_route {{ $var(x) = 1; {statement} }}")
    fake.keywords = {"msg:len": 9}
    assert fake.request() in (0, 1, 2)


def test_modules_are_checked(faults):
    text = """loadmodule "tm.so"
loadmodule "nomod.so"
modparam("tm", "fr_timer", "5")
modparam("TM", "event_callback", 5)
modparam("tm|xlog", "fr_timer", 5)
modparam("unknown", "x", 5)
modparam("(", "x", 5)
request_route { t_relay(1); t_drop_replies(); xlog("a", "b", "c"); nofunction(); }
failure_route[F] { t_drop_replies(); t_relay(); }
"""
    assert faults(text, CATALOGUE) == [
        "2:1: unknown module nomod",
        "3:1: tm parameter fr_timer takes a number, not a string",
        "4:1: tm parameter event_callback takes a string, not a number",
        "5:1: module xlog has no parameter fr_timer",
        "6:1: modparam for unknown module unknown",
        "7:1: bad module pattern '(': missing ), unterminated subpattern",
        "8:17: t_relay takes 0 or 2 arguments, not 1",
        "8:29: t_drop_replies cannot be used in this request route",
        "8:47: xlog takes 1 or 2 arguments, not 3",
        "8:68: unknown command nofunction, missing loadmodule?",
    ]


def test_modules_used_without_loadmodule(read):
    config = read('modparam("xlog", "prefix", "x")\nrequest_route {\n  t_relay(); xlog("a"); }')
    used = config.modules_used(CATALOGUE)
    assert {name: place.line for name, place in used.items()} == {"xlog": 1, "tm": 3}


def test_unknown_route_is_a_warning(read):
    config = read("request_route { route(NOPE); }")
    assert [w.message for w in config.warnings] == [
        "route(NOPE) has no route[NOPE] and does nothing"
    ]


def test_named_flags(engine):
    fake = engine("flags A:5, B\nrequest_route { setflag(A); setflag(B); }")
    fake.request()
    assert [arguments for _, arguments in fake.calls] == [(5,), (31,)]


@needs_stock
def test_native_functions_of_the_stock_config():
    """The specification's list of native functions accepts the calls of Debian's own config."""
    modules: dict[str, dict[str, NativeFunction]] = {}
    with Path(__file__).with_name("native-cmds.tsv").open() as file:
        for row in csv.reader((line for line in file if line[0] != "#"), delimiter="\t"):
            routes = frozenset("QFBTCSLXE" if row[3] == "any" else row[3])
            counts = frozenset(int(c) for c in row[2].split(",") if c.isdigit())
            modules.setdefault(row[0], {})[row[1]] = NativeFunction(counts, routes)
    catalogue = Catalogue({name: ModuleEntry({}, funcs) for name, funcs in modules.items()})
    config = load(STOCK)
    missing = [
        f"{call.name}/{len(call.arguments)}" for _, call in config.calls()
        if not any(len(call.arguments) in f.counts for _, f in catalogue.functions(call.name))
        and call.name in {name for funcs in modules.values() for name in funcs}
    ]  # fmt: skip
    assert missing == []


DEEP = [
    "$var(x) = " + "(1 + " * 300 + "1" + ")" * 300 + ";",
    "$var(x) = " + "!" * 5000 + "1;",
    "$var(x) = 1" + " + 1" * 5000 + ";",
    "if (1) " * 3000 + "exit;",
    "if (1) f(); else " * 3000 + "exit;",
]


@pytest.mark.parametrize("statement", DEEP)
def test_too_deep_nesting_is_a_fault(faults, statement):
    found = faults(f"request_route {{ {statement} }}")
    assert len(found) == 1
    assert found[0].endswith(("nests too deeply", "nest too deeply"))


def test_deepest_nesting_compiles(engine):
    terms = " + ".join(f"f{n}()" for n in range(79))
    opening = "".join("if (1) { " for _ in range(58))
    fake = engine(f"request_route {{ {opening} $var(r) = {terms}; {'}' * 59}")
    fake.request()
    assert fake.variables["$var(r)"] == 79


def test_static_variables(read, faults, monkeypatch):
    monkeypatch.setenv("CFG_DIR", "/d")
    config = read(
        '#!define URL a://b\nloadmodulex "$env(CFG_DIR)/x.so"\nmodparamx("x", "u", "$def(URL)/c")\n'
        'modparam("x", "v", "$def(URL)")'
    )
    assert config.load_modules[0].path == "/d/x.so"
    assert [p.value for p in config.module_parameters] == ["a://b/c", "$def(URL)"]
    assert faults('modparamx("x", "u", "$ru")') == [
        "1:21: $ has no value when the config is read"
    ]
