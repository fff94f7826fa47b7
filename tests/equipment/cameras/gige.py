"""GigE Vision cameras: Aravis's fake camera, several of them, in a network namespace of their own.

They speak real GVCP and GVSP over UDP. Their frame ids start at 65401, wrap from 65535 to 1, and are not
reset by a new acquisition; their stamps are the machine's calendar clock.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[3]
_CAMERA = "arv-fake-gv-camera-0.8"
_NEWNET = 0x40000000


@dataclass
class FakeCameras:
    """Cameras GV01, GV02, ... at 127.0.1.1, 127.0.1.2, ...; what runs in their namespace sees them.

    Attributes
    ----------
    namespace:
        Its name, for `ip netns exec`.
    """

    namespace: str
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _workers: list[ProcessPoolExecutor] = field(default_factory=list)

    def start(
        self, number: int, loss_per_thousand: float = 0, serial: str = "", description: Path | None = None
    ) -> None:
        """Switch camera `number` on (from 1); another `serial` is another camera at its address.

        `description` is a GenICam file of its features, instead of its own.
        """
        address = f"127.0.1.{number}"
        loss = ["-r", str(loss_per_thousand)] if loss_per_thousand else []
        told = [] if description is None else ["-g", description]
        self._running[number] = self.popen(
            [_CAMERA, "-i", address, "-s", serial or f"GV{number:02}", *loss, *told]
        )
        # It is there once its control port is bound.
        until = time.monotonic() + 20
        port = f"{int.from_bytes(bytes([127, 0, 1, number]), 'little'):08X}:{3956:04X}"
        while port not in Path(f"/proc/{self._running[number].pid}/net/udp").read_text():
            assert self._running[number].poll() is None and time.monotonic() < until, "camera did not start"
            time.sleep(0.01)

    def kill(self, number: int) -> None:
        """Pull the plug."""
        camera = self._running.pop(number)
        camera.kill()
        camera.wait()

    def popen(self, words: list[object], **options: Any) -> subprocess.Popen[Any]:
        """Start a program in the namespace."""
        # The process is the program itself: ip and its exec leave no parent that would outlive it.
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *map(str, words)], **options)

    def rigpose(self, *words: object, cwd: Path) -> subprocess.Popen[str]:
        """`rigpose` as a person runs it, on the rig's host."""
        return self.popen(
            [sys.executable, "-m", "rigpose", *words],
            cwd=cwd, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def program(self) -> Callable[..., Any]:
        """A fresh interpreter on the rig's host: calls `function(*args)` there, returns what that returns."""
        worker = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=_enter, initargs=(self.namespace,)
        )
        self._workers.append(worker)
        return lambda function, *args: worker.submit(function, *args).result(timeout=120)

    def close(self) -> None:
        """Switch all off."""
        for worker in self._workers:
            worker.shutdown(cancel_futures=True)
        for number in list(self._running):
            self.kill(number)


@contextlib.contextmanager
def fake_cameras(count: int) -> Iterator[FakeCameras]:
    """`count` cameras running; skips with one line where they cannot."""
    missing = [
        package
        for program, package in ((_CAMERA, "aravis-tools"), ("ip", "iproute2"))
        if shutil.which(program) is None
    ]
    if not list(Path("/usr/lib").glob("*/girepository-1.0/Aravis-0.8.typelib")):
        missing.append("gir1.2-aravis-0.8")
    if missing:
        pytest.skip(f"no GigE Vision cameras: apt-get install {' '.join(missing)}")
    if importlib.util.find_spec("gi") is None:
        pytest.skip("no GigE Vision cameras: pip install 'rigpose[aravis]'")
    if os.geteuid() != 0:
        pytest.skip("no GigE Vision cameras: a network namespace wants root")
    namespace = f"rigpose-{uuid.uuid4().hex[:8]}"
    _ip("netns", "add", namespace)
    cameras = FakeCameras(namespace)
    try:
        _ip("-n", namespace, "link", "set", "lo", "up")
        for number in range(1, count + 1):
            _ip("-n", namespace, "addr", "add", f"127.0.1.{number}/8", "dev", "lo")
            cameras.start(number)
        yield cameras
    finally:
        cameras.close()
        _ip("netns", "delete", namespace)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _enter(namespace: str) -> None:
    """Take this process into the network namespace (before it has other threads)."""
    with Path(f"/run/netns/{namespace}").open("rb") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), _NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
