"""The measuring subscriber, fed by a real publisher."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from calibration.poses import Pose3D, PoseSet
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.probe import ProbePlan, probe
from deploy.stream.publisher import Publisher, Stamps
from deploy.stream.settings import StreamSettings


def _session() -> Session:
    clock = StreamClock("boot", "host", time.monotonic_ns(), 0, 0)
    return Session("arena", (CameraView("top", 64, 48), CameraView("side", 64, 48)), ("nose", "tail"), clock)


class Link:
    """A parent that publishes once the probe is ready, then stops it."""

    def __init__(self, publisher: Publisher, sets: int) -> None:
        self.stopping = False
        self._publisher, self._sets = publisher, sets

    def report(self, state: str, received: dict[str, int], **_: Any) -> None:
        if state != "ready":
            self._publisher.service()
        if state == "ready" and self._sets:
            now_ns = time.monotonic_ns()
            for index in range(self._sets):
                exposure_ns = now_ns - 20_000_000
                stamps = Stamps(now_ns, now_ns, now_ns)
                two = np.full((2, 2, 3), index, np.float32)
                self._publisher.pose(PoseSet(index, exposure_ns, two), stamps)
                three = np.full((2, 11), -index, np.float32)
                self._publisher.pose(Pose3D(index, exposure_ns, three), stamps)
            self._sets = 0
        self.stopping = received["pose3d"] > 0


def _probe(tmp_path: Path, sets: int, poses: Path | None) -> dict[str, Any]:
    settings = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    with Publisher(settings, _session) as publisher:
        report = tmp_path / "report.json"
        plan = ProbePlan(settings.endpoint, str(report), None if poses is None else str(poses))
        link = Link(publisher, sets)
        probe(link, plan)
    return json.loads(report.read_text())


def test_latencies_and_every_pose_are_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("deploy.stream.publisher.ANNOUNCE_NS", 0)
    report = _probe(tmp_path, 5, tmp_path / "heard.npz")
    assert report["received"]["pose2d"] == report["received"]["pose3d"] == 5
    assert report["lost"]["pose3d"] == 0 and report["sessions"] == 1
    latency = report["latency"]["exposure_to_subscriber_pose3d"]
    assert latency["count"] == 5 and latency["p50_ms"] >= 20
    heard = np.load(tmp_path / "heard.npz")
    assert heard["keypoints"].tolist() == ["nose", "tail"] and heard["cameras"].tolist() == ["top", "side"]
    np.testing.assert_array_equal(heard["pose2d_index"], range(5))
    np.testing.assert_array_equal(heard["pose3d"][:, 0, 0], -np.arange(5))
    assert heard["pose2d"].shape == (5, 2, 2, 3)
    assert (heard["pose2d_t_received_ns"] - heard["pose2d_t_exposure_ns"] >= 20_000_000).all()
    assert not list(tmp_path.glob(".*"))


def test_without_a_file_only_latencies_are_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("deploy.stream.publisher.ANNOUNCE_NS", 0)
    assert _probe(tmp_path, 3, None)["latency"]["publish_to_subscriber_pose2d"]["count"] == 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["report.json"]
