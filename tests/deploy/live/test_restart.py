"""A live tracker of free-running cameras is killed: its poses lie on their own frames, before and after."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from acquisition.recordings.recording import Recording
from acquisition.rig import RigSettings
from deploy.bundles.predictor import Predictor
from deploy.live.live import LiveOptions, live
from deploy.offline.nwb_poses import seen_of
from deploy.poses_io.pose_table import read_pose_tables
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from tests.deploy.tracker_runs import BUNDLE, picture

pytestmark = [pytest.mark.long, pytest.mark.alone]
RATE_HZ, SIZE = 20, (160, 120)
PERIOD_NS = round(1e9 / RATE_HZ)


@pytest.fixture
def rig(tmp_path: Path) -> RigSettings:
    """Two films of dots that go round once in four seconds, over and over; no trigger."""
    cameras = {}
    for place, name in enumerate(("left", "right")):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=RATE_HZ)
            stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
            for n in range(4 * RATE_HZ):
                turn = 2 * np.pi * n / (4 * RATE_HZ) + place
                at = (80 + 40 * np.cos(turn), 60 + 30 * np.sin(turn))
                image = picture(at, (160 - at[0], 120 - at[1]), SIZE)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = n, Fraction(1, RATE_HZ)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        cameras[name] = {"uri": f"file://{path}", "settings": tmp_path / "film.yaml"}
    (tmp_path / "film.yaml").write_text("repeat: true\n")
    return RigSettings.model_validate({
        "name": "arena", "cameras": cameras, "recording": {"codec": "ffv1"},
        "sync": {"tolerance_ms": 10.0, "max_delay_ms": 2000.0},
    })  # fmt: skip


def test_poses_of_a_killed_tracker_and_of_the_next_lie_on_their_own_frames(
    rig: RigSettings, tmp_path: Path
) -> None:
    stream = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    heard: dict[int, list[tuple[int, int]]] = {1: [], 2: []}

    def kill_then_stop() -> None:
        try:
            with PoseSubscriber(stream.endpoint, topics=["pose2d"]) as subscriber:
                until = time.monotonic() + 100
                for session in (1, 2):
                    while len(heard[session]) < 3 * RATE_HZ and time.monotonic() < until:
                        message = subscriber.receive(timeout_ms=100)
                        if message is not None:
                            of = message.header.index, message.header.t_exposure_ns
                            heard.setdefault(subscriber.sessions, []).append(of)
                    for one in multiprocessing.active_children():
                        if session == 1 and one.name == "tracker":
                            one.kill()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=kill_then_stop)
    watcher.start()
    measured = live(rig, stream, LiveOptions(BUNDLE, runtime="onnx", record=tmp_path / "day1"))
    watcher.join()
    assert measured["restarts"] == {"tracker": 1} and measured["balanced"]

    # The numbers go on, over the seconds in which there was no tracker.
    (last, last_ns), (first, first_ns) = heard[1][-1], heard[2][0]
    assert first_ns - last_ns > 3 * PERIOD_NS
    assert first - last == round((first_ns - last_ns) / PERIOD_NS)

    one, two = read_pose_tables(tmp_path / "day1")
    assert min(len(one.records), len(two.records)) >= 2 * RATE_HZ
    predictor = Predictor(BUNDLE, runtime="onnx", cameras=1)
    with Recording.open(tmp_path / "day1") as recording:
        found = seen_of(recording, [])
        assert [each.camera for each in found] == ["left", "right"]
        for each in found:
            in_both = len(one.records) + len(two.records)
            assert in_both - 8 <= len(each.frame) <= in_both
            for n in range(0, len(each.frame), 10):
                image = recording.image(each.camera, int(each.frame[n]))
                both = np.concatenate([each.points[n], each.confidence[n][:, None]], axis=1)
                np.testing.assert_array_equal(predictor.predict([image])[0], both)
