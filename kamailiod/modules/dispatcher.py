"""Module dispatcher: sends requests to one of several destinations, and knows which are up.

Owns script functions, variables and commands; the machinery is in dispatching/.
"""

from __future__ import annotations

from typing import ClassVar

from kamailiod.modules.dispatching.balancer import Balancer
from kamailiod.modules.dispatching.destination import Destination, Entry, is_destination
from kamailiod.modules.dispatching.hashing import dispatch_hash
from kamailiod.modules.dispatching.listing import Listing
from kamailiod.modules.dispatching.params import WITHOUT_EFFECT, DispatcherParams
from kamailiod.modules.dispatching.probing import Cause, Happened, Mode
from kamailiod.modules.dispatching.selection import DONE, FAILED, Target
from kamailiod.modules.dispatching.source_matching import ANY_SET, NO_PROTOCOL, Address
from kamailiod.modules.dispatching.states import (
    INACTIVE,
    PING_ACTIVE,
    PROBING,
    SKIPPED,
    parse_state,
)
from kamailiod.modules.tm import Tm
from kamailiod.script.context import Context, Route, Value
from kamailiod.script.database import DatabaseError
from kamailiod.script.module import Module, Params, RpcFault, kemi, pseudo_variable, rpc
from kamailiod.script.services import Services
from kamailiod.script.variables.accessor import Accessor
from lua import Wait

_SELECTING = Route.REQUEST | Route.FAILURE
_MARKING = Route.REQUEST | Route.FAILURE | Route.ONREPLY | Route.REPLY
_UPDATED = "Ok. Dispatcher state updated."


class Dispatcher(Module):
    """Load balancing and failover over sets of destinations."""

    name: ClassVar[str] = "dispatcher"
    Params: ClassVar[type[Params]] = DispatcherParams
    params: DispatcherParams
    without_effect: ClassVar[tuple[str, ...]] = WITHOUT_EFFECT
    event_routes: ClassVar[tuple[str, ...]] = ("dispatcher:dst-up", "dispatcher:dst-down")

    def __init__(self, params: DispatcherParams, services: Services) -> None:
        super().__init__(params, services)
        self._tm = services.module(Tm)
        self.balancer: Balancer
        self._set_id_variable: Accessor | None = None
        self._attributes_variable: Accessor | None = None
        services.on_worker("dispatcher.ping", self._ping)

    def mod_init(self) -> None:
        """Make the shared memory and load the list."""
        params, variables = self.params, self.services.variables
        try:
            self.balancer = Balancer(params, self.services)
        except DatabaseError as error:
            raise ValueError(f"dispatcher: {error}") from error
        if params.setid_pvname:
            self._set_id_variable = variables.compile(params.setid_pvname.encode())
        if params.attrs_pvname:
            self._attributes_variable = variables.compile(params.attrs_pvname.encode())
        self.balancer.begin()

    def child_init(self, rank: int) -> None:
        """Start to ping and to let calls expire in the timer process."""
        if rank != 0:
            self.balancer.start(rank)

    def _ping(self, slot: int, call_id: bytes) -> None:
        self.balancer.ping(slot, call_id, self._tm.send_request)

    @kemi("dispatcher.ds_select_dst", routes=_SELECTING)
    def ds_select_dst(self, context: Context, set: int, alg: int) -> int:
        """Choose a destination of a set by an algorithm as next hop; -1 when none is up."""
        return self.balancer.selection.select(context, set, alg, 0, Target.DESTINATION)

    @kemi("dispatcher.ds_select_dst_limit", native="ds_select_dst", routes=_SELECTING)
    def ds_select_dst_limit(self, context: Context, set: int, alg: int, limit: int) -> int:
        """Choose a next hop, with at most `limit` destinations in the failover list."""
        return self.balancer.selection.select(context, set, alg, limit, Target.DESTINATION)

    @kemi("dispatcher.ds_select_domain", routes=_SELECTING)
    def ds_select_domain(self, context: Context, set: int, alg: int) -> int:
        """Choose a destination and put it into the host and port of the request URI."""
        return self.balancer.selection.select(context, set, alg, 0, Target.REQUEST_URI)

    @kemi("dispatcher.ds_select_domain_limit", native="ds_select_domain", routes=_SELECTING)
    def ds_select_domain_limit(self, context: Context, set: int, alg: int, limit: int) -> int:
        """Choose a destination for the request URI, with a limited failover list."""
        return self.balancer.selection.select(context, set, alg, limit, Target.REQUEST_URI)

    @kemi("dispatcher.ds_select")
    def ds_select(self, context: Context, set: int, alg: int) -> int:
        """Make the failover list only; ds_set_dst or ds_next_dst go by it."""
        return self.balancer.selection.select(context, set, alg, 0, Target.NOTHING)

    @kemi("dispatcher.ds_select_limit", native="ds_select")
    def ds_select_limit(self, context: Context, set: int, alg: int, limit: int) -> int:
        """Make a failover list of at most `limit` destinations only."""
        return self.balancer.selection.select(context, set, alg, limit, Target.NOTHING)

    @kemi("dispatcher.ds_select_routes", routes=_SELECTING)
    def ds_select_routes(self, context: Context, rules: bytes, mode: bytes) -> int:
        """Choose from several sets, "set=alg;set=alg"; mode 0 next hop, 1 request URI, 2 list."""
        return self.balancer.selection.select_routes(context, rules, mode, 0)

    @kemi("dispatcher.ds_select_routes_limit", native="ds_select_routes", routes=_SELECTING)
    def ds_select_routes_limit(
        self, context: Context, rules: bytes, mode: bytes, limit: int
    ) -> int:
        """Choose from several sets, with at most `limit` destinations in the failover list."""
        return self.balancer.selection.select_routes(context, rules, mode, limit)

    @kemi("dispatcher.ds_next_dst", routes=_SELECTING)
    def ds_next_dst(self, context: Context) -> int:
        """Make the next destination of the failover list the next hop; -1 at its end."""
        return self.balancer.selection.next(context, Target.DESTINATION)

    @kemi("dispatcher.ds_next_domain", routes=_SELECTING)
    def ds_next_domain(self, context: Context) -> int:
        """Put the next destination of the failover list into the request URI."""
        return self.balancer.selection.next(context, Target.REQUEST_URI)

    @kemi("dispatcher.ds_set_dst", routes=_SELECTING)
    def ds_set_dst(self, context: Context) -> int:
        """Make the failover list's first destination the next hop."""
        return self.balancer.selection.current(context, Target.DESTINATION) or FAILED

    @kemi("dispatcher.ds_set_domain", routes=_SELECTING)
    def ds_set_domain(self, context: Context) -> int:
        """Put the failover list's first destination into the request URI."""
        return self.balancer.selection.current(context, Target.REQUEST_URI) or FAILED

    @kemi("dispatcher.ds_mark_dst", routes=_MARKING)
    def ds_mark_dst(self, context: Context) -> int:
        """Mark the destination that was used last as down; -1 without one."""
        return self._mark(self.balancer.selection.listed(context), b"")

    @kemi("dispatcher.ds_mark_dst_state", native="ds_mark_dst", routes=_MARKING)
    def ds_mark_dst_state(self, context: Context, state: bytes) -> int:
        """Mark the destination that was used last: a, i, t or d, with p for probing."""
        return self._mark(self.balancer.selection.listed(context), state)

    @kemi("dispatcher.ds_mark_addr")
    def ds_mark_addr(self, context: Context, state: bytes, group: int, uri: bytes) -> int:
        """Mark a destination of a set by its URI."""
        return self._mark(self.balancer.sets().find(group, uri), state)

    def _mark(self, destination: Destination | None, state: bytes) -> int:
        flags = parse_state(state)
        if not state:
            flags = INACTIVE | (PROBING if self.params.ds_probing_mode == Mode.ALL else 0)
        if destination is None or flags < 0:
            return FAILED
        self.balancer.probing.change(destination, flags, Cause())
        return DONE

    @kemi("dispatcher.ds_is_from_lists", native="ds_is_from_list", waits=True)
    def ds_is_from_lists(self, context: Context) -> int | Wait:
        """Whether the request comes from a destination of any set, by address and port."""
        return self._is_from(context, ANY_SET, NO_PROTOCOL, b"")

    @kemi("dispatcher.ds_is_from_list", waits=True)
    def ds_is_from_list(self, context: Context, group: int) -> int | Wait:
        """Whether the request comes from a destination of a set (-1: any)."""
        return self._is_from(context, group, NO_PROTOCOL, b"")

    @kemi("dispatcher.ds_is_from_list_mode", native="ds_is_from_list", waits=True)
    def ds_is_from_list_mode(self, context: Context, group: int, mode: int) -> int | Wait:
        """Whether the request comes from a set; mode 1 any port, 2 any transport, 4 up only."""
        return self._is_from(context, group, mode, b"")

    @kemi("dispatcher.ds_is_from_list_uri", native="ds_is_from_list", waits=True)
    def ds_is_from_list_uri(
        self, context: Context, group: int, mode: int, uri: bytes
    ) -> int | Wait:
        """Whether a URI names a destination of a set; an empty one stands for the source."""
        return self._is_from(context, group, mode, uri)

    def _is_from(self, context: Context, group: int, mode: int, uri: bytes) -> int | Wait:
        source = context.source
        address = Address(frozenset((source.host,)), source.port, source.local.transport)

        def found(destination: Destination | None) -> int:
            if destination is None:
                return FAILED
            if self._set_id_variable is not None and group == ANY_SET:
                self._set_id_variable.set(context, destination.set_id)
            if self._attributes_variable is not None and destination.attributes:
                self._attributes_variable.set(context, destination.attributes)
            return DONE

        return self.balancer.matching.find(group, mode, uri, address, found)

    @kemi("dispatcher.ds_list_exists", native=("ds_list_exists", "ds_list_exist"))
    def ds_list_exists(self, context: Context, group: int) -> int:
        """Whether there is a set of this number: 1 or -1."""
        return DONE if group in self.balancer.sets().by_id else FAILED

    @kemi("dispatcher.ds_is_active")
    def ds_is_active(self, context: Context, group: int) -> int:
        """Whether any destination of a set is up: 1 or -1."""
        found = self.balancer.sets().by_id.get(group)
        return DONE if found is not None and found.is_active(self.balancer.states) else FAILED

    @kemi("dispatcher.ds_is_active_uri", native="ds_is_active")
    def ds_is_active_uri(self, context: Context, group: int, uri: bytes) -> int:
        """Whether a destination of a set is up: 1 or -1."""
        found = self.balancer.sets().find(group, uri)
        if found is None or self.balancer.states.words[found.slot] & SKIPPED:
            return FAILED
        return DONE

    @kemi("dispatcher.ds_load_update", native=())
    def ds_load_update(self, context: Context) -> int:
        """Let BYE and CANCEL end a counted call, and a 2xx of INVITE confirm it; returns 0."""
        load, message = self.balancer.load, context.message
        if load is None:
            return 0
        if message.is_request:
            if message.method in (b"BYE", b"CANCEL") and not load.remove(message.call_id):
                self._no_load(message.call_id)
        elif message.cseq[1] == b"INVITE" and message.status // 100 == 2:
            load.confirm(message.call_id)
        return 0

    @kemi(native="ds_load_update")
    def ds_load_update_native(self, context: Context) -> int:
        """Do what ds_load_update does; returns 1, as 0 would end a native route."""
        return DONE if self.ds_load_update(context) >= 0 else FAILED

    @kemi("dispatcher.ds_load_unset", native=())
    def ds_load_unset(self, context: Context) -> int:
        """End a counted call: 0, -1 when it is not known; an INVITE needs its failover list."""
        load, message = self.balancer.load, context.message
        is_invite = message.is_request and message.method == b"INVITE"
        if is_invite and not self.balancer.selection.counted(context):
            return 0
        if load is None or not load.remove(message.call_id):
            self._no_load(message.call_id)
            return FAILED
        return 0

    @kemi(native="ds_load_unset")
    def ds_load_unset_native(self, context: Context) -> int:
        """Do what ds_load_unset does; returns 1 where that returns 0."""
        return DONE if self.ds_load_unset(context) >= 0 else FAILED

    def _no_load(self, call_id: bytes) -> None:
        self.services.log.error("dispatcher", f"cannot find load for ({call_id!r})")

    @kemi("dispatcher.ds_reload", waits=True)
    def ds_reload(self, context: Context) -> Wait:
        """Read the list of destinations again; -1 when it cannot be read."""

        async def reloaded() -> int:
            return DONE if await self.balancer.reload() else FAILED

        return Wait(reloaded)

    @kemi(native="ds_dsg_fetch")
    def ds_dsg_fetch(self, context: Context, group: int) -> int:
        """Count the destinations of a set for $dsg(...); -1 when there is no such set."""
        found = self.balancer.sets().by_id.get(group)
        if found is None:
            return FAILED
        words = self.balancer.states.words
        flags = [words[one.slot] for one in found.destinations]
        down = [flag for flag in flags if flag & SKIPPED]
        percent = 100 * len(down) // max(1, len(flags))
        context.shared.notes["dispatcher_group"] = {
            b"count": len(flags), b"active": len(flags) - len(down), b"inactive": len(down),
            b"pactive": 100 - percent, b"pinactive": percent,
        }  # fmt: skip
        return DONE

    @pseudo_variable("$dsg")
    def group_counts(self, context: Context, inner: bytes, index: object) -> Value:
        """$dsg(count|active|inactive|pactive|pinactive): what ds_dsg_fetch counted."""
        counts = context.shared.notes.get("dispatcher_group")
        return counts.get(inner) if isinstance(counts, dict) else None

    @pseudo_variable("$dsv")
    def event_cause(self, context: Context, inner: bytes, index: object) -> Value:
        """$dsv(code|reason|flags|uri|setid|group): what an event of the dispatcher is about."""
        happened = context.shared.notes.get("dispatcher")
        return happened.field(inner) if isinstance(happened, Happened) else None

    @rpc("dispatcher.list")
    def rpc_list(self, mode: str = "") -> object:
        """Show all sets with their destinations and states; mode full shows more of them."""
        balancer, latency = self.balancer, bool(self.params.ds_ping_latency_stats)
        return Listing(balancer.sets, balancer.states, balancer.load, latency).show(mode == "full")

    @rpc("dispatcher.reload")
    async def rpc_reload(self) -> object:
        """Read the list of destinations again."""
        self._check_delta()
        if not await self.balancer.reload():
            raise RpcFault(500, "Reload Failed")
        return "Ok. Dispatcher successfully reloaded."

    @rpc("dispatcher.add")
    def rpc_add(
        self, group: int, address: str, flags: int = 0, priority: int = 0, attrs: str = ""
    ) -> object:
        """Add a destination until the next reload."""
        self._check_delta()
        entry = Entry(int(group), address.encode(), int(flags), int(priority), attrs.encode())
        if not is_destination(entry.uri) or not self.balancer.publication.add(entry):
            raise RpcFault(500, "Adding dispatcher dst failed")
        return "Ok. Dispatcher destination added."

    @rpc("dispatcher.remove")
    def rpc_remove(self, group: int, address: str) -> object:
        """Remove a destination until the next reload."""
        self._check_delta()
        if not self.balancer.publication.remove(int(group), address.encode()):
            raise RpcFault(500, "Removing dispatcher dst failed")
        return "Ok. Dispatcher destination removed."

    def _check_delta(self) -> None:
        if not self.balancer.may_reload():
            raise RpcFault(500, "Ongoing reload")

    @rpc("dispatcher.set_state")
    def rpc_set_state(self, state: str, group: int, address: str) -> object:
        """Set the state of a destination, or of `all` of a set: a, i, t or d, p for probing."""
        flags = self._state(state)
        found = self.balancer.sets().by_id.get(int(group))
        chosen = found.destinations if found is not None else ()
        if address != "all":
            one = found.find(address.encode()) if found is not None else None
            if one is None:
                raise RpcFault(500, "State Update Failed")
            chosen = (one,)
        for destination in chosen:
            self.balancer.states.set(destination, flags)
        return _UPDATED

    @rpc("dispatcher.set_duid_state")
    def rpc_set_duid_state(self, state: str, group: int, duid: str) -> object:
        """Set the state of the destination with a unique id."""
        flags = self._state(state)
        found = self.balancer.sets().by_id.get(int(group))
        one = found.by_duid(duid.encode()) if found is not None else None
        if one is None:
            raise RpcFault(500, "State Update Failed")
        self.balancer.states.set(one, flags)
        return _UPDATED

    def _state(self, text: str) -> int:
        flags = parse_state(text.encode())
        if flags < 0 or not text:
            raise RpcFault(500, "Unknown State Value")
        return flags

    @rpc("dispatcher.ping_active")
    def rpc_ping_active(self, state: str = "") -> object:
        """Show whether destinations are pinged, or say so with 0 or 1."""
        words = self.balancer.states.words
        old = int(words[PING_ACTIVE])
        if not state.isdigit():
            return {"OldPingState": old}
        words[PING_ACTIVE] = int(state[:9])
        return {"NewPingState": int(state[:9]), "OldPingState": old}

    @rpc("dispatcher.hash")
    def rpc_hash(self, nslots: int, value1: str, value2: str = "") -> object:
        """Show the hash of one or two texts, and which of so many slots it is."""
        hashed = dispatch_hash(value1.encode(), value2.encode())
        return {"hashid": hashed, "slot": hashed % int(nslots) if int(nslots) > 0 else 0}
