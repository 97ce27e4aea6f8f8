"""The command `kamailiod`."""

from __future__ import annotations

import sys

from kamailiod.options import read_command_line


def main() -> int:
    """Run the server as the command line says; returns the exit status."""
    command_line = read_command_line(sys.argv[1:])
    from kamailiod.server import run  # after -h and -v, which need nothing of it

    return run(command_line)


if __name__ == "__main__":
    sys.exit(main())
