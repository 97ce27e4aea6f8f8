"""Who the server runs as, where, and with which limits; knows nothing of what it does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from workers import prctl
from workers.errors import PrivilegesError


@dataclass(frozen=True, slots=True)
class Privileges:
    """User, group, root, directory and limits to take on; None leaves one as it is.

    User and group are names or numbers. A user without a group brings his own primary group.
    `workdir` is a path below the new `root`, which has to hold whatever is loaded later on.
    `core_dumps` lifts (True) or closes (False) the limit on core files.
    """

    user: str | None = None
    group: str | None = None
    workdir: str | None = None
    core_dumps: bool | None = None
    open_files: int | None = None
    root: str | None = None

    def take(self) -> None:
        """Take all of it, in this process and its later children; raises PrivilegesError."""
        if self.open_files is not None:
            _limit_open_files(self.open_files)
        if self.core_dumps is not None:
            _limit_core_dumps(self.core_dumps)
        # Looked up before the root changes: a jail seldom has the files that name users.
        name, uid, gid = _find_identity(self.user, self.group)
        if self.root is not None:
            _change_root(self.root)
        if self.workdir is not None:
            _change_directory(self.workdir)
        _change_user(name, uid, gid)
        if self.core_dumps:
            prctl.allow_core_dump()


def pin_to_processors(processors: Sequence[int]) -> None:
    """Let the calling process run on these processors only; raises PrivilegesError."""
    import psutil

    try:
        psutil.Process().cpu_affinity(list(processors))
    except (OSError, ValueError, psutil.Error) as error:
        raise PrivilegesError(f"processors {list(processors)}: {error}") from error


def _limit_open_files(count: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        hard = max(count, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    except (OSError, ValueError) as error:
        raise PrivilegesError(f"open files limit {count}: {error}") from error


def _limit_core_dumps(wanted: bool) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard if wanted else 0, hard))


def _change_root(path: str) -> None:
    try:
        os.chroot(path)
        os.chdir("/")
    except OSError as error:
        raise PrivilegesError(f"root directory {path}: {error.strerror}") from error


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise PrivilegesError(f"working directory {path}: {error.strerror}") from error


def _find_identity(
    user: str | None, group: str | None
) -> tuple[str | None, int | None, int | None]:
    name, uid, gid = (None, None, None) if user is None else _find_user(user)
    return name, uid, gid if group is None else _find_group(group)


def _change_user(name: str | None, uid: int | None, gid: int | None) -> None:
    try:
        if gid is not None:
            _change_groups(name, gid)
        if uid is not None:
            os.setuid(uid)
    except OSError as error:
        raise PrivilegesError(f"user {name or uid}, group {gid}: {error.strerror}") from error


def _change_groups(name: str | None, gid: int) -> None:
    if os.geteuid() == 0:
        if name is None:
            os.setgroups([gid])
        else:
            os.initgroups(name, gid)
    os.setgid(gid)


def _find_user(user: str) -> tuple[str | None, int, int | None]:
    """Return (name, uid, primary gid); a number need not have an entry."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if user.isdigit():
            return None, int(user), None
        raise PrivilegesError(f"user {user}: no such user") from None
    return entry.pw_name, entry.pw_uid, entry.pw_gid


def _find_group(group: str) -> int:
    import grp

    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise PrivilegesError(f"group {group}: no such group") from None
