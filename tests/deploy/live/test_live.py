"""`live` on the simulated rig: real processes, real rings, real network, a subscriber elsewhere."""

import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.recording import Recording
from acquisition.rig import RigSettings
from acquisition.settings import read_yaml
from acquisition.simulation.scene import write_scene
from acquisition.simulation.timeline import Cause
from acquisition.simulation.trigger import SimulatedTrigger
from acquisition.simulation.truth import Truth
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from calibration.poses import PoseSet
from deploy.bundles.predictor import Predictor
from deploy.live.live import LiveOptions, live
from deploy.poses_io.pose_table import read_pose_tables
from deploy.stream.keys import new_pair
from deploy.stream.messages import Session, StreamClock
from deploy.stream.publisher import Publisher
from deploy.stream.replay import ReplayOptions, replay
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from deploy.tracking_settings import TrackingSettings
from tests.deploy.streaming import client

BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"
CAUSES = {Cause.LOST: "lost", Cause.IGNORED: "trigger ignored"}
pytestmark = [pytest.mark.long, pytest.mark.alone]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small cameras that lose frames."""
    folder = tmp_path_factory.mktemp("scene")
    write_scene(
        folder, kind="animal", seed=5, frame_sets=20, cameras=2, size=(160, 120), loss_rate=0.04,
        ignored_rate=0.03,
        rig={"sync": {"tolerance_ms": 4.0, "max_delay_ms": 2000.0}, "recording": {"codec": "ffv1"}},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def rig(scene: Path) -> RigSettings:
    content = read_yaml(scene / "rig.yaml")
    for camera in content["cameras"].values():
        camera["uri"] = camera["uri"].replace("sim://", f"sim://{scene}/")
    content["trigger"]["port"] = content["trigger"]["port"].replace("sim://", f"sim://{scene}/")
    return RigSettings.model_validate(content)


@pytest.fixture(scope="module")
def calibration(rig: RigSettings, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from acquisition.drivers.simulated import SimulatedCamera

    name, first = next(iter(rig.cameras.items()))
    SimulatedCamera(name, first.uri).open({})  # the world folder with its scene
    path = tmp_path_factory.mktemp("calibration") / "calibration.toml"
    save_toml(
        CalibratedRig(tuple(
            CameraModel(
                name, (int(true["size_px"][0]), int(true["size_px"][1])), true["matrix"], true["distortion"],
                cv2.Rodrigues(true["rotation"])[0].ravel(), true["translation_mm"],
            )
            for name, true in Truth.load(scene / "world").cameras.items()
        )),
        path,
    )  # fmt: skip
    return path


@pytest.fixture
def stream(tmp_path: Path) -> StreamSettings:
    return StreamSettings(endpoint=f"ipc://{tmp_path}/stream")


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def _first_pose(subscriber: PoseSubscriber, session: int = 1) -> int:
    """Index of the first pose of the `session`th stream session."""
    until = time.monotonic() + 100
    while time.monotonic() < until:
        message = subscriber.receive(timeout_ms=100)
        if message is not None and subscriber.sessions == session:
            return message.header.index
    raise AssertionError("no pose")


def test_accounts_losses_and_poses_of_a_recorded_run(
    rig: RigSettings, scene: Path, calibration: Path, stream: StreamSettings, tmp_path: Path
) -> None:
    options = LiveOptions(
        BUNDLE, calibration, seconds=4.0, runtime="onnx", record=tmp_path / "day1", notes="n",
        poses=tmp_path / "heard.npz",
    )  # fmt: skip
    measured = live(rig, stream, options)

    assert measured["ended"] == "time is over" and measured["died"] == {} and measured["restarts"] == {}
    assert measured["balanced"]
    assert measured["sets_in"] == measured["published"] + measured["skipped"] + measured["empty"]
    assert measured["pulses"] - 1 <= measured["sets_in"] <= measured["pulses"]
    truth = Truth.load(scene / "world")
    injected = {
        (index, name, CAUSES[Cause(int(cause))])
        for name, causes in truth.causes.items()
        for index, cause in enumerate(causes[: measured["sets_in"]])
        if Cause(int(cause)) in CAUSES
    }
    assert len(injected) > 5
    reported = {(index, name, cause) for index, name, cause in measured["absences"]}
    assert {absence[:2] for absence in reported} == {absence[:2] for absence in injected}
    # Of a lost frame and an ignored pulse that are neighbours a count cannot tell which was first.
    assert Counter(absence[1:] for absence in reported) == Counter(absence[1:] for absence in injected)

    heard = np.load(tmp_path / "heard.npz")
    assert measured["subscriber"]["lost"]["pose2d"] == 0
    assert len(heard["pose2d_index"]) == len(heard["pose3d_index"]) == measured["published"]
    assert heard["pose2d"].shape[1:] == (2, 2, 3) and heard["pose3d"].shape[1:] == (2, 11)
    assert (np.diff(heard["pose2d_index"]) > 0).all()
    assert (heard["pose3d_t_received_ns"] > heard["pose3d_t_publish_ns"]).all()
    latency = measured["subscriber"]["latency"]["exposure_to_subscriber_pose3d"]
    assert latency["count"] == measured["published"] and latency["p50_ms"] > 0
    assert measured["stages"]["exposure_to_publish"]["count"] == measured["published"]

    # The recording beside: lossless, so the same network finds the same poses in it.
    (table,) = read_pose_tables(tmp_path / "day1")
    rows = {int(record["index"]): record for record in table.records}
    assert list(rows) == heard["pose2d_index"].tolist()
    predictor = Predictor(BUNDLE, runtime="onnx", cameras=2)
    compared = 0
    with Recording.open(tmp_path / "day1") as recording:
        for frame_set in recording.frame_sets():
            if frame_set.index not in rows or frame_set.index % 10:
                continue
            images = [
                None if row is None or row < 0 else recording.image(camera, row)
                for camera, row in zip(recording.cameras, frame_set.payloads, strict=True)
            ]
            np.testing.assert_array_equal(predictor.predict(images), rows[frame_set.index]["pose2d"])
            compared += 1
        assert recording.session["ended"]["how"] == "stopped"
        assert recording.session["calibration"]["file"] == "calibration.toml"
    assert compared >= 5
    assert (tmp_path / "day1" / "calibration.toml").read_bytes() == calibration.read_bytes()


def test_a_replay_is_the_live_stream_again_on_any_address_with_keys(
    rig: RigSettings, calibration: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    new_pair(keys, "server")
    mine = client(keys, "ada")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stream = StreamSettings(keys=keys, endpoint=f"tcp://*:{port}")

    def listen(heard: list[tuple[Any, ...]], over: threading.Event) -> None:
        with PoseSubscriber(f"tcp://127.0.0.1:{port}", ["pose2d", "pose3d"], mine) as subscriber:
            while (message := subscriber.receive(timeout_ms=200)) is not None or not over.is_set():
                if message is not None:
                    header, body = message.header, message.body
                    about = (message.topic, header.sequence, header.index, header.kind, header.shape)
                    array = body.keypoints if isinstance(body, PoseSet) else body.points
                    heard.append((*about, array.tobytes()))

    def heard_of(run: Callable[[], dict[str, Any]]) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
        heard: list[tuple[Any, ...]] = []
        over = threading.Event()
        listener = threading.Thread(target=listen, args=(heard, over))
        listener.start()
        try:
            measured = run()
        finally:
            over.set()
            listener.join()
        return heard, measured

    day = tmp_path / "day1"
    lived, measured = heard_of(
        lambda: live(rig, stream, LiveOptions(BUNDLE, calibration, seconds=3.0, runtime="onnx", record=day))
    )
    assert measured["subscriber"]["received"]["pose3d"] == measured["published"] > 20
    assert measured["stream"]["clients_refused_unlisted"] == 0
    replayed, again = heard_of(lambda: replay(day, stream, ReplayOptions(speed=2.0, wait=1)))
    assert again["sets"] == measured["published"]
    assert len(lived) == 2 * measured["published"]
    assert sorted(replayed) == sorted(lived)
    assert [message[:3] for message in replayed] == [message[:3] for message in lived]


def test_filters_and_prediction_run_beside_and_the_recording_stays_as_measured(
    rig: RigSettings, calibration: Path, stream: StreamSettings, tmp_path: Path
) -> None:
    options = LiveOptions(
        BUNDLE, calibration, seconds=3.0, runtime="onnx", record=tmp_path / "day1",
        poses=tmp_path / "heard.npz", tracking=TrackingSettings(smooth="kalman", predict=True, follow=True),
    )  # fmt: skip
    measured = live(rig, stream, options)
    assert measured["balanced"] and measured["died"] == {} and measured["subscriber"]["lost"]["pose2d"] == 0
    heard = np.load(tmp_path / "heard.npz")
    for topic in ("pose2d", "pose3d"):
        indices = heard[f"{topic}_index"]
        assert len(indices) == measured["published"]
        for kind in ("filtered", "predicted"):
            np.testing.assert_array_equal(heard[f"{topic}_{kind}_index"], indices)
            assert heard[f"{topic}_{kind}"].shape == heard[topic].shape
        ahead_ns = heard[f"{topic}_predicted_t_valid_ns"] - heard[f"{topic}_t_exposure_ns"]
        assert (ahead_ns > 0).all()
        assert (heard[f"{topic}_filtered_t_valid_ns"] == heard[f"{topic}_t_exposure_ns"]).all()
    (table,) = read_pose_tables(tmp_path / "day1")
    np.testing.assert_array_equal(table.records["pose2d"], heard["pose2d"])
    assert set(measured["follow"]) == {"follow cam_0", "follow cam_1"}
    assert "exposure_to_subscriber_pose2d_predicted" in measured["subscriber"]["latency"]


def test_a_killed_tracker_is_replaced_and_the_stream_begins_anew(
    rig: RigSettings, stream: StreamSettings, tmp_path: Path
) -> None:
    seen: list[int] = []

    def kill_tracker_then_stop() -> None:
        try:
            with PoseSubscriber(stream.endpoint, topics=["pose2d"]) as subscriber:
                _first_pose(subscriber)
                while not any(len(table.records) for table in read_pose_tables(tmp_path / "day1")):
                    time.sleep(0.05)  # poses are sent before they are written
                (tracker,) = [one for one in multiprocessing.active_children() if one.name == "tracker"]
                tracker.kill()
                seen.append(_first_pose(subscriber, session=2))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=kill_tracker_then_stop)
    watcher.start()
    measured = live(rig, stream, LiveOptions(BUNDLE, runtime="onnx", record=tmp_path / "day1"))
    watcher.join()
    assert measured["ended"] == "interrupted" and measured["restarts"] == {"tracker": 1}
    assert measured["subscriber"]["sessions"] == 2
    # Pulses before the restart are not the new tracker's: it counts none of them, and invents no loss.
    # (The subscriber may have missed the burst in which the first sets come.)
    earliest = seen[0] - 20
    assert measured["balanced"] and 0 < measured["sets_in"] <= measured["pulses"] - earliest
    assert all(index >= earliest for index, *_ in measured["absences"])
    # Both trackers' numbers are those of the recording.
    with Recording.open(tmp_path / "day1") as recording:
        times = {one.index: one.t_exposure_ns for one in recording.frame_sets()}
    tables = read_pose_tables(tmp_path / "day1")
    assert len(tables) == 2 and min(len(table.records) for table in tables) > 0
    for table in tables:
        for record in table.records:
            assert abs(times[int(record["index"])] - int(record["t_exposure_ns"])) < 5_000_000


def test_a_signal_ends_everything_within_ten_seconds(
    rig: RigSettings, stream: StreamSettings, tmp_path: Path
) -> None:
    stopped_ns: list[int] = []

    def stop_after_a_pose() -> None:
        try:
            with PoseSubscriber(stream.endpoint, topics=["pose2d"]) as subscriber:
                _first_pose(subscriber)
        finally:
            stopped_ns.append(time.monotonic_ns())
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_after_a_pose).start()
    measured = live(rig, stream, LiveOptions(BUNDLE, runtime="onnx", record=tmp_path / "day1"))
    took_s = (time.monotonic_ns() - stopped_ns[0]) * 1e-9
    assert measured["ended"] == "interrupted" and measured["balanced"] and measured["published"] > 0
    assert measured["recording"]["frames"]["cam_0"] > 0
    assert measured["died"] == {}  # nobody had to be killed
    assert took_s < 10  # on a machine that nobody else uses, it takes two


def test_a_trigger_that_fails_ends_the_run_and_its_session_says_so(
    rig: RigSettings, stream: StreamSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subscribers know one count of pulses, so that it is not begun anew here."""
    start = SimulatedTrigger.start

    def fail_soon(self: SimulatedTrigger) -> tuple[int, int]:
        threading.Timer(1.0, setattr, (self, "fault", "the trigger was reset")).start()
        return start(self)

    monkeypatch.setattr(SimulatedTrigger, "start", fail_soon)
    measured = live(rig, stream, LiveOptions(BUNDLE, runtime="onnx", seconds=60, record=tmp_path / "day1"))
    assert measured["ended"] == "the trigger was reset" and measured["pulses"] > 10
    with Recording.open(tmp_path / "day1") as recording:
        assert recording.session["ended"]["how"] == "the trigger was reset"
        assert [event["why"] for event in recording.events() if event["kind"] == "trigger fault"] == [
            "the trigger was reset"
        ]


def test_a_changed_byte_in_the_bundle(rig: RigSettings, stream: StreamSettings, tmp_path: Path) -> None:
    bundle = tmp_path / "x.bundle"
    shutil.copytree(BUNDLE, bundle)
    artifact = next(bundle.glob("*.onnx"))
    artifact.chmod(0o644)
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.write_bytes(content)
    with pytest.raises(RigposeError, match="changed or damaged"):
        live(rig, stream, LiveOptions(bundle, seconds=1, record=tmp_path / "day1"))
    assert not (tmp_path / "day1").exists()


def test_a_calibration_without_one_of_the_cameras(
    rig: RigSettings, calibration: Path, stream: StreamSettings, tmp_path: Path
) -> None:
    renamed = tmp_path / "calibration.toml"
    renamed.write_text(calibration.read_text().replace('"cam_1"', '"other"'))
    with pytest.raises(RigposeError, match="expected camera 'cam_1'"):
        live(rig, stream, LiveOptions(BUNDLE, renamed, seconds=1))


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (TrackingSettings(crop={"cam_7": (0, 0, 50, 50)}), "tracking.crop: expected cameras of the rig"),
        (TrackingSettings(follow=("cam_7",)), "tracking.follow: expected cameras of the rig"),
        (TrackingSettings(crop={"cam_0": (100, 0, 100, 50)}), "inside 160x120 px"),
    ],
)
def test_windows_that_cannot_be(
    rig: RigSettings, stream: StreamSettings, tmp_path: Path, tracking: TrackingSettings, message: str
) -> None:
    with pytest.raises(RigposeError, match=message):
        live(
            rig,
            stream,
            LiveOptions(BUNDLE, seconds=1, runtime="onnx", record=tmp_path / "day1", tracking=tracking),
        )
    assert not (tmp_path / "day1").exists()


def test_an_endpoint_in_use(rig: RigSettings, stream: StreamSettings, tmp_path: Path) -> None:
    def describe() -> Session:
        return Session("other", (), (), StreamClock("", "", 0, 0, 0))

    with (
        Publisher(stream, describe),
        pytest.raises(RigposeError, match="in use by another process"),
    ):
        live(rig, stream, LiveOptions(BUNDLE, seconds=1, runtime="onnx", record=tmp_path / "day1"))
    assert not (tmp_path / "day1").exists()


def test_a_camera_that_is_not_there(
    rig: RigSettings, scene: Path, stream: StreamSettings, tmp_path: Path
) -> None:
    cameras = {**rig.cameras, "cam_9": rig.cameras["cam_0"].model_copy(
        update={"uri": f"sim://{scene}/scene.yaml#cam_9"}
    )}  # fmt: skip
    with pytest.raises(RigposeError, match="cam_9"):
        live(
            rig.model_copy(update={"cameras": cameras}), stream,
            LiveOptions(BUNDLE, seconds=1, runtime="onnx", record=tmp_path / "day1"),
        )  # fmt: skip
    assert not (tmp_path / "day1").exists()


def test_poses_into_a_folder_that_does_not_exist(
    rig: RigSettings, stream: StreamSettings, tmp_path: Path
) -> None:
    with pytest.raises(RigposeError, match="no such folder"):
        live(rig, stream, LiveOptions(BUNDLE, seconds=1, poses=tmp_path / "nowhere" / "x.npz"))
