"""What systemd is told, on a socket of the kind it listens on."""

from __future__ import annotations

import os
import socket

import pytest

from acquisition.service import ServiceManager
from acquisition.supervise import Supervisor


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def told(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


def test_ready_and_stopping_with_their_status(manager):
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    service.ready("2 cameras")
    service.stopping()
    service.alive()  # no watchdog was asked for
    assert told(manager) == ["READY=1\nSTATUS=2 cameras", "STOPPING=1"]


def test_a_socket_that_lies_in_no_folder():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0rigpose-test-{os.getpid()}")
        listening.setblocking(False)
        ServiceManager({"NOTIFY_SOCKET": f"@rigpose-test-{os.getpid()}"}).ready()
        assert told(listening) == ["READY=1"]


def test_the_watchdog_hears_of_a_loop_that_runs(manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    pings: list[str] = []

    def heard() -> bool:
        pings.extend(told(manager))
        return len(pings) > 3

    assert Supervisor([]).wait_until(heard, 60, "the pings") and set(pings) == {"WATCHDOG=1"}
    monkeypatch.setenv("WATCHDOG_PID", "1")
    Supervisor([]).poll()
    assert told(manager) == []


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_a_manager_nothing_happens(environment):
    service = ServiceManager(environment)
    service.ready()
    service.alive()
    service.stopping()
