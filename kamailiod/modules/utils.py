"""Module utils: whether a presentity lets itself be watched.

Owns the script function and modparams; what rules say is in presence_rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from kamailiod.modules.presence_rules.ruleset import RulesError, Status, status_of
from kamailiod.script.context import Context, Route
from kamailiod.script.database import Database, DatabaseError, identifier
from kamailiod.script.module import Module, Params, kemi
from kamailiod.sip.uri import parse_uri
from lua import Wait

_PRESENCE_RULES = 2
"""The doc_type of presence rules in Kamailio's xcap table."""


@dataclass(frozen=True, slots=True)
class UtilsParams(Params):
    """Kamailio's modparams of utils."""

    pres_db_url: str = ""
    xcap_table: str = "xcap"
    forward_active: int = 0


class Utils(Module):
    """What fits nowhere else in Kamailio."""

    name: ClassVar[str] = "utils"
    Params: ClassVar[type[UtilsParams]] = UtilsParams
    params: UtilsParams
    without_effect: ClassVar[tuple[str, ...]] = ("forward_active",)
    _database: Database | None = None
    _statement: str = ""

    def mod_init(self) -> None:
        """Check the modparams; without pres_db_url xcap_auth_status does not work."""
        params = self.params
        if not params.pres_db_url:
            return
        try:
            table = identifier(params.xcap_table)
            self._database = self.services.databases.database(params.pres_db_url)
        except DatabaseError as error:
            raise ValueError(f"utils: {error}") from None
        self._statement = (
            f"SELECT doc FROM {table} WHERE username = :user AND domain = :domain"
            f" AND doc_type = {_PRESENCE_RULES}"
        )

    @kemi("utils.xcap_auth_status", native="xcap_auth_status", routes=Route.REQUEST, waits=True)
    def xcap_auth_status(self, context: Context, watcher: bytes, presentity: bytes) -> int | Wait:
        """Whether a watcher may subscribe to a presentity: 1 active, 2 pending, 3 terminated.

        -1 without pres_db_url, and for URIs or rules that cannot be read.
        """
        database = self._database
        watching, watched = parse_uri(watcher), parse_uri(presentity)
        if database is None or watching is None or watched is None:
            self.services.log.error(self.name, "pres_db_url and two URIs are needed")
            return -1
        given = {"user": _text(watched.user), "domain": _text(watched.host)}

        async def later() -> int:
            rows = await database.fetch(self._statement, given)
            if not rows or not rows[0][0]:
                return Status.PENDING
            document = rows[0][0]
            text = document.decode() if isinstance(document, bytes) else str(document)
            now = datetime.now().astimezone()
            try:
                return status_of(text, _text(watching.user), _text(watching.host), now)
            except RulesError as error:
                self.services.log.error(self.name, f"the rules of {presentity[:128]!r}: {error}")
                return -1

        return Wait(later)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
