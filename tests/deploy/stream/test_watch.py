"""`watch` as lines and as a table."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from deploy.stream.watch import StreamView, watch

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _session() -> Session:
    clock = StreamClock(BOOT_ID, "host", time.monotonic_ns(), 0, 0)
    return Session("arena", (CameraView("top", 64, 48),), ("nose", "tail"), clock)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """A stream of 50 poses a second."""
    settings = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    over = threading.Event()

    def publish() -> None:
        with Publisher(settings, _session) as publisher:
            index = 0
            while not over.wait(0.02):
                publisher.service()
                now_ns = time.monotonic_ns()
                stamps = Stamps(now_ns, now_ns, now_ns)
                publisher.pose(PoseSet(index, now_ns, np.full((1, 2, 3), 7.25, np.float32)), stamps)
                points = np.full((2, 11), 1.5, np.float32)
                points[1] = np.nan
                publisher.pose(Pose3D(index, now_ns, points), stamps)
                publisher.health({"tracker": {"skipped": 3}})
                index += 1

    thread = threading.Thread(target=publish)
    thread.start()
    yield settings.endpoint
    over.set()
    thread.join()


def test_lines_for_a_file_and_figures_for_json(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    measured = watch(endpoint, seconds=1.2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.startswith("arena: pose2d ") for line in lines)
    assert measured["received"]["pose3d"] > 5 and measured["lost"]["pose3d"] == 0
    assert measured["latency"]["exposure_to_subscriber_pose3d"]["count"] > 5


def test_the_table_shows_the_newest_pose(endpoint: str) -> None:
    with PoseSubscriber(endpoint, topics=["pose2d", "pose3d", "health"]) as subscriber:
        view = StreamView(subscriber)
        shown = Console(width=120, record=True, quiet=True)
        assert "nothing yet" in view.line()
        until = time.monotonic() + 10
        while view.newest is None or view.health is None or subscriber.session is None:
            assert time.monotonic() < until
            message = subscriber.receive(timeout_ms=100)
            if message is not None:
                view.add(message)
        with shown.capture() as captured:
            shown.quiet = False
            shown.print(view.table())
        text = captured.get()
    for word in ("arena", "nose", "tail", "1.5", "nan", "skipped 3"):
        assert word in text


def test_silence_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = watch(f"ipc://{tmp_path}/nobody", seconds=0.05)
    assert "nothing yet" in capsys.readouterr().out
    assert measured["sessions"] == 0 and measured["latency"] == {}


def test_quiet_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch(f"ipc://{tmp_path}/nobody", seconds=0.05, quiet=True)
    assert capsys.readouterr().out == ""


def test_an_address_that_is_none() -> None:
    with pytest.raises(RigposeError, match="expected an address such as tcp://"):
        watch("5555", seconds=1)
