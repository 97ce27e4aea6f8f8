"""kamailiod-ctl: reads its command line, calls the server, prints the answer.

Owns flags and exit codes: 0 done, 1 the server refused, 2 wrong usage, 3 no server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kamailiod import __version__
from kamailiod.ctl.client import Client, Fault, NoServer
from kamailiod.ctl.commands import COMMANDS, WrongUsage, find_command

DEFAULT_URL = "http://127.0.0.1:9494/rpc"
REFUSED, WRONG_USAGE, NO_SERVER = 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    if not options.words or options.words == ["help"]:
        print(help_text())
        return 0
    try:
        command, parameters = find_command(options.words)
        for line in command.run(Client(options.url, options.timeout), parameters):
            print(line)
    except WrongUsage as error:
        return _fail(f"usage: kamailiod-ctl {error}", WRONG_USAGE)
    except Fault as fault:
        return _fail(f"error {fault.code}: {fault.message}", REFUSED)
    except NoServer as error:
        return _fail(str(error), NO_SERVER)
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def help_text() -> str:
    """Return the list of commands."""
    width = max(len(command.usage) for command in COMMANDS)
    lines = [f"  {command.usage:{width}}  {command.help}" for command in COMMANDS]
    return "\n".join(["usage: kamailiod-ctl [--url URL] COMMAND ...", "", "commands:", *lines])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kamailiod-ctl",
        description="Ask or change a running kamailiod.",
        epilog="kamailiod-ctl help lists the commands.",
    )
    parser.add_argument("--url", default=DEFAULT_URL, help=f"default: {DEFAULT_URL}")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds, default: 10")
    parser.add_argument("--version", action="version", version=f"kamailiod-ctl {__version__}")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    return parser


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
