"""Telling systemd that we are up, alive and ending: the protocol of sd_notify(3), without its library."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """The service manager that started this process; does nothing where none did.

    A unit with `Type=notify` waits for `ready`; one with `WatchdogSec=` restarts a process that has not
    called `alive` for so long.

    Parameters
    ----------
    environment:
        Where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` stand; default: this process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched_us = environment.get("WATCHDOG_USEC", "0") if ours else "0"
        # Half the limit, as sd_watchdog_enabled(3) recommends.
        self._every_ns = int(watched_us) * 1000 // 2 if watched_us.isdigit() else 0
        self._next_ns = 0

    def ready(self, status: str = "") -> None:
        """All is up: what depends on this service may start."""
        self._tell("READY=1", status)

    def stopping(self, status: str = "") -> None:
        """The end has begun."""
        self._tell("STOPPING=1", status)

    def alive(self) -> None:
        """Still working. Call it from the loop that must not stand still, as often as you like."""
        now_ns = time.monotonic_ns()
        if self._every_ns and now_ns >= self._next_ns:
            self._next_ns = now_ns + self._every_ns
            self._tell("WATCHDOG=1")

    def _tell(self, state: str, status: str = "") -> None:
        if not self._address:
            return
        lines = state + (f"\nSTATUS={status}" if status else "")
        # "@name" is a socket that lies in no folder.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),  # a manager that does not listen takes nothing from the rig
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link,
        ):
            link.sendto(lines.encode(), socket.MSG_DONTWAIT, address)
