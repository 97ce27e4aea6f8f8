"""All parts of the dispatcher of one server, put together as its modparams say.

Owns the shared memory, what happens at start and at a reload, and the work of the timer process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kamailiod.modules.dispatching.algorithms import Algorithms
from kamailiod.modules.dispatching.call_load import CallLoad
from kamailiod.modules.dispatching.destination import (
    Destination,
    Entry,
    Sockets,
    attribute_values,
)
from kamailiod.modules.dispatching.list_source import ListSource
from kamailiod.modules.dispatching.params import DispatcherParams
from kamailiod.modules.dispatching.probing import (
    Cause,
    Happened,
    PingSettings,
    Probing,
    SendRequest,
    good_codes,
    new_call_id,
)
from kamailiod.modules.dispatching.publication import SLOTS, Publication
from kamailiod.modules.dispatching.selection import ListNames, Selection
from kamailiod.modules.dispatching.source_matching import SourceMatching
from kamailiod.modules.dispatching.states import (
    PING_ACTIVE,
    RELOADED_AT,
    SLOT_WORDS,
    States,
    Thresholds,
)
from kamailiod.net.ownership import owner_rank
from kamailiod.script.context import Context
from kamailiod.script.services import Services

_MAP_SHARE, _LOAD_SHARE, _LOCK_SHARE = 0.04, 0.03, 0.0005


class Balancer:
    """The sets of destinations and all that is done with them; made before the fork.

    Raises ValueError for modparams that make no sense.
    """

    def __init__(self, params: DispatcherParams, services: Services) -> None:
        self._params = params
        self._services = services
        network = services.network
        self._sockets = sockets = _sockets(params, services)
        self.states = States(
            services.words("dispatcher_states", SLOTS * SLOT_WORDS),
            services.hash_map("dispatcher_lock", 1, _LOCK_SHARE),
            Thresholds(params.ds_probing_threshold, params.ds_inactive_threshold),
            params.ds_latency_estimator_alpha / 1000,
        )
        self.states.words[PING_ACTIVE] = 1
        records = services.hash_map("dispatcher", 16, _MAP_SHARE)
        self.publication = Publication(records, self.states, sockets)
        self.sets = self.publication.sets
        self.load = self._call_load()
        self.selection = self._selection(sockets)
        self.matching = SourceMatching(self.sets, self.states, network.resolve)
        self.probing = Probing(self.sets, self.states, _ping_settings(params), self._event)
        self._source = ListSource(params, services.databases, services.log)

    def _call_load(self) -> CallLoad | None:
        params = self._params
        if params.ds_hash_size <= 0:
            return None
        buckets = 1 << min(max(params.ds_hash_size, 8), 20)
        calls = self._services.hash_map("dispatcher_load", buckets, _LOAD_SHARE)
        return CallLoad(
            calls, self.states, self.sets, params.ds_hash_initexpire, params.ds_hash_expire
        )

    def _selection(self, sockets: Sockets) -> Selection:
        params, variables = self._params, self._services.variables
        user = variables.compile(b"$au")
        text = params.hash_pvar.encode()
        algorithms = Algorithms(
            self.states, bool(params.flags & 1), bool(params.use_default),
            variables.formatter(text) if text else None,
            user.get if user is not None else _nobody,
        )  # fmt: skip
        names = ListNames(
            params.xavp_dst.encode(), params.xavp_dst_mode,
            params.xavp_ctx.encode(), params.xavp_ctx_mode,
        )  # fmt: skip
        return Selection(
            self.sets, algorithms, self.load, names,
            {socket.text: socket for socket in sockets.known}, bool(params.force_dst),
            self._services.log,
        )  # fmt: skip

    def begin(self) -> None:
        """Load the list before the fork; without one the server starts all the same."""
        entries = self._source.read_blocking()
        if entries is not None:
            self.publish(entries)

    def start(self, rank: int) -> None:
        """Begin the work of a process: the timer process pings and lets calls expire."""
        if self.load is not None:
            self.load.recount()
        if rank != -1:
            return
        every, params = self._services.timers.every, self._params
        if params.ds_ping_interval > 0:
            every(float(params.ds_ping_interval), self.ping_all)
        if self.load is not None:
            every(float(max(1, params.ds_hash_check_interval)), self.load.expire)

    def publish(self, entries: Sequence[Entry]) -> bool:
        """Make a list that of all processes; False, and nothing changed, without room."""
        for entry in entries:
            self._check_socket(entry)
        if not self.publication.replace(entries):
            self._services.log.error("dispatcher", "no room for the list of destinations")
            return False
        if self.load is not None:
            self.load.recount()
        return True

    def _check_socket(self, entry: Entry) -> None:
        values = attribute_values(entry.attributes)
        text, name = values.get(b"socket", b""), values.get(b"sockname", b"")
        if (text or name) and Sockets(self._sockets.known).find(text, name) is None:
            where = f"{entry.uri.decode('latin-1')} of set {entry.set_id}"
            self._services.log.error("dispatcher", f"{where}: no local socket {text or name!r}")

    async def reload(self) -> bool:
        """Read the list again; a list that cannot be read changes nothing."""
        entries = await self._source.read()
        return entries is not None and self.publish(entries)

    def may_reload(self) -> bool:
        """Whether the last change of the list is long enough ago; if so, this is one."""
        words, now = self.states.words, int(time.time())
        if words[RELOADED_AT] > now - self._params.reload_delta:
            return False
        words[RELOADED_AT] = now
        return True

    def ping_all(self) -> None:
        """Have the SIP workers ping all destinations whose turn it is."""
        if not self.states.words[PING_ACTIVE]:
            return
        services = self._services
        host = services.network.sockets[0].host
        offset = max(0, getattr(services.settings, "call_id_hash_offset", 0))
        for destination in self.probing.due():
            call_id = new_call_id(host)
            # The answer comes to the worker that owns the Call-ID.
            rank = owner_rank(call_id, services.worker_count, offset)
            services.tell_worker(rank, "dispatcher.ping", destination.slot, call_id)

    def ping(self, slot: int, call_id: bytes, send: SendRequest) -> None:
        """Ping one destination from this worker."""
        self.probing.send(slot, call_id, send)

    def _event(self, event: str, destination: Destination, cause: Cause) -> None:
        context = self._services.faked_context()
        context.set_uri(destination.uri)
        context.shared.notes["dispatcher"] = Happened(destination, cause)
        self._services.script.run_event("dispatcher", event, context)


def _sockets(params: DispatcherParams, services: Services) -> Sockets:
    known = tuple(services.network.sockets)
    text, name = params.ds_default_socket.encode(), params.ds_default_sockname.encode()
    default = Sockets(known).find(text, name) if text or name else None
    if default is None and (text or name):
        services.log.error("dispatcher", f"no local socket {params.ds_default_socket or name!r}")
    return Sockets(known, default)


def _ping_settings(params: DispatcherParams) -> PingSettings:
    return PingSettings(
        params.ds_ping_method.encode(), params.ds_ping_from.encode(),
        params.outbound_proxy.encode(), params.ds_probing_mode,
        bool(params.ds_ping_latency_stats), good_codes(params.ds_ping_reply_codes),
    )  # fmt: skip


def _nobody(context: Context) -> None:
    del context


