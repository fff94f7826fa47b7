"""What the stream's tests share: a session, keys on disk, a publisher that is served while one waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from calibration.poses import Pose3D
from deploy.stream.keys import ClientKeys, allow, client_keys, new_pair
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.subscriber import PoseSubscriber, Received

STAMPS = Stamps(1, 2, 3)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def describe(boot_id: str = BOOT_ID) -> Callable[[], Session]:
    def session() -> Session:
        clock = StreamClock(boot_id, "host", time.monotonic_ns(), 0, 0)
        return Session("arena", (CameraView("top", 640, 480),), ("nose",), clock)

    return session


def pose3d(index: int) -> Pose3D:
    return Pose3D(index, time.monotonic_ns() - 5_000_000, np.full((1, 11), index, np.float32))


def join(publisher: Publisher, subscriber: PoseSubscriber) -> Received:
    """Serve until the subscriber hears something."""
    for _ in range(400):
        publisher.service()
        message = subscriber.receive(timeout_ms=25)
        if message is not None:
            return message
    raise AssertionError("no session heard within ten seconds")


def serve(publisher: Publisher, until: Callable[[], object], seconds: float = 20.0) -> None:
    """Serve until something is so."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "did not happen in time"
        publisher.service()
        time.sleep(0.002)


def client(keys: Path, name: str, *, listed: bool = True) -> ClientKeys:
    """A client of the publisher whose keys are in the folder `keys`; its own lie beside it."""
    public, secret = new_pair(keys.parent / f"client-{name}", name)
    if listed:
        allow(keys, public)
    return client_keys(keys / "server.pub", secret)
