"""Module cfgutils: chance, pauses, flags and locks of all processes, and other tools of scripts.

Owns the script functions, commands and modparams; numbers and locks lie in shared memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kamailiod.modules.config_tools.lock_set import PATIENCE, LockSet
from kamailiod.modules.config_tools.memory_report import (
    private_status,
    private_summary,
    shared_status,
    shared_summary,
)
from kamailiod.script.context import Context
from kamailiod.script.log import CRITICAL
from kamailiod.script.module import Module, Params, RpcFault, kemi, pseudo_variable, rpc
from kamailiod.script.transformations.hashing import core_hash
from lua import Wait
from shm.stores.htable import HashTableStore, Value

_BUCKETS = 1024
_SHARE = 0.01
_MOST_LOCKS = 14
_PROBABILITY, _FLAGS = b"probability", b"flags"
_ALL_FLAGS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class CfgutilsParams(Params):
    """Kamailio's modparams of cfgutils."""

    initial_probability: int = 10
    initial_gflags: int = 0
    hash_file: str = ""
    lock_set_size: int = 0


class Cfgutils(Module):
    """Tools of scripts."""

    name: ClassVar[str] = "cfgutils"
    Params: ClassVar[type[CfgutilsParams]] = CfgutilsParams
    params: CfgutilsParams
    _numbers: HashTableStore
    _locks: LockSet | None = None
    _hash: str = ""

    def mod_init(self) -> None:
        """Create the shared numbers and locks; hash hash_file."""
        params, log = self.params, self.services.log
        records = self.services.hash_map("cfgutils", _BUCKETS, _SHARE)
        self._numbers = HashTableStore(records, b"number")
        self._numbers.set(_PROBABILITY, params.initial_probability)
        self._numbers.set(_FLAGS, params.initial_gflags & _ALL_FLAGS)
        if params.lock_set_size > _MOST_LOCKS:
            log.warning("cfgutils", f"lock_set_size is too large: {_MOST_LOCKS} is used")
        if params.lock_set_size > 0:
            self._locks = LockSet(records, 1 << min(params.lock_set_size, _MOST_LOCKS))
            self._locks.enter()
        if params.hash_file:
            self._hash = _file_hash(params.hash_file)
            if not self._hash:
                log.error("cfgutils", f"cannot read hash_file {params.hash_file}")

    def child_init(self, rank: int) -> None:
        """Take locks in the name of this process from now on."""
        if self._locks is not None:
            self._locks.enter()

    @kemi("cfgutils.rand_set_prob")
    def rand_set_prob(self, context: Context, percent: int) -> int:
        """Set the chance of rand_event in percent, for all processes."""
        self._numbers.set(_PROBABILITY, percent)
        return 1

    @kemi("cfgutils.rand_reset_prob")
    def rand_reset_prob(self, context: Context) -> int:
        """Set the chance of rand_event to initial_probability."""
        self._numbers.set(_PROBABILITY, self.params.initial_probability)
        return 1

    @kemi("cfgutils.rand_get_prob")
    def rand_get_prob(self, context: Context) -> int:
        """Return the chance of rand_event in percent."""
        return self._number(_PROBABILITY)

    @kemi("cfgutils.rand_event")
    def rand_event(self, context: Context) -> int:
        """Return 1 by chance, else -1."""
        return 1 if random.random() * 100 < self._number(_PROBABILITY) else -1

    @kemi("cfgutils.sleep", waits=True)
    def sleep(self, context: Context, seconds: int) -> int | Wait:
        """Go on after some seconds; other requests are served meanwhile."""
        return _pause(seconds)

    @kemi("cfgutils.usleep", waits=True)
    def usleep(self, context: Context, microseconds: int) -> int | Wait:
        """Go on after some microseconds; other requests are served meanwhile."""
        return _pause(microseconds / 1_000_000)

    @kemi("cfgutils.abort")
    def abort(self, context: Context) -> int:
        """End this process by SIGABRT, with a core where the system allows one."""
        self.services.log.line(CRITICAL, "cfgutils", "abort called")
        os.abort()

    @kemi("cfgutils.pkg_status")
    def pkg_status(self, context: Context) -> int:
        """Log this process's use of memory."""
        return self._report(private_status())

    @kemi("cfgutils.pkg_summary")
    def pkg_summary(self, context: Context) -> int:
        """Log this process's use of memory in one line."""
        return self._report([private_summary()])

    @kemi("cfgutils.shm_status")
    def shm_status(self, context: Context) -> int:
        """Log the use of shared memory by each store."""
        return self._report(shared_status(self.services.maps))

    @kemi("cfgutils.shm_summary")
    def shm_summary(self, context: Context) -> int:
        """Log the use of shared memory in one line."""
        return self._report([shared_summary(self.services.maps)])

    @kemi(native="set_gflag")
    def set_gflag(self, context: Context, flag: int) -> int:
        """Set one of the 32 flags that all processes share; -1 when there is none of the number."""
        if not 0 <= flag < 32:
            return -1
        return 1 if self._change_flags(0, 1 << flag) else -1

    @kemi(native="reset_gflag")
    def reset_gflag(self, context: Context, flag: int) -> int:
        """Reset a flag that all processes share; -1 when there is none of the number."""
        if not 0 <= flag < 32:
            return -1
        return 1 if self._change_flags(1 << flag, 0) else -1

    @kemi(native="is_gflag")
    def is_gflag(self, context: Context, flag: int) -> int:
        """Whether a flag that all processes share is set: 1 or -1."""
        return 1 if 0 <= flag < 32 and self._number(_FLAGS) >> flag & 1 else -1

    @kemi("cfgutils.lock", "cfgutils.lock_key2", waits=True)
    def lock(self, context: Context, key: bytes, further: bytes = b"") -> int | Wait:
        """Take the lock of a key, waiting while another request has it; other requests go on.

        -1 without lock_set_size, or when it is not free within 32 seconds.
        """
        locks = self._lock_set()
        if locks is None:
            return -1
        position = locks.position(key, further)
        if locks.take(position):
            return 1

        async def later() -> int:
            if await locks.wait(position):
                return 1
            self.services.log.error("cfgutils", f"{key[:64]!r} is locked for {PATIENCE:.0f} s")
            return -1

        return Wait(later)

    @kemi("cfgutils.trylock", "cfgutils.trylock_key2")
    def trylock(self, context: Context, key: bytes, further: bytes = b"") -> int:
        """Take the lock of a key: 1, or -1 when another request has it."""
        locks = self._lock_set()
        return 1 if locks is not None and locks.take(locks.position(key, further)) else -1

    @kemi("cfgutils.unlock", "cfgutils.unlock_key2")
    def unlock(self, context: Context, key: bytes, further: bytes = b"") -> int:
        """Free the lock of a key."""
        locks = self._lock_set()
        if locks is None:
            return -1
        locks.free(locks.position(key, further))
        return 1

    @kemi("cfgutils.core_hash")
    def core_hash(self, context: Context, text: bytes, further: bytes, size: int) -> int:
        """Return Kamailio's hash of two texts: 1 to 2^size, 1 or 2 with a size of 0."""
        slots = 1 << (size & 31) if size > 0 else 2
        return core_hash(text, slots, further) + 1

    @kemi("cfgutils.check_route_exists")
    def check_route_exists(self, context: Context, name: bytes) -> int:
        """Whether the config has a native route of a name: 1 or -1."""
        return -1 if self.services.script.named_route(name) is None else 1

    @kemi("cfgutils.route_if_exists", waits=True)
    def route_if_exists(self, context: Context, name: bytes) -> object:
        """Run a native route and return its code; -1 when the config has none of the name."""
        found = self.services.script.named_route(name)
        return -1 if found is None else found

    @pseudo_variable("RANDOM")
    def random_number(self, context: Context, inner: bytes, index: object) -> int:
        """$RANDOM: a number from 0 to 2^31 - 1 by chance."""
        return random.getrandbits(31)

    @rpc("cfgutils.rand_set_prob")
    def rpc_set_probability(self, percent: str = "") -> object:
        """Set the chance of rand_event in percent."""
        value = _given(percent)
        if value > 100:
            raise RpcFault(500, "Invalid Percent")
        self._numbers.set(_PROBABILITY, value)
        return None

    @rpc("cfgutils.rand_reset_prob")
    def rpc_reset_probability(self) -> object:
        """Set the chance of rand_event to initial_probability."""
        self._numbers.set(_PROBABILITY, self.params.initial_probability)
        return None

    @rpc("cfgutils.rand_get_prob")
    def rpc_get_probability(self) -> object:
        """Show the chance of rand_event."""
        return f"actual probability: {self._number(_PROBABILITY)} percent"

    @rpc("cfgutils.set_gflag")
    def rpc_set_flags(self, mask: str = "") -> object:
        """Set the shared flags of a mask."""
        self._change_flags(0, _given(mask))
        return None

    @rpc("cfgutils.reset_gflag")
    def rpc_reset_flags(self, mask: str = "") -> object:
        """Reset the shared flags of a mask."""
        self._change_flags(_given(mask), 0)
        return None

    @rpc("cfgutils.is_gflag")
    def rpc_is_flag(self, mask: str = "") -> object:
        """Show whether all shared flags of a mask are set."""
        wanted = _given(mask)
        return "TRUE" if self._number(_FLAGS) & wanted == wanted else "FALSE"

    @rpc("cfgutils.get_gflags")
    def rpc_get_flags(self) -> object:
        """Show the shared flags."""
        flags = self._number(_FLAGS)
        return f"0x{flags:X} ({flags})"

    @rpc("cfgutils.get_config_hash")
    def rpc_get_hash(self) -> object:
        """Show the hash that hash_file had at the start."""
        return self._hash

    @rpc("cfgutils.check_config_hash")
    def rpc_check_hash(self) -> object:
        """Show whether hash_file is what it was at the start."""
        if not self.params.hash_file:
            raise RpcFault(500, "No hash file")
        now = _file_hash(self.params.hash_file)
        if not now:
            raise RpcFault(500, "Failed to hash the file")
        return "Identical hash" if now == self._hash else "Different hash"

    def _number(self, name: bytes) -> int:
        value = self._numbers.get(name, 0.0)
        return value if isinstance(value, int) else 0

    def _change_flags(self, cleared: int, added: int) -> bool:
        def change(value: Value | None, expires: int) -> tuple[Value, int]:
            flags = value if isinstance(value, int) else 0
            return (flags & ~cleared | added) & _ALL_FLAGS, 0

        return self._numbers.update(_FLAGS, 0.0, change)

    def _lock_set(self) -> LockSet | None:
        if self._locks is None:
            self.services.log.error("cfgutils", "there are no locks: set lock_set_size")
        return self._locks

    def _report(self, lines: Iterable[str]) -> int:
        for line in lines:
            self.services.log.info("cfgutils", line)
        return 1


def _pause(seconds: float) -> int | Wait:
    if seconds <= 0:
        return 1
    return Wait(lambda: asyncio.sleep(seconds, 1))


def _given(text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise RpcFault(500, "Invalid Parameters") from None
    if not 0 <= value <= _ALL_FLAGS:
        raise RpcFault(500, "Invalid Parameters")
    return value


def _file_hash(path: str) -> str:
    try:
        return hashlib.md5(Path(path).read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return ""
