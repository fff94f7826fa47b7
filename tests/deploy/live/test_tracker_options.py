"""The tracker with windows, filters, prediction, and with a camera that goes away."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from acquisition.rig import SyncSettings
from acquisition.rings.ring import RingGeometry, ring_path
from acquisition.rings.writer import RingWriter
from calibration.formats.anipose import save_toml
from deploy.live.tracker_plan import TrackerPlan
from deploy.poses_io.pose_table import read_pose_tables
from deploy.stream.settings import StreamSettings
from deploy.tracking_settings import TrackingSettings
from tests.deploy.tracker_runs import BUNDLE, IMAGE_WH, PERIOD_NS, Running, calibration, picture

SETS = 40
SLOW_NS = 200_000_000


@contextmanager
def running(
    folder: Path, cameras: tuple[str, ...], tracking: TrackingSettings, size: tuple[int, int] = IMAGE_WH,
    solid: bool = False,
) -> Iterator[Running]:  # fmt: skip
    (folder / "session").mkdir()
    if solid:
        save_toml(calibration(cameras, size), folder / "calibration.toml")
    plan = TrackerPlan(
        rig="arena", cameras=cameras, sync=SyncSettings(max_delay_ms=5000),
        stream=StreamSettings(endpoint=f"ipc://{folder}/stream"), bundle=str(BUNDLE),
        calibration=str(folder / "calibration.toml") if solid else None, report=str(folder / "report.json"),
        runtime="onnx", session_dir=str(folder / "session"), tracking=tracking,
    )  # fmt: skip
    geometry = RingGeometry(16, size[1], size[0], 3)
    rings = {name: RingWriter(ring_path(folder, name), name, geometry) for name in cameras}
    run = Running(plan, folder, rings)
    try:
        run.wait_until_ready()
        yield run
    finally:
        run.stop()
        for ring in run.rings.values():
            ring.close()


def keypoints(run: Running, kind: str) -> np.ndarray:
    """(sets, cameras, K, 3) of one kind."""
    return np.stack([m.body.keypoints for m in run.of("pose2d") if m.header.kind == kind])


def path(t: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Red and blue, 5 px a set to the right."""
    return (30 + 4.0 * t, 70.0), (80 + 4.0 * t, 120.0)


def test_filtered_and_predicted_poses_follow_the_measured_ones(tmp_path: Path) -> None:
    tracking = TrackingSettings(smooth="kalman", predict=True, lead_ms=5)
    images = [picture(*path(t)) for t in range(SETS)]
    with running(tmp_path, ("left",), tracking) as run:
        first_ns = run.begin()
        for t in range(SETS):
            time.sleep(max(0.0, (first_ns + t * PERIOD_NS - time.monotonic_ns()) * 1e-9))
            run.expose("left", first_ns, t, images[t])
            run.wait_for(lambda: True)
        run.wait_for(lambda: bool(run.of("pose2d")) and run.of("pose2d")[-1].header.index == SETS - 1)
    messages = run.of("pose2d")
    assert [m.header.kind for m in messages[:3]] == ["measured", "predicted", "filtered"]
    assert [m.header.sequence for m in messages] == list(range(len(messages)))
    for measured, predicted, filtered in zip(messages[::3], messages[1::3], messages[2::3], strict=True):
        headers = [m.header for m in (measured, filtered, predicted)]
        assert len({(h.index, h.t_exposure_ns, h.t_inference_end_ns) for h in headers}) == 1
        assert headers[0].t_valid_ns == headers[1].t_valid_ns == headers[0].t_exposure_ns
        assert headers[0].t_publish_ns <= headers[2].t_valid_ns - 5_000_000 <= headers[2].t_publish_ns
    # What was there when it spoke of: 4 px a set, so every ms is 0.2 px.
    ahead_ms = np.array([(m.header.t_valid_ns - m.header.t_exposure_ns) / 1e6 for m in messages[1::3]])
    truth = np.array([path(m.header.index) for m in messages[1::3]])
    truth[..., 0] += 0.2 * ahead_ms[:, None]
    error = np.linalg.norm(keypoints(run, "predicted")[:, 0, :, :2] - truth, axis=-1)
    assert np.median(error[len(error) // 2 :]) < 1.5
    (table,) = read_pose_tables(tmp_path / "session")
    np.testing.assert_array_equal(table.records["pose2d"], keypoints(run, "measured"))
    assert table.about["tracking"]["smooth"] == "kalman"
    report = json.loads((tmp_path / "report.json").read_text())
    usual = max(report["prediction"]["pose2d"].values(), key=lambda horizon: horizon["points"])
    assert 0 < usual["median_px"] < usual["without_median_px"]
    assert "prediction pose2d" in run.of("health")[-1].body.counters


def test_a_window_follows_is_lost_and_finds_again(tmp_path: Path) -> None:
    """A small animal in a large image: seen whole it is half as large as in training, and 3 px off."""
    size = (512, 384)
    truth = [((100 + 6.0 * t, 200.0), (180 + 6.0 * t, 300.0)) for t in range(SETS)]
    dark = range(20, 28)
    empty = np.full((size[1], size[0], 3), 80, np.uint8)
    with running(tmp_path, ("left",), TrackingSettings(follow=True), size) as run:
        first_ns = run.begin(SLOW_NS)
        for t, places in enumerate(truth):
            run.expose("left", first_ns, t, empty if t in dark else picture(*places, size))
            run.wait_for(lambda t=t: len(run.of("pose2d")) > t - 4)
        run.wait_for(lambda: len(run.of("pose2d")) == SETS)
    found = keypoints(run, "measured")[:, 0, :, :2]
    light = [t for t in range(1, SETS) if t not in dark and t != dark.stop]
    assert np.abs(found[light] - np.array(truth)[light]).max() < 1.0
    events = [(m.body.name, m.body.source, m.header.index) for m in run.of("event")]
    assert events == [("animal found", "left", 0), ("animal lost", "left", 22), ("animal found", "left", 28)]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["follow"] == {"follow left": {"following": 1, "lost": 1, "sets_searched": 7}}
    assert run.of("health")[-1].body.counters["follow left"]["lost"] == 1
    assert report["warnings"] == []  # in the window the animal has the size of the training


def test_a_fixed_window_and_an_animal_of_the_wrong_size(tmp_path: Path) -> None:
    """The same dots in a larger image: told once, with the remedy; the crop mends it."""
    size = (512, 384)
    image = picture((100, 200), (180, 300), size)
    for name, crop in (("whole", {}), ("part", {"left": (20, 140, 256, 192)})):
        (tmp_path / name).mkdir()
        with running(tmp_path / name, ("left",), TrackingSettings(crop=crop), size) as run:
            first_ns = run.begin(SLOW_NS)
            for t in range(SETS):
                run.expose("left", first_ns, t, image)
                run.wait_for(lambda t=t: len(run.of("pose2d")) > t - 8)
            run.wait_for(lambda: len(run.of("pose2d")) == SETS)
        found = keypoints(run, "measured")[0, 0, :, :2]
        np.testing.assert_allclose(found, [(100, 200), (180, 300)], atol=4)
        told = json.loads((tmp_path / name / "report.json").read_text())["warnings"]
        sizes = [m.body.detail for m in run.of("event") if m.body.name == "animal size"]
        assert told == sizes and len(told) == (name == "whole")
        if told:
            assert "camera 'left'" in told[0] and "--follow" in told[0]


def test_a_window_outside_the_image_ends_the_tracker_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path, ("left",), TrackingSettings(crop={"left": (200, 0, 100, 100)})) as run:
        assert run.error is not None and "inside 256x192 px" in str(run.error)


def test_3d_goes_on_from_fewer_views_and_says_so(tmp_path: Path) -> None:
    """Three cameras; the capture of one ends and comes back. Places are projected with the truth."""
    cameras = ("left", "top", "right")
    places = np.array([[[-40.0 + t / 2, -20, 5], [30 + t / 2, 20, -10]] for t in range(60)])
    shown = {
        model.name: [
            picture(*cv2.projectPoints(at, model.rotation, model.translation, model.matrix, None)[0][:, 0])
            for at in places
        ]
        for model in calibration(cameras).cameras
    }
    with running(tmp_path, cameras, TrackingSettings(smooth="kalman"), solid=True) as run:
        first_ns = run.begin(SLOW_NS)
        for t in range(60):
            if t == 20:
                run.wait_for(lambda: len(run.of("pose3d")) == 40)
                run.rings.pop("top").close()
            if t == 40:
                run.wait_for(lambda: len(run.of("pose3d")) == 80)
                geometry = run.rings["left"].geometry
                run.rings["top"] = RingWriter(ring_path(tmp_path, "top"), "top", geometry)
                run.wait_for(lambda: bool(run.rings["top"].readers))
                run.begins_again("top")
            for camera in ("top", "left", "right"):
                if camera != "top" or not 20 <= t < 40:
                    run.expose(camera, first_ns, t, shown[camera][t])
            run.wait_for(lambda t=t: len(run.of("pose3d")) >= 2 * (t - 8))
        run.wait_for(lambda: len(run.of("pose3d")) == 120)
    measured = np.stack([m.body.points for m in run.of("pose3d") if m.header.kind == "measured"])
    assert np.linalg.norm(measured[..., :3] - places, axis=-1).max() < 6.0
    assert (measured[:20, :, 9] == 3).all() and (measured[50:, :, 9] == 3).all()
    assert (measured[20:40, :, 9] == 2).all()
    deviation = np.sqrt(measured[:, 0][:, [3, 6, 8]].sum(axis=-1))
    assert deviation[20:40].min() > deviation[:20].max()  # fewer views: less certain, and said
    events = [(m.body.name, m.body.source) for m in run.of("event") if m.body.name.startswith("camera")]
    assert events == [("camera absent", "top"), ("camera back", "top")]
    counters = run.of("health")[-1].body.counters["pose3d"]
    assert counters["sets_with_fewer_cameras"] >= 20 and counters["points_of_2_views"] >= 40
    assert counters["points_placed"] == counters["points"] == 120
