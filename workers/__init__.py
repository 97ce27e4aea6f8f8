"""Ranks, fork, supervision, timers and mailboxes for any program; knows no SIP."""

from workers.daemon import Startup, daemonise
from workers.errors import (
    NoEventLoop,
    PayloadTooLong,
    PidFileError,
    PrivilegesError,
    StartRefused,
    UnknownRank,
    WorkersError,
)
from workers.mailbox import MAX_PAYLOAD, Mailbox, Mailboxes
from workers.pidfile import PidFile
from workers.privileges import Privileges, pin_to_processors
from workers.process import Process
from workers.program import Program
from workers.rank import (
    PROC_ATTENDANT,
    PROC_INIT,
    PROC_MAIN,
    PROC_NOCHLDINIT,
    PROC_RPC,
    PROC_TCP_MAIN,
    PROC_TIMER,
    PROC_UNIXSOCK,
    Role,
    process_table,
)
from workers.supervisor import Supervisor
from workers.timers import Repeating, Timer, TimerWheel

__all__ = [
    "MAX_PAYLOAD",
    "PROC_ATTENDANT",
    "PROC_INIT",
    "PROC_MAIN",
    "PROC_NOCHLDINIT",
    "PROC_RPC",
    "PROC_TCP_MAIN",
    "PROC_TIMER",
    "PROC_UNIXSOCK",
    "Mailbox",
    "Mailboxes",
    "NoEventLoop",
    "PayloadTooLong",
    "PidFile",
    "PidFileError",
    "Privileges",
    "PrivilegesError",
    "Process",
    "Program",
    "Repeating",
    "Role",
    "StartRefused",
    "Startup",
    "Supervisor",
    "Timer",
    "TimerWheel",
    "UnknownRank",
    "WorkersError",
    "daemonise",
    "pin_to_processors",
    "process_table",
]
