"""Hosts on one machine: network namespaces joined by virtual cables. Needs root and iproute2."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from types import TracebackType

import pytest


def require_namespaces() -> None:
    """Skip where no namespace can be made."""
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces: install iproute2")
    if os.geteuid() != 0:
        pytest.skip("no network namespaces: run as root")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


class Star:
    """A middle host with a cable to each of `hosts` others. A context manager.

    Host n has the address 10.77.n.1, the middle 10.77.n.2 on the same cable; n counts from 1.
    """

    def __init__(self, hosts: int) -> None:
        stem = f"rp{os.getpid()}"
        self.middle = f"{stem}m"
        self.hosts = [f"{stem}h{n}" for n in range(1, hosts + 1)]

    def __enter__(self) -> Star:
        try:
            for name in (self.middle, *self.hosts):
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            for n, name in enumerate(self.hosts, 1):
                _ip(
                    "-n",
                    self.middle,
                    "link",
                    "add",
                    f"v{n}",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "v",
                    "netns",
                    name,
                )
                _ip("-n", self.middle, "addr", "add", f"10.77.{n}.2/24", "dev", f"v{n}")
                _ip("-n", name, "addr", "add", f"10.77.{n}.1/24", "dev", "v")
                _ip("-n", name, "link", "set", "v", "up")
                _ip("-n", self.middle, "link", "set", f"v{n}", "up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in (*self.hosts, self.middle):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """The command line that runs a command on a host."""
        return ["ip", "netns", "exec", host, *command]

    def cable(self, n: int, *, up: bool) -> None:
        """Plug host n in, or pull its cable."""
        _ip("-n", self.middle, "link", "set", f"v{n}", "up" if up else "down")
