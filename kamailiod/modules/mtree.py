"""Module mtree: what numbers have by their longest prefix, from tables of a database.

Owns the modparams, where results go and the commands; the trees are every process's own copies of
what was published last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kamailiod.modules.prefix_trees.definition import (
    DESTINATIONS,
    TreeDefinition,
    TreeError,
    parse_definition,
)
from kamailiod.modules.prefix_trees.destinations import destinations
from kamailiod.modules.prefix_trees.forest import Forest, TreeColumns
from kamailiod.modules.prefix_trees.growing import Soil
from kamailiod.modules.prefix_trees.prefix_tree import PrefixTree
from kamailiod.script.context import Context, Route
from kamailiod.script.module import Module, Params, RpcFault, kemi, rpc
from kamailiod.script.variables.accessor import Accessor
from kamailiod.script.variables.avp import key
from kamailiod.script.variables.specification import parse

ALL_MATCHES = 2
"""The mode of mt_match that gives the values of all prefixes."""

_ROUTES = Route.REQUEST | Route.FAILURE | Route.BRANCH | Route.ONREPLY | Route.REPLY
_BUCKETS = 64
_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class MtreeParams(Params):
    """Kamailio's modparams of mtree."""

    mtree: list[str] = field(default_factory=list)
    db_url: str = "mysql://kamailio:kamailiorw@localhost/kamailio"
    db_table: str = ""
    tname_column: str = "tname"
    tprefix_column: str = "tprefix"
    tvalue_column: str = "tvalue"
    char_list: str = "0123456789"
    fetch_rows: int = 1000
    pv_value: str = "$avp(s:tvalue)"
    pv_values: str = "$avp(s:tvalues)"
    pv_dstid: str = "$avp(s:tdstid)"
    pv_weight: str = "$avp(s:tweight)"
    pv_count: str = "$avp(s:tcount)"
    mt_tree_type: int = 0
    mt_ignore_duplicates: int = 0
    mt_allow_duplicates: int = 0


class Mtree(Module):
    """Prefix trees, and what is found in them."""

    name: ClassVar[str] = "mtree"
    Params: ClassVar[type[MtreeParams]] = MtreeParams
    params: MtreeParams
    without_effect: ClassVar[tuple[str, ...]] = ("fetch_rows",)
    _forest: Forest
    _values: bytes

    def mod_init(self) -> None:
        """Read the trees; those that cannot be read stay empty until mtree.reload."""
        params, log = self.params, self.services.log
        soil = Soil(
            params.char_list.encode(), bool(params.mt_ignore_duplicates),
            bool(params.mt_allow_duplicates), lambda text: log.error("mtree", text),
        )  # fmt: skip
        columns = TreeColumns(params.tname_column, params.tprefix_column, params.tvalue_column)
        self._values = self._avp(params.pv_values, MtreeParams().pv_values)
        self._forest = Forest(
            self.services.databases.database(params.db_url),
            self.services.hash_map("mtree", _BUCKETS, _SHARE),
            soil, columns, self._definitions(),
            TreeDefinition("", params.db_table, params.mt_tree_type) if params.db_table else None,
        )  # fmt: skip
        self._forest.load_blocking()

    def _definitions(self) -> list[TreeDefinition]:
        found: dict[str, TreeDefinition] = {}
        for text in self.params.mtree:
            try:
                definition = parse_definition(text)
                if definition.name in found:
                    raise TreeError(f"a second tree of the name {definition.name}")
                found[definition.name] = definition
            except TreeError as error:
                self.services.log.error("mtree", str(error))
        if not found and not self.params.db_table:
            self.services.log.error("mtree", "there is no tree: neither mtree nor db_table is set")
        return list(found.values())

    def _avp(self, text: str, default: str) -> bytes:
        parsed = parse(text.encode())
        if parsed is None or parsed.name != b"avp":
            self.services.log.error("mtree", f"not an AVP: {text}; {default} is used")
            parsed = parse(default.encode())
        assert parsed is not None
        return key(parsed.inner)

    def _variable(self, text: str) -> Accessor:
        return self.services.variables.accessors[text.encode()]

    @kemi("mtree.mt_match", routes=_ROUTES)
    def mt_match(self, context: Context, tree: bytes, number: bytes, mode: int) -> int:
        """Store what the longest prefix of a number has in pv_value: 1, or -1 without a match.

        Mode 2 stores what all its prefixes have in pv_values, the longest first.  A tree of type 1
        stores its destinations in pv_dstid and pv_weight, how many in pv_count.
        """
        found = self._forest.get(tree)
        if found is None:
            return -1
        if found.facts.kind == DESTINATIONS:
            return self._store_destinations(context, found, number)
        if mode == ALL_MATCHES:
            return self._store_all(context, found, number)
        match = found.longest(number)
        if match is None:
            return -1
        return 1 if self._variable(self.params.pv_value).set(context, match[1][0]) else -1

    def _store_all(self, context: Context, tree: PrefixTree, number: bytes) -> int:
        matches, complete = tree.matches(number)
        values = [value for _, several in matches for value in several]
        avps = context.shared.avps
        avps.pop(self._values, None)
        if values:
            avps[self._values] = values[::-1]
        return 1 if values and complete else -1

    def _store_destinations(self, context: Context, tree: PrefixTree, number: bytes) -> int:
        matches, complete = tree.matches(number)
        found = destinations(matches) if complete else []
        if not found:
            return -1
        params = self.params
        identifiers, weights = self._variable(params.pv_dstid), self._variable(params.pv_weight)
        for identifier, weight in found:
            weights.set(context, weight)
            identifiers.set(context, identifier)
        self._variable(params.pv_count).set(context, len(found))
        return 1

    @rpc("mtree.summary")
    def rpc_summary(self, tree: str = "") -> object:
        """Show the figures of the trees whose names begin with a text."""
        found = self._chosen(tree)
        if not found:
            raise RpcFault(404, "Tree not found")
        return [
            {
                "table": tree.facts.name,
                "item": {
                    "ttype": tree.facts.kind,
                    "memsize": tree.facts.memory,
                    "nrnodes": tree.facts.nodes,
                    "nritems": tree.facts.items,
                    "reload_count": tree.facts.reloads,
                    "reload_time": tree.facts.reloaded_at,
                },
            }
            for tree in found
        ]

    @rpc("mtree.list")
    def rpc_list(self, tree: str = "") -> object:
        """List the prefixes of the trees whose names begin with a text, with their values."""
        return [
            {"tname": tree.facts.name, "tprefix": prefix, "tvalue": list(values)}
            for tree in self._chosen(tree)
            for prefix, values in tree.items()
        ]

    @rpc("mtree.reload")
    async def rpc_reload(self, tree: str = "") -> object:
        """Read the trees again whose names begin with a text; all of them from db_table."""
        try:
            done = await self._forest.load(b"" if tree[:1] == "." else tree.encode())
        except TreeError as error:
            self.services.log.error("mtree", f"cannot read the trees again: {error}")
            if self._forest.is_common:
                raise RpcFault(500, "Can not reload Mtrees from database.") from None
            raise RpcFault(500, "Mtree Reload Failed") from None
        if self._forest.is_common:
            return "Ok. Mtrees reloaded."
        if not self._forest.definitions:
            raise RpcFault(500, "No Mtrees defined.")
        if not done:
            raise RpcFault(500, "Can not find specified Mtree")
        return "Ok. Mtree reloaded."

    @rpc("mtree.match")
    def rpc_match(self, tree: str = "", prefix: str = "", mode: int = -1) -> object:
        """Show the longest prefix of a number, and what it has."""
        if not tree or not prefix or mode == -1:
            raise RpcFault(500, "Invalid Parameters")
        if mode not in (0, ALL_MATCHES):
            raise RpcFault(500, "Invalid parameter 'mode'")
        found = self._forest.get(tree.encode())
        if found is None:
            raise RpcFault(404, "Tree not found")
        if found.facts.kind == DESTINATIONS:
            return self._show_destinations(found, prefix.encode())
        match = found.longest(prefix.encode())
        if match is None:
            raise RpcFault(404, "Prefix not found")
        # With mode 2 Kamailio's answer in JSON is left with the last it says.
        value = match[1][-1 if mode == ALL_MATCHES else 0]
        return {"PREFIX": match[0], "TVALUE": value}

    def _show_destinations(self, tree: PrefixTree, number: bytes) -> object:
        matches, complete = tree.matches(number)
        found = destinations(matches) if complete else []
        if not found:
            raise RpcFault(404, "Prefix not found")
        longest = matches[-1][0]
        return [
            {"PREFIX": longest, "WEIGHT": weight, "DSTID": identifier}
            for identifier, weight in found
        ]

    def _chosen(self, prefix: str) -> list[PrefixTree]:
        trees = self._forest.all()
        if not trees:
            raise RpcFault(500, "Empty tree list")
        wanted = b"" if prefix == "." else prefix.encode()
        return [tree for tree in trees if tree.facts.name.startswith(wanted)]
