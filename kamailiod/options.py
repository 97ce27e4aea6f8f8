"""The command line: Kamailio's flags and ours, read into one value.

Owns the flags, their checks and the texts of -h, -v and -I; it reads no file and starts nothing.
"""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kamailiod import __version__

if TYPE_CHECKING:
    from kamailiod.cfg import Address, Listen
    from kamailiod.cfg import Options as ConfigOptions

DEFAULT_CONFIG = "/etc/kamailio/kamailio.cfg"
DEFAULT_HTTP = ("127.0.0.1", 9494)
WRONG_USAGE = 255
_SHORT = "a:A:b:B:cdDeEf:g:G:hIKl:L:m:M:n:N:O:P:Q:rRSt:Tu:vVw:W:x:X:Y:"
_LONG = (
    "alias=", "all-errors", "atexit=", "cfg-print", "debug=", "domain=", "help", "http=", "iuid=",
    "loadmodule=", "log-engine=", "log-format=", "modparam=", "server-id=", "subst=", "substdef=",
    "substdefs=", "version",
)  # fmt: skip
_WITHOUT_EFFECT = (
    "-b", "-B", "-K", "-L", "-M", "-N", "-O", "-Q", "-r", "-R", "-S", "-W", "-x", "-X",
    "--all-errors", "--atexit", "--domain", "--iuid",
)  # fmt: skip
_NUMBERS = {
    "-b": "max receive buffer", "-B": "max send buffer", "-M": "private mem size",
    "-N": "tcp process number", "-O": "optimization level", "-Q": "sctp process number",
}  # fmt: skip


class UsageError(Exception):
    """The command line is wrong; the message is the line to show."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the command line says; None is "not given", which leaves it to the config file.

    `shared_memory` is in MiB.  `foreground` is -D or -DD, `do_not_fork` -D.  `http` is None for
    `--http none`.  `text` is what -h, -v or -I print instead of a start, without_effect the flags
    and stray words that were given and change nothing.
    """

    config: str = DEFAULT_CONFIG
    check: bool = False
    print_config: bool = False
    foreground: bool = False
    do_not_fork: bool = False
    log_to_stderr: bool = False
    log_colours: bool = False
    log_format: str = "text"
    debug: int | None = None
    shared_memory: int | None = None
    children: int | None = None
    listen: tuple[Listen, ...] = ()
    aliases: tuple[Address, ...] = ()
    auto_aliases: bool | None = None
    no_tcp: bool = False
    server_id: int | None = None
    user: str | None = None
    group: str | None = None
    chroot: str | None = None
    working_directory: str | None = None
    run_directory: str | None = None
    pid_file: str | None = None
    pgid_file: str | None = None
    defines: tuple[str, ...] = ()
    substs: tuple[str, ...] = ()
    substdefs: tuple[str, ...] = ()
    substdefs_quoted: tuple[str, ...] = ()
    loadmodules: tuple[str, ...] = ()
    modparams: tuple[str, ...] = ()
    http: tuple[str, int] | None = DEFAULT_HTTP
    text: str | None = None
    without_effect: tuple[str, ...] = ()

    def config_options(self) -> ConfigOptions:
        """Return what the loader of the config file takes from here."""
        from kamailiod.cfg import Options

        names = [field.name for field in fields(Options)]
        return Options(**{name: getattr(self, name) for name in names})


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read the arguments that follow the program's name; raises UsageError."""
    try:
        given, stray = getopt.gnu_getopt(list(arguments), _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UsageError(_unknown(error)) from None
    found: dict[str, Any] = {"without_effect": tuple(stray)}
    detachment = 0
    for flag, value in given:
        detachment += flag == "-D"
        _take(found, flag, value)
    return CommandLine(
        foreground=detachment in (1, 2), do_not_fork=detachment == 1, **found
    )  # fmt: skip


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Read the arguments; exits with 255 after printing the fault, with 0 after -h, -v or -I."""
    try:
        command_line = parse(arguments)
    except UsageError as error:
        print(error, file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from None
    if command_line.text is not None:
        print(command_line.text)
        raise SystemExit(0)
    return command_line


def version_text() -> str:
    """Return what -v prints: version, platform, and which kernel runs the hot path."""
    return f"version: kamailiod {__version__} ({build()})\nkernel: {kernel()}"


def build() -> str:
    """Return processor and system as Kamailio names them: `x86_64/linux`."""
    return f"{os.uname().machine}/{sys.platform}"


def kernel() -> str:
    """Return which implementation of the hot path is in use; setup.py compiles all or none."""
    found = find_spec("kamailiod.sip.message")
    compiled = found is not None and (found.origin or "").endswith(tuple(EXTENSION_SUFFIXES))
    return "compiled (mypyc)" if compiled else "pure python"


def _unknown(error: getopt.GetoptError) -> str:
    flag = f"{'-' if len(error.opt) == 1 else '--'}{error.opt}"
    if "not recognized" in error.msg:
        return f"Unknown option '{flag}'. Use -h for help."
    return f"{error.msg}. Use -h for help."


def _take(found: dict[str, Any], flag: str, value: str) -> None:
    if flag in _WITHOUT_EFFECT:
        if flag in _NUMBERS:
            _number(_NUMBERS[flag], flag, value)
        found["without_effect"] += (flag,)
    elif flag in _SWITCHES:
        found[_SWITCHES[flag]] = True
    elif flag in _WORDS:
        found[_WORDS[flag]] = value
    elif flag in _LISTS:
        name = _LISTS[flag]
        found[name] = (*found.get(name, ()), value)
    elif flag in _TEXTS:
        found.setdefault("text", _TEXTS[flag]())
    elif flag in _READERS:
        _READERS[flag](found, flag, value)


def _number(meaning: str, flag: str, value: str, least: int = 0) -> int:
    try:
        number = int(value, 0)
    except ValueError:
        number = least - 1
    if number < least:
        separator = "=" if flag.startswith("--") else " "
        raise UsageError(f"bad {meaning}: {flag}{separator}{value}")
    return number


def _debug(found: dict[str, Any], flag: str, value: str) -> None:
    if flag == "-d":
        found["debug"] = found.get("debug", 0) + 1
    else:
        found["debug"] = _number("debug level", flag, value, least=-5)


def _shared_memory(found: dict[str, Any], flag: str, value: str) -> None:
    found["shared_memory"] = _number("shmem size number", flag, value, least=1)


def _children(found: dict[str, Any], flag: str, value: str) -> None:
    found["children"] = _number("process number", flag, value, least=1)


def _server_id(found: dict[str, Any], flag: str, value: str) -> None:
    found["server_id"] = _number("server id", flag, value)


def _auto_aliases(found: dict[str, Any], flag: str, value: str) -> None:
    if value.lower() not in ("yes", "on", "no", "off", "1", "0"):
        raise UsageError(f"bad auto aliases parameter: {flag} {value} (on or off is expected)")
    found["auto_aliases"] = value.lower() in ("yes", "on", "1")


def _listen(found: dict[str, Any], flag: str, value: str) -> None:
    from kamailiod.cfg.listen import build_listen
    from kamailiod.cfg.source import Position
    from kamailiod.cfg.tree import ListenParameter

    address, _, rest = value.partition("/")
    advertise, _, name = rest.partition("/")
    position = Position("<command line>", 1, 1)
    try:
        sockets = [
            build_listen(ListenParameter(one, advertise, name, False, position))
            for one in _addresses(address)
        ]
    except ValueError as error:
        raise UsageError(f"bad listen parameter: {flag} {value} ({error})") from None
    found["listen"] = (*found.get("listen", ()), *sockets)


def _addresses(text: str) -> list[str]:
    """Return the single addresses of `[proto:](a, b)[:port]`, or the text itself."""
    before, opened, rest = text.partition("(")
    if not opened:
        return [text]
    inner, closed, after = rest.partition(")")
    if not closed:
        raise ValueError("a closing parenthesis is missing")
    return [f"{before}{one.strip()}{after}" for one in inner.split(",")]


def _alias(found: dict[str, Any], flag: str, value: str) -> None:
    from kamailiod.cfg.listen import parse_address

    try:
        address = parse_address(value)
    except ValueError as error:
        raise UsageError(f"bad alias: {flag}={value} ({error})") from None
    found["aliases"] = (*found.get("aliases", ()), address)


def _http(found: dict[str, Any], flag: str, value: str) -> None:
    if value == "none":
        found["http"] = None
        return
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"bad address: {flag}={value} (address:port or none is expected)")
    found["http"] = (host.strip("[]"), int(port))


def _log_format(found: dict[str, Any], flag: str, value: str) -> None:
    if value not in ("text", "json"):
        raise UsageError(f"bad log format: {flag}={value} (text or json is expected)")
    found["log_format"] = value


def _log_engine(found: dict[str, Any], flag: str, value: str) -> None:
    if value.partition(":")[0] != "json":
        raise UsageError(f"unknown log engine: {flag}={value} (json is the only one)")
    found["log_format"] = "json"


def _internals() -> str:
    import platform

    return "\n".join(
        [
            "Print out of kamailiod internals",
            f"  Version: kamailiod {__version__} ({build()})",
            f"  Default config: {DEFAULT_CONFIG}",
            f"  Kernel: {kernel()}",
            f"  Python: {platform.python_version()}",
            "  Default shared memory: 64MB",
            "  Poll method: epoll (uvloop)",
        ]
    )


def _help() -> str:
    from kamailiod.usage import USAGE

    return version_text().partition("\n")[0] + "\n" + USAGE


_SWITCHES = {
    "-c": "check", "--cfg-print": "print_config", "-E": "log_to_stderr", "-e": "log_colours",
    "-T": "no_tcp",
}  # fmt: skip
_WORDS = {
    "-f": "config", "-u": "user", "-g": "group", "-t": "chroot", "-w": "working_directory",
    "-Y": "run_directory", "-P": "pid_file", "-G": "pgid_file",
}  # fmt: skip
_LISTS = {
    "-A": "defines", "--subst": "substs", "--substdef": "substdefs",
    "--substdefs": "substdefs_quoted", "--loadmodule": "loadmodules", "--modparam": "modparams",
}  # fmt: skip
_TEXTS: dict[str, Callable[[], str]] = {
    "-h": _help, "--help": _help, "-v": version_text, "-V": version_text,
    "--version": version_text, "-I": _internals,
}  # fmt: skip
_READERS: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "-d": _debug, "--debug": _debug, "-m": _shared_memory, "-n": _children, "-l": _listen,
    "-a": _auto_aliases, "--alias": _alias, "--server-id": _server_id, "--http": _http,
    "--log-format": _log_format, "--log-engine": _log_engine,
}  # fmt: skip
