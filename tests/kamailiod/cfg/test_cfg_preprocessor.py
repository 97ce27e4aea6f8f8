"""Lexing and preprocessing: tokens, their places, and clear faults for everything else."""

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamailiod.cfg import ConfigError, Options, load
from kamailiod.cfg.defines import Defines
from kamailiod.cfg.faults import Findings
from kamailiod.cfg.parser import Parser
from kamailiod.cfg.preprocessor import Preprocessor
from kamailiod.cfg.source import Source


def preprocess(text, files=None, environment=None, **defines):
    sources = {"main": text, **(files or {})}

    def read(path):
        if path not in sources:
            raise FileNotFoundError(2, "No such file", path)
        return Source(path, sources[path])

    findings = Findings()
    preprocessor = Preprocessor(Defines(defines), findings, (environment or {}).get, read)
    preprocessor.read("main")
    return preprocessor.tokens, findings.faults


def values(text, **options):
    tokens, faults = preprocess(text, **options)
    assert faults == []
    return [token.value for token in tokens]


LEXING = [
    ("a # b\nc // d\ne /* f\n g */ h", ["a", "c", "e", "h"]),
    ("$avp(i:10) $(hdr(Via)[0]) $(ru{s.substr,0,(1)}) $rU==$null",
     ["$avp(i:10)", "$(hdr(Via)[0])", "$(ru{s.substr,0,(1)})", "$rU", "==", "$null"]),
    ("$sht(ipban=>$si)!=$?", ["$sht(ipban=>$si)", "!=", "$?"]),
    ('"a\\x41\\101\\+\\q\\n" \'b\\n\'', ["aAA\\+\\q\nb\\n"]),
    ('"one" /* and */ "two"', ["onetwo"]),
    ("udp:127.0.0.1:5060", ["udp", ":", "127.0.0.1", ":", "5060"]),
    ("udp:[::1]:5060 ::1 fe80::1/64", ["udp", ":", "[::1]", ":", "5060", "::1", "fe80::1/64"]),
    ("udp:abc:5060 10.0.0.0/8", ["udp", ":", "abc", ":", "5060", "10.0.0.0/8"]),
    ("@cfg_get.pstn.ip @hf_value[\"x\"]", ["@cfg_get.pstn.ip", '@hf_value["x"]']),
    ("(int)$x !!f", ["(int)", "$x", "!", "!", "f"]),
    ("event_route[htable:expired:my-t]", ["event_route[htable:expired:my-t]"]),
    ("!!define A 1\nA", ["1"]),
    ("#!define A 1 # one\nA A", ["1", "1"]),
    ("#!define A 1 + \\\n 2\nA", ["1", "+", "2"]),
    ("#!define A B\n#!define B 3\nA \"A\" AB $var(A)", ["3", "A", "AB", "$var(A)"]),
    ("#!define A 1\n#!trydef A 2\n#!redefine B 3\n#!redef B 4\nA B", ["1", "4"]),
    ("#!def A 1\n#!undef A\nA", ["A"]),
    ("#!ifdef A\nx\n#!else\ny\n#!endif\nz", ["y", "z"]),
    ("#!ifndef A\n#!ifdef B\nb\n#!else\nc\n#!endif\n#!else\n#!ifdef C\n#!else\nd\n#!endif\n#!endif",
     ["c"]),
    ("#!ifdef A\nit's \" /* rubbish\n#!endif\nx", ["x"]),
    ("#!ifdef KAMAILIO_5_6\nx\n#!endif\n#!ifdef OS_NAME\nOS_NAME\n#!endif", ["x", "linux"]),
    ('loadmodule "d/tm.so"\n#!ifdef MOD_tm\nx\n#!endif', ["loadmodule", "d/tm.so", "x"]),
    ("#!define A 5\n#!ifexp A > 3 && KAMAILIO_VERSION >= 5006000\nx\n#!endif", ["x"]),
    ('#!define A "v"\n#!ifexp A == "w" || UNDEFINED\nx\n#!else\ny\n#!endif', ["y"]),
    ("#!defexp A (1 + 2) * 3\n#!defexps S \"a\" + \"b\"\nA S", ["9", "ab"]),
    ('#!subst "/HOST/example.com/g"\n"HOST HOST" HOST', ["example.com example.com", "HOST"]),
    ('#!subst "/([0-9]+)/<\\1>/"\n"a12b3"', ["a<12>b3"]),
    ('#!substdef "!IP!10.0.0.1!g"\nudp:IP "sip:IP"', ["udp", ":", "10.0.0.1", "sip:10.0.0.1"]),
    ('#!substdefs "!N!x y!g"\nN', ["x y"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LEXING)
def test_tokens(text, expected):
    assert values(text) == expected


def test_environment():
    text = "#!defenv A=HOME\n#!defenvs B\n#!trydefenv C\nA B C"
    found = values(text, environment={"HOME": "7", "B": "x"})
    assert found == ["7", "x", "C"]


def test_places_survive_includes_and_defines():
    main = '#!define X y\na\n include_file "inc/b.cfg"\n#!import_file "nowhere"\n  X'
    tokens, faults = preprocess(main, files={"inc/b.cfg": "b\nimport_file 'c.cfg'",
                                             "inc/c.cfg": "\n   c"})  # fmt: skip
    assert faults == []
    assert [(t.value, str(t.position)) for t in tokens] == [
        ("a", "main:2:1"), ("b", "inc/b.cfg:1:1"), ("c", "inc/c.cfg:2:4"), ("y", "main:5:3"),
    ]  # fmt: skip


FAULTS = [
    ("#!define A 1\n#!define A 2", "main:2:1: already defined: A"),
    ("#!define A B\n#!define B A\n A", "main:3:2: define A stands for itself"),
    ("x\n#!endif", "main:2:1: #!endif without #!ifdef"),
    ("#!ifdef A\n#!else\n#!else\n#!endif", "main:3:1: second #!else of one #!ifdef"),
    ("\n  #!ifdef A", "main:2:3: #!ifdef without #!endif"),
    ('include_file "no.cfg"', "main:1:1: cannot read no.cfg: No such file"),
    ('a\ninclude_file "main"', "main:2:1: includes nest deeper than 10: main"),
    ('#!subst "/(/x/"', "main:1:1: #!subst: bad regular expression '('"),
    ("#!defenv A=NO", "main:1:1: #!defenv: environment variable NO is not set"),
    ("#!ifexp 1 +\n#!endif", "main:1:1: #!ifexp: expression ends too early"),
    ("#!ifexp 1 / 0\n#!endif", "main:1:1: #!ifexp: "),
    (' "abc', "main:1:2: unterminated string"),
    ("$avp(x", "main:1:1: pseudo-variable without its ')'"),
    ("a ` b", "main:1:3: unexpected character '`'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_faults(text, expected):
    _, faults = preprocess(text)
    assert str(faults[0]).startswith(expected)


def test_command_line_definitions(read):
    config = read(
        'children=N\nlog_name="HOST"\nserver_header=HDR\n#!ifdef MOD_x\ndebug=3\n#!endif',
        defines=["N=3"], substs=["/HOST/h/"], substdefs_quoted=["!HDR!Server: x!g"],
        loadmodules=["/d/x.so"], modparams=["m:p:i:5", "m:q:s:a:b"],
    )  # fmt: skip
    assert (config.settings.children, config.settings.log_name) == (3, "h")
    assert (config.settings.server_header, config.settings.debug) == ("Server: x", 3)
    assert [(p.module, p.name, p.value) for p in config.module_parameters] == [
        ("m", "p", 5), ("m", "q", "a:b"),
    ]  # fmt: skip
    assert config.loaded() == {"x"}


PIECES = st.sampled_from(
    ["#!define A ", "#!ifdef A\n", "#!else\n", "#!endif\n", "#!ifexp (A+1)", "#!subst \"/a/b/\"\n",
     "#!defexp B ", "A", "B", "\n", '"', "'", "/*", "$(", ")", "{", "}", "request_route", "if", "(",
     "==", ";", "\\\n", "include_file \"main\"", "loadmodule", "listen=", "udp:", "1", " ", "\x00",
     "#!substdef \"!A!b!g\"\n", "\\", "1<<99999", "case", "switch", "[", "]", "desc", "=", "."]
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=80)))
def test_noise_gives_only_faults(parser, text):
    tokens, _ = preprocess(text)
    findings = Findings()
    parser.parse(tokens, findings)
    for fault in findings.faults:
        assert fault.line >= 1
        assert fault.message


@pytest.fixture(scope="module")
def parser():
    return Parser()


@pytest.mark.parametrize("path", ["/dev/null/x", "/nowhere.cfg", "/tmp"])
def test_unreadable_file_is_one_fault(path):
    with pytest.raises(ConfigError) as raised:
        load(path, Options())
    assert len(raised.value.faults) == 1
    assert "cannot read" in str(raised.value)


STOCK_DEFINES = ["WITH_NAT", "WITH_AUTH", "WITH_PSTN", "WITH_MYSQL"]


def test_stock_config_as_kamailio_prints_it(tmp_path):
    """Kamailio's own --cfg-print gives the same tokens as the conditionals here."""
    flags = [part for name in STOCK_DEFINES for part in ("-A", name)]
    command = ["/usr/sbin/kamailio", "--cfg-print", "-f", "/etc/kamailio/kamailio.cfg", *flags]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("kamailio is not installed")
    with open("/etc/kamailio/kamailio.cfg") as file:
        ours = values(file.read(), **dict.fromkeys(STOCK_DEFINES, ""))
    theirs = values(printed.stdout, **dict.fromkeys(STOCK_DEFINES, ""))
    assert len(ours) > 1000
    assert ours == theirs
