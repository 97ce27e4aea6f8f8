"""Every flag in every order, attached or apart."""

import subprocess
import sys
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamailiod.options import CommandLine, UsageError, parse, read_command_line

FLAGS = [
    (["-f", "x.cfg"], {"config": "x.cfg"}),
    (["-fx.cfg"], {"config": "x.cfg"}),
    (["-c"], {"check": True}),
    (["--cfg-print"], {"print_config": True}),
    (["-D"], {"foreground": True, "do_not_fork": True}),
    (["-DD"], {"foreground": True, "do_not_fork": False}),
    (["-D", "-D"], {"foreground": True, "do_not_fork": False}),
    (["-DDD"], {"foreground": False, "do_not_fork": False}),
    (["-E"], {"log_to_stderr": True}),
    (["-eE"], {"log_to_stderr": True, "log_colours": True}),
    (["-ddd"], {"debug": 3}),
    (["-d", "-d"], {"debug": 2}),
    (["--debug=-1"], {"debug": -1}),
    (["--debug", "3"], {"debug": 3}),
    (["-m", "128"], {"shared_memory": 128}),
    (["-m128"], {"shared_memory": 128}),
    (["-n", "4"], {"children": 4}),
    (["-M", "8"], {"without_effect": ("-M",)}),
    (["-N4"], {"without_effect": ("-N",)}),
    (["-W", "epoll_lt", "-O1", "-rR"], {"without_effect": ("-W", "-O", "-r", "-R")}),
    (["--atexit=no"], {"without_effect": ("--atexit",)}),
    (["stray", "-c"], {"check": True, "without_effect": ("stray",)}),
    (["-P", "k.pid", "-G", "k.pgid"], {"pid_file": "k.pid", "pgid_file": "k.pgid"}),
    (["-u", "sip", "-g", "voice"], {"user": "sip", "group": "voice"}),
    (["-t", "/jail"], {"chroot": "/jail"}),
    (["-w", "/tmp", "-Y", "/run/x"], {"working_directory": "/tmp", "run_directory": "/run/x"}),
    (["-A", "A", "-A", 'B="x y"'], {"defines": ("A", 'B="x y"')}),
    (["--subst=/a/b/", "--substdef", "!A!b!"], {"substs": ("/a/b/",), "substdefs": ("!A!b!",)}),
    (["--substdefs=!A!b!"], {"substdefs_quoted": ("!A!b!",)}),
    (["--loadmodule=tm", "--loadmodule", "sl.so"], {"loadmodules": ("tm", "sl.so")}),
    (["--modparam=tm:fr_timer:i:5"], {"modparams": ("tm:fr_timer:i:5",)}),
    (["-a", "off"], {"auto_aliases": False}),
    (["-T"], {"no_tcp": True}),
    (["--server-id=7"], {"server_id": 7}),
    (["--log-format=json"], {"log_format": "json"}),
    (["--log-engine=json:M"], {"log_format": "json"}),
    (["--http", "127.0.0.1:0"], {"http": ("127.0.0.1", 0)}),
    (["--http=[::1]:80"], {"http": ("::1", 80)}),
    (["--http=none"], {"http": None}),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "expected"), FLAGS, ids=lambda value: " ".join(value))
def test_flag(arguments, expected):
    line = parse(arguments)
    assert {name: getattr(line, name) for name in expected} == expected


def test_defaults():
    assert parse([]) == CommandLine()
    assert parse([]).config == "/etc/kamailio/kamailio.cfg"
    assert parse([]).http == ("127.0.0.1", 9494)


INDEPENDENT = [
    ["-f", "a.cfg"], ["-DD"], ["-E"], ["-n", "3"], ["-m64"], ["-P", "p"], ["-d"], ["-u", "x"],
    ["--http=none"], ["-Y/run"], ["--log-format", "json"], ["-c"], ["-A", "X"],
]  # fmt: skip


@given(st.permutations(INDEPENDENT))
def test_order_does_not_matter(order):
    assert parse([*chain(*order)]) == parse([*chain(*INDEPENDENT)])


@given(st.lists(st.text(max_size=12), max_size=6))
def test_no_argument_makes_it_fail_but_by_usage_error(arguments):
    try:
        line = parse(arguments)
    except UsageError as error:
        assert str(error)
        assert "\n" not in str(error) or any("\n" in argument for argument in arguments)
    else:
        assert isinstance(line, CommandLine)


def test_listen_addresses():
    line = parse(["-l", "udp:(127.0.0.1,[::1]):5080/192.0.2.1:5090/outside", "-ltcp:eth0"])
    first, second, third = line.listen
    assert (first.proto, first.host, first.port) == ("udp", "127.0.0.1", 5080)
    assert (first.advertise.host, first.advertise.port, first.name) == (
        "192.0.2.1",
        5090,
        "outside",
    )
    assert (second.host, second.port) == ("::1", 5080)
    assert (third.proto, third.host, third.port, third.advertise) == ("tcp", "eth0", 0, None)


def test_alias():
    (alias,) = parse(["--alias=udp:example.com:5070"]).aliases
    assert (alias.proto, alias.host, alias.port) == ("udp", "example.com", 5070)


def test_config_options():
    options = parse(["-A", "X=1", "--loadmodule=tm", "--modparam=tm:a:i:1"]).config_options()
    assert options.defines == ("X=1",)
    assert options.loadmodules == ("tm",)
    assert options.modparams == ("tm:a:i:1",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-z"], "Unknown option '-z'. Use -h for help."),
        (["--foo"], "Unknown option '--foo'. Use -h for help."),
        (["-m"], "option -m requires argument. Use -h for help."),
        (["--debug"], "option --debug requires argument. Use -h for help."),
        (["-m", "abc"], "bad shmem size number: -m abc"),
        (["-m", "0"], "bad shmem size number: -m 0"),
        (["-n", "-1"], "bad process number: -n -1"),
        (["-N", "x"], "bad tcp process number: -N x"),
        (["-O", "x"], "bad optimization level: -O x"),
        (["--debug=x"], "bad debug level: --debug=x"),
        (["--http=9494"], "bad address: --http=9494 (address:port or none is expected)"),
        (["--http=a:99999"], "bad address: --http=a:99999 (address:port or none is expected)"),
        (["--log-format=xml"], "bad log format: --log-format=xml (text or json is expected)"),
        (["-a", "maybe"], "bad auto aliases parameter: -a maybe (on or off is expected)"),
    ],
)
def test_wrong_usage(arguments, message):
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("address", ["udp:1.2.3.4:99999", "foo:1.2.3.4:5060", "(a", "udp:[::1"])
def test_wrong_listen(address):
    with pytest.raises(UsageError, match="bad listen parameter"):
        parse(["-l", address])


@pytest.mark.parametrize("flag", ["-v", "-V", "--version", "-h", "--help", "-I"])
def test_texts_are_printed_and_end_it(flag, capsys):
    with pytest.raises(SystemExit) as ended:
        read_command_line(["-c", flag])
    assert ended.value.code == 0
    assert "ersion: kamailiod " in capsys.readouterr().out


def test_wrong_usage_ends_it_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        read_command_line(["-z"])
    assert ended.value.code == 255
    assert capsys.readouterr().err == "Unknown option '-z'. Use -h for help.\n"


def test_help_names_every_flag():
    from kamailiod import options

    text = parse(["-h"]).text
    for letter in options._SHORT.replace(":", ""):
        assert f"-{letter}" in text
    for name in options._LONG:
        assert f"--{name.rstrip('=')}" in text


def test_reading_flags_loads_nothing_heavy():
    loaded = "import sys, kamailiod.options as o; o.parse(['-c', '-f', 'x']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    heavy = {"lark", "lupa", "aiohttp", "sqlalchemy", "prometheus_client", "psutil", "asyncio"}
    assert not heavy & set(modules.stdout.split())
