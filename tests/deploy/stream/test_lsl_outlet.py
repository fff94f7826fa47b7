"""The LSL outlets, seen by pylsl's own inlet."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.stream.lsl_outlet import LslOptions, channels, hand_on
from deploy.stream.messages import Session
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from tests.deploy.streaming import BOOT_ID, STAMPS, describe

pylsl = pytest.importorskip("pylsl", reason="no pylsl: pip install 'rigpose[lsl]'")


def _session() -> Session:
    return describe()()


class _Stream:
    """A publisher whose pose n holds the number n, and outlets that hand its stream on."""

    def __init__(self, folder: Path, boot_id: str = BOOT_ID) -> None:
        self.exposures_s: list[float] = []
        self.measured: dict[str, Any] = {}
        self._over = threading.Event()
        self._endpoint = f"ipc://{folder}/stream"
        self._boot_id = boot_id
        self._threads = [threading.Thread(target=self._publish), threading.Thread(target=self._hand_on)]

    def __enter__(self) -> _Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._threads[1].join()
        self._over.set()
        self._threads[0].join()

    def _publish(self) -> None:
        settings = StreamSettings(endpoint=self._endpoint)
        with Publisher(settings, describe(self._boot_id)) as publisher:
            while not self._over.wait(0.01):
                publisher.service()
                index, t_ns = len(self.exposures_s), time.monotonic_ns() - 7_000_000
                self.exposures_s.append(t_ns * 1e-9)
                points = np.full((1, 11), np.nan, np.float32)
                points[0, :3] = index
                publisher.pose(PoseSet(index, t_ns, np.full((1, 1, 3), index, np.float32)), STAMPS)
                publisher.pose(Pose3D(index, t_ns, points), STAMPS)

    def _hand_on(self) -> None:
        self.measured = hand_on(LslOptions(self._endpoint, seconds=2.5))


@pytest.mark.long
def test_an_inlet_gets_the_poses_with_their_times_names_and_units(tmp_path: Path) -> None:
    with _Stream(tmp_path) as stream:
        for topic, count in (("pose2d", 3), ("pose3d", 11)):
            (found,) = pylsl.resolve_byprop("source_id", f"rigpose host arena {topic}", 1, 10)
            inlet = pylsl.StreamInlet(found, processing_flags=pylsl.proc_none)
            info = inlet.info(5)
            assert (info.name(), info.type(), info.channel_count()) == (f"arena {topic}", "MoCap", count)
            described = channels(topic, _session())
            assert info.get_channel_labels() == [channel.label for channel in described]
            assert info.get_channel_units() == [channel.unit for channel in described]
            assert info.get_channel_types()[:2] == ["PositionX", "PositionY"]
            for _ in range(20):
                sample, t_s = inlet.pull_sample(5)
                assert sample is not None
                index = int(sample[0])
                assert sample[:3] == [index] * 3 and np.isnan(sample[3:]).all()
                # The instant of the exposure on LSL's clock, which is this host's monotonic one.
                assert t_s == pytest.approx(stream.exposures_s[index], abs=1e-3)
            assert inlet.time_correction(5) == pytest.approx(0, abs=5e-3)
            inlet.close_stream()
    assert stream.measured["handed_on"]["pose3d"] > 20 and stream.measured["without_time"] == 0


@pytest.mark.long
def test_poses_whose_time_is_unknown_are_counted_and_not_handed_on(tmp_path: Path) -> None:
    with _Stream(tmp_path, boot_id="another host") as stream:
        pass
    assert stream.measured["without_time"] > 20
    assert stream.measured["handed_on"] == {"pose2d": 0, "pose3d": 0}


def test_every_number_of_a_pose_has_a_channel() -> None:
    session = _session()
    assert [channel.label for channel in channels("pose2d", session)] == [
        "top_nose_x_px", "top_nose_y_px", "top_nose_confidence",
    ]  # fmt: skip
    three = channels("pose3d", session)
    assert len(three) == 11 and three[0].label == "nose_x_mm"
    assert {(channel.kind, channel.unit) for channel in three[3:]} == {
        *((f"Covariance{pair}", "square millimeters") for pair in ("XX", "XY", "XZ", "YY", "YZ", "ZZ")),
        ("Views", "none"), ("ReprojectionError", "pixels"),
    }  # fmt: skip


def test_an_address_that_is_none() -> None:
    with pytest.raises(RigposeError, match="an address such as"):
        hand_on(LslOptions("5555", seconds=1))
