"""The tracker on real rings, with a real network and a real subscriber."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.rig import SyncSettings
from acquisition.rings.ring import RingGeometry, ring_path
from acquisition.rings.writer import RingWriter
from calibration.formats.anipose import save_toml
from calibration.poses import PoseSet
from calibration.triangulation import triangulate
from deploy.bundles.bundle import Bundle
from deploy.bundles.predictor import Predictor
from deploy.live.tracker_plan import TrackerPlan
from deploy.poses_io.pose_table import read_pose_tables
from deploy.stream.settings import StreamSettings
from tests.deploy.tracker_runs import BUNDLE, PERIOD_NS, Running, calibration

CAMERAS = ("left", "right")


@pytest.fixture
def images() -> list[np.ndarray]:
    check = Bundle.load(BUNDLE).check()
    assert check is not None
    return list(check.images)


@pytest.fixture
def rings(tmp_path: Path, images: list[np.ndarray]) -> Iterator[dict[str, RingWriter]]:
    height, width, channels = images[0].shape
    geometry = RingGeometry(16, height, width, channels)
    writers = {name: RingWriter(ring_path(tmp_path, name), name, geometry) for name in CAMERAS}
    yield writers
    for writer in writers.values():
        writer.close()


@pytest.fixture
def plan(tmp_path: Path) -> TrackerPlan:
    save_toml(calibration(CAMERAS), tmp_path / "calibration.toml")
    (tmp_path / "session").mkdir()
    return TrackerPlan(
        rig="arena",
        cameras=CAMERAS,
        sync=SyncSettings(max_delay_ms=5000),
        stream=StreamSettings(endpoint=f"ipc://{tmp_path}/stream"),
        bundle=str(BUNDLE),
        calibration=str(tmp_path / "calibration.toml"),
        report=str(tmp_path / "report.json"),
        runtime="onnx",
        session_dir=str(tmp_path / "session"),
        version="test",
    )


@pytest.fixture
def run(plan: TrackerPlan, tmp_path: Path, rings: dict[str, RingWriter]) -> Iterator[Running]:
    running = Running(plan, tmp_path, rings)
    yield running
    running.stop()


def test_poses_of_every_set_reach_the_stream_and_the_table(
    run: Running, images: list[np.ndarray], tmp_path: Path
) -> None:
    run.wait_until_ready()
    first_ns = run.begin()
    pulses = 12
    for pulse in range(pulses):
        run.expose("left", first_ns, pulse, images[pulse % 3])
        if pulse != 7:
            run.expose("right", first_ns, pulse, images[3 + pulse % 3], lost_before=int(pulse == 8))
        if pulse == 5:  # a camera's first frames are placed together; later ones come one by one
            run.wait_for(lambda: len(run.of("pose3d")) == 6)
    run.wait_for(lambda: len(run.of("pose3d")) == pulses)
    run.stop()

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["balanced"] and report["sets_in"] == report["published"] == pulses
    assert (report["complete_in"], report["complete_published"]) == (pulses - 1, pulses - 1)
    assert report["absences"] == [[7, "right", "lost"]]
    assert report["stages"]["exposure_to_publish"]["count"] == pulses

    pose2d, pose3d = run.of("pose2d"), run.of("pose3d")
    assert [message.header.index for message in pose2d] == list(range(pulses))
    assert [message.header.index for message in pose3d] == list(range(pulses))
    predictor = Predictor(BUNDLE, runtime="onnx", cameras=2)
    cameras = calibration(CAMERAS)
    for message, above in zip(pose2d, pose3d, strict=True):
        pulse = message.header.index
        expected = predictor.predict([images[pulse % 3], None if pulse == 7 else images[3 + pulse % 3]])
        assert isinstance(message.body, PoseSet)
        np.testing.assert_array_equal(message.body.keypoints, expected)
        np.testing.assert_array_equal(above.body.points, triangulate(cameras, expected))
        header = above.header
        assert header.t_exposure_ns == pytest.approx(first_ns + pulse * PERIOD_NS, abs=1e6)
        stamps = (
            header.t_arrival_ns, header.t_inference_start_ns, header.t_inference_end_ns, header.t_publish_ns,
        )  # fmt: skip
        assert list(stamps[1:]) == sorted(stamps[1:])
        assert header.t_valid_ns == header.t_exposure_ns and header.kind == "measured"
    assert np.isnan(pose3d[7].body.points[:, 0]).all()  # one view left: no 3D is made up

    (table,) = read_pose_tables(tmp_path / "session")
    np.testing.assert_array_equal(table.records["index"], range(pulses))
    np.testing.assert_array_equal(table.records["pose2d"][3], pose2d[3].body.keypoints)
    np.testing.assert_array_equal(table.records["pose3d"][3], pose3d[3].body.points)
    assert table.about["network"]["bundle_sha256"] == Bundle.load(BUNDLE).sha256


def test_the_session_says_what_the_poses_mean(run: Running) -> None:
    run.wait_until_ready()
    run.wait_for(lambda: any(m.body.cameras[0].width_px for m in run.of("session")))
    session = run.of("session")[-1].body
    assert [(c.name, c.width_px, c.height_px) for c in session.cameras] == [
        ("left", 256, 192),
        ("right", 256, 192),
    ]
    assert session.keypoints == ("red", "blue") and session.skeleton == ((0, 1),)
    assert session.network.bundle_sha256 == Bundle.load(BUNDLE).sha256
    assert session.calibration_sha256 and session.recording == "session"


def test_every_lease_goes_back(run: Running, images: list[np.ndarray], rings: dict[str, RingWriter]) -> None:
    run.wait_until_ready()
    first_ns = run.begin()
    for pulse in range(40):  # more than the ring holds
        for camera in CAMERAS:
            run.expose(camera, first_ns, pulse, images[0])
        run.wait_for(lambda: all(ring.free_slots > 4 for ring in rings.values()))
    run.wait_for(lambda: all(ring.free_slots == 16 for ring in rings.values()))
    assert all(ring.free_slots == 16 and ring.dropped == 0 for ring in rings.values())


@pytest.mark.parametrize("known", [True, False])
def test_a_tracker_that_was_restarted_goes_on_counting(
    run: Running, images: list[np.ndarray], tmp_path: Path, known: bool
) -> None:
    """After ten minutes the period that the trigger said is one and a half pulses off."""
    counted = {"period_ns": PERIOD_NS * 1.00005, "error": 1e-6, "sure": True}
    first_ns = run.join(PERIOD_NS, counted if known else None)
    run.wait_until_ready()
    pulses = range(30_001, 30_009)  # fewer than may wait
    for pulse in pulses:
        for camera in CAMERAS:
            run.expose(camera, first_ns, pulse, images[0], device_clock=True)
    run.wait_for(lambda: len(run.of("pose2d")) == len(pulses))
    run.wait_for(lambda: run.link.reports.get("sets", {}).get("published") == len(pulses))
    left = run.link.reports["counted"]
    run.stop()
    found = [message.header.index for message in run.of("pose2d")]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["balanced"] and report["published"] == report["sets_in"] == len(pulses)
    assert left["index"] == found[-1] and left["sure"] is known
    if known:
        assert found == list(pulses) and report["uncertain_in"] == 0
        assert left["t_exposure_ns"] == first_ns + pulses[-1] * round(PERIOD_NS * 1.00005)
    else:  # it cannot know, and says so
        assert found != list(pulses) and report["uncertain_in"] == len(pulses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plan, folder: replace(plan, calibration=_other_size(folder)), "a calibration for"),
        (lambda plan, folder: replace(plan, cameras=("left", "back")), "expected camera 'back'"),
        (lambda plan, folder: replace(plan, bundle=str(folder)), "a model bundle"),
        (lambda plan, folder: replace(plan, stream=_taken(folder)), "found a file"),
    ],
)
def test_what_is_not_as_it_must_be_ends_the_tracker_in_one_line(
    plan: TrackerPlan, tmp_path: Path, rings: dict[str, RingWriter], change: Any, message: str
) -> None:
    running = Running(change(plan, tmp_path), tmp_path, rings)
    running.wait_for(lambda: False)
    running.stop()
    assert running.error is not None and message in str(running.error)
    assert not list((tmp_path / "session").iterdir()) or message == "a calibration for"


def _other_size(folder: Path) -> str:
    save_toml(calibration(CAMERAS, (640, 480)), folder / "other.toml")
    return str(folder / "other.toml")


def _taken(folder: Path) -> StreamSettings:
    (folder / "taken").write_text("")
    return StreamSettings(endpoint=f"ipc://{folder}/taken")
