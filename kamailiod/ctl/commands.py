"""The commands of kamailiod-ctl: which RPC method each calls and how its answer is shown.

Owns names and layouts; what the methods do is the server's.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kamailiod.ctl.client import Client, Fault
from kamailiod.ctl.table import plain, records, table

Lines = Iterable[str]


class WrongUsage(Exception):
    """The command exists not or is used wrongly; the message is its usage."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words and parameters (`ul show [USER]`), how many it takes, what it runs."""

    usage: str
    help: str
    fewest: int
    most: int
    run: Callable[[Client, Sequence[str]], Lines]

    @property
    def words(self) -> list[str]:
        """The words that choose the command."""
        return [word for word in self.usage.split() if word.islower()]


def find_command(words: Sequence[str]) -> tuple[Command, list[str]]:
    """Return the command that words start with, and its parameters; raises WrongUsage."""
    for command in COMMANDS:
        length = len(command.words)
        if list(words[:length]) == command.words:
            parameters = list(words[length:])
            if not command.fewest <= len(parameters) <= command.most:
                raise WrongUsage(command.usage)
            return command, parameters
    near = [command.usage for command in COMMANDS if command.words[0] == words[0]]
    if near:
        raise WrongUsage("\n       kamailiod-ctl ".join(near))
    raise WrongUsage(f"COMMAND ...\nunknown command {words[0]!r}, kamailiod-ctl help lists all")


def _add(client: Client, parameters: Sequence[str]) -> Lines:
    user, password, *domain = parameters
    client.call("auth_db.add", user, _password(password), *domain)
    return [f"added {user}"]


def _remove(client: Client, parameters: Sequence[str]) -> Lines:
    client.call("auth_db.rm", *parameters)
    return [f"removed {parameters[0]}"]


def _change_password(client: Client, parameters: Sequence[str]) -> Lines:
    user, password, *domain = parameters
    name, _, own_domain = user.partition("@")
    wanted = domain[0] if domain else own_domain
    listed: Any = client.call("auth_db.list")
    found = [s for s in listed if s["username"] == name and wanted in ("", s["domain"])]
    if not found:
        raise Fault(404, f"no such subscriber: {user}")
    password = _password(password)
    for subscriber in found:
        client.call("auth_db.add", name, password, subscriber["domain"])
    return [f"changed the password of {user}"]


def _password(given: str) -> str:
    """Return a password; `-` reads it from standard input, where no process list shows it."""
    if given != "-":
        return given
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise WrongUsage("add|passwd USER -\na password is expected on standard input")
    return password


def _subscribers(client: Client, parameters: Sequence[str]) -> Lines:
    found: Any = client.call("auth_db.list")
    wanted = [s for s in found if not parameters or s["domain"] == parameters[0]]
    return records(wanted, {"user": "username", "domain": "domain"})


def _locations(client: Client, parameters: Sequence[str]) -> Lines:
    if parameters:
        found: Any = client.call("ul.lookup", "location", parameters[0])
        return _contacts(_records_of(found))
    dump: Any = client.call("ul.dump")
    return _contacts(
        record
        for domain in dump["Domains"]
        for aor in domain["Domain"]["AoRs"]
        for record in _records_of(aor["Info"])
    )


def _records_of(info: Any) -> Iterator[dict[str, object]]:
    for contact in info["Contacts"]:
        yield {**contact["Contact"], "AoR": info["AoR"]}


def _contacts(found: Iterable[dict[str, object]]) -> Lines:
    return records(
        [contact for contact in found if contact["Expires"] != "expired"],
        {"user": "AoR", "contact": "Address", "expires": "Expires", "user agent": "User-Agent"},
    )


def _forget(client: Client, parameters: Sequence[str]) -> Lines:
    client.call("ul.rm", "location", parameters[0])
    return [f"removed the contacts of {parameters[0]}"]


def _dialogs(client: Client, parameters: Sequence[str]) -> Lines:
    found: Any = client.call("dlg.list")
    shown = [{**dialog, "state": _STATES.get(dialog["state"], "")} for dialog in found]
    return records(
        shown,
        {
            "call": "call-id",
            "from": "from_uri",
            "to": "to_uri",
            "state": "state",
            "seconds": "duration",
        },
    )


_STATES = {1: "unconfirmed", 2: "early", 3: "unacknowledged", 4: "confirmed", 5: "deleted"}


def _statistics(client: Client, parameters: Sequence[str]) -> Lines:
    selected = [f"{name}:" if ":" not in name else name for name in parameters] or ["all"]
    found: Any = client.call("stats.fetchn", *selected)
    if found and not parameters:
        found = {name: value for name, value in found.items() if value}
    return table(["statistic", "value"], list(found.items()))


def _processes(client: Client, parameters: Sequence[str]) -> Lines:
    found: Any = client.call("core.psa")
    shown = [{**process, "status": _STATUSES[bool(process["status"])]} for process in found]
    return records(
        shown, {"rank": "rank", "pid": "pid", "state": "status", "process": "description"}
    )


_STATUSES = {True: "runs", False: "missing"}


def _direct(method: str) -> Callable[[Client, Sequence[str]], Lines]:
    """Return what calls a method with the parameters as they are and shows any answer."""

    def run(client: Client, parameters: Sequence[str]) -> Lines:
        return plain(client.call(method, *parameters))

    return run


def _raw(client: Client, parameters: Sequence[str]) -> Lines:
    method, *arguments = parameters
    return plain(client.call(method, *arguments))


def _create_tables(client: Client, parameters: Sequence[str]) -> Lines:
    # No server is asked: its modules find the tables when they start. Loaded here, as it is slow.
    from kamailiod.script.database import DatabaseError
    from kamailiod.script.table_layouts import create_tables

    url, *names = parameters
    try:
        made = create_tables(url, names)
    except DatabaseError as error:
        raise Fault(500, str(error)) from error
    return [f"{name} is there" for name in made]


def _reload(client: Client, parameters: Sequence[str]) -> Lines:
    client.call("app_lua.reload")
    return ["the Lua script is being reloaded"]


_MANY = 1000

COMMANDS = (
    Command("add USER PASSWORD [DOMAIN]", "Add a subscriber; PASSWORD - reads it", 2, 3, _add),
    Command("rm USER [DOMAIN]", "Remove a subscriber", 1, 2, _remove),
    Command("passwd USER PASSWORD [DOMAIN]", "Change a password", 2, 3, _change_password),
    Command("list [DOMAIN]", "List the subscribers", 0, 1, _subscribers),
    Command("online", "List the registered contacts", 0, 0, _locations),
    Command("ul show [USER]", "List registered contacts, of one user or all", 0, 1, _locations),
    Command("ul rm USER", "Forget the contacts of a user", 1, 1, _forget),
    Command("dlg list", "List the calls", 0, 0, _dialogs),
    Command("stats [GROUP ...]", "Show statistics: all above 0, or groups", 0, _MANY, _statistics),
    Command("ps", "List the processes", 0, 0, _processes),
    Command("uptime", "Show how long the server has run", 0, 0, _direct("core.uptime")),
    Command("reload", "Read the Lua script again", 0, 0, _reload),
    Command(
        "create_tables URL [TABLE ...]",
        "Make Kamailio's tables in a database",
        1,
        _MANY,
        _create_tables,
    ),
    Command("rpc METHOD [PARAMETER ...]", "Call any RPC method", 1, _MANY, _raw),
    Command("help", "Show this list", 0, 0, lambda client, parameters: ()),
)
