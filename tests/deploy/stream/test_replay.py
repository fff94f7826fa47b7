"""A recording published again: the same bytes, at its pace, as another session for each tracker."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from calibration.poses import Pose3D, PoseSet
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.stream.messages import CameraView, Session, StreamClock
from deploy.stream.replay import ReplayOptions, replay
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber, Received

CAMERAS, KEYPOINTS = ("top", "side"), ("nose", "tail", "paw")
STEP_NS = 10_000_000


def _told(calibration: str) -> Session:
    views = (CameraView("top", 640, 480), CameraView("side", 1280, 1024))
    return Session(
        "arena", views, KEYPOINTS, StreamClock("then", "rig", 1, 2, 3), skeleton=((0, 1),),
        calibration_sha256=calibration, period_ns=STEP_NS, recording="day1",
    )  # fmt: skip


def _any_bits(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Every float there is, all NaNs among them."""
    return rng.integers(0, 2**32, shape, np.uint32).view(np.float32)


def _record(
    folder: Path, tables: dict[str, range], calibration: str = "ab", announced: bool = True
) -> dict[tuple[str, int], bytes]:
    """A session with pose tables; the payloads by topic and index."""
    folder.mkdir()
    session = {"format": "rigpose session", "version": 1, "name": folder.name, "rig": {}}
    (folder / "session.json").write_text(json.dumps(session))
    rng = np.random.default_rng(0)
    payloads = {}
    for name, indices in tables.items():
        facts = {"calibration_sha256": calibration}
        if announced:
            facts["announcement"] = msgspec.to_builtins(_told(calibration))
        table = PoseTableWriter(folder, name, CAMERAS, KEYPOINTS, facts)
        for index in indices:
            exposure_ns = 10**12 + index * STEP_NS
            pose2d = PoseSet(index, exposure_ns, _any_bits(rng, 2, 3, 3))
            pose3d = Pose3D(index, exposure_ns, _any_bits(rng, 3, 11)) if calibration else None
            stamps = tuple(exposure_ns + late for late in (1_000_000, 1_100_000, 4_000_000, 4_200_000))
            table.append(pose2d, pose3d, stamps, (None, None))
            payloads["pose2d", index] = pose2d.keypoints.tobytes()
            if pose3d is not None:
                payloads["pose3d", index] = pose3d.points.tobytes()
        table.close()
    return payloads


def _replayed(folder: Path, speed: float = 10.0) -> tuple[list[Received], dict]:
    """What a subscriber received of a replay, and what the replay says of itself."""
    stream = StreamSettings(endpoint=f"ipc://{folder.parent}/stream")
    heard: list[Received] = []

    def listen() -> None:
        with PoseSubscriber(stream.endpoint) as subscriber:
            while (message := subscriber.receive(timeout_ms=3000 if len(heard) < 2 else 800)) is not None:
                heard.append(message)

    listener = threading.Thread(target=listen)
    listener.start()
    measured = replay(folder, stream, ReplayOptions(speed=speed, wait=1, version="v"))
    listener.join()
    return heard, measured


def _poses(heard: list[Received]) -> list[Received]:
    return [message for message in heard if message.topic != "session"]


def test_payloads_are_those_of_the_recording_bit_for_bit(tmp_path: Path) -> None:
    payloads = _record(tmp_path / "day1", {"a": range(3, 40)})
    heard, measured = _replayed(tmp_path / "day1")
    poses = _poses(heard)
    received = {
        (m.topic, m.header.index): (m.body.keypoints if m.topic == "pose2d" else m.body.points).tobytes()
        for m in poses
    }
    assert received == payloads
    assert [m.header.index for m in poses if m.topic == "pose3d"] == list(range(3, 40))
    assert [m.header.sequence for m in poses if m.topic == "pose2d"] == list(range(37))
    assert all(m.lost_before == 0 and m.header.kind == "measured" for m in poses)
    assert measured["ended"] == "all published" and (measured["sets"], measured["of"]) == (37, 37)


def test_ages_are_those_of_the_live_run_and_the_session_says_it_is_a_replay(tmp_path: Path) -> None:
    _record(tmp_path / "day1", {"a": range(5)})
    heard, _ = _replayed(tmp_path / "day1")
    session = heard[0].body
    assert isinstance(session, Session)
    assert session.replay_of == "day1" and session.recording == "" and session.rigpose == "v"
    assert session.skeleton == ((0, 1),) and session.cameras[1].width_px == 1280
    for message in _poses(heard):
        header = message.header
        assert header.t_publish_ns - header.t_exposure_ns >= 4_200_000
        assert header.t_inference_end_ns - header.t_inference_start_ns == 2_900_000
        assert header.t_valid_ns == header.t_exposure_ns
        assert message.age_ns is not None and message.age_ns >= 4_200_000


def test_it_keeps_the_pace_and_goes_faster_when_asked(tmp_path: Path) -> None:
    _record(tmp_path / "day1", {"a": range(0, 60, 2)})  # 0.58 s
    took = {}
    for speed in (1.0, 4.0):
        heard, measured = _replayed(tmp_path / "day1", speed)
        published = [m.header.t_publish_ns for m in heard if m.topic == "pose2d"]
        took[speed] = (published[-1] - published[0]) * 1e-9
        assert measured["seconds"] >= 0.57 / speed
    assert took[1.0] >= 0.55 and took[4.0] >= 0.13
    assert took[4.0] < took[1.0]


def test_a_tracker_that_was_restarted_is_another_session(tmp_path: Path) -> None:
    _record(tmp_path / "day1", {"z": range(5), "a": range(9, 14)})
    heard, measured = _replayed(tmp_path / "day1")
    poses = [m for m in heard if m.topic == "pose2d"]
    ids = [m.header.session for m in poses]
    assert len(set(ids)) == measured["sessions"] == 2 and ids == sorted(ids, key=ids.index)
    assert [m.header.index for m in poses] == [*range(5), *range(9, 14)]
    assert [m.header.sequence for m in poses] == [*range(5), *range(5)]
    assert all(m.session is not None and m.session.replay_of == "day1" for m in poses)


def test_without_3d_there_is_none_and_older_tables_are_replayed(tmp_path: Path) -> None:
    _record(tmp_path / "day1", {"a": range(3)}, calibration="", announced=False)
    heard, _ = _replayed(tmp_path / "day1")
    assert {m.topic for m in heard} == {"session", "pose2d"}
    assert heard[0].session is not None
    assert [camera.name for camera in heard[0].session.cameras] == list(CAMERAS)


def test_what_cannot_be_replayed_is_said(tmp_path: Path) -> None:
    stream = StreamSettings(endpoint=f"ipc://{tmp_path}/stream")
    with pytest.raises(RigposeError, match=r"session\.json"):
        replay(tmp_path, stream, ReplayOptions())
    _record(tmp_path / "day1", {"a": range(0)})
    with pytest.raises(RigposeError, match="none in poses/"):
        replay(tmp_path / "day1", stream, ReplayOptions())
    _record(tmp_path / "day2", {"a": range(2)})
    table = tmp_path / "day2" / "poses" / "a.poses"
    content = table.read_bytes()
    table.write_bytes(content.replace(b'{"name":', b'{"mane":', 1).replace(b'{"name": ', b'{"mane": ', 1))
    with pytest.raises(RigposeError, match="what subscribers were told"):
        replay(tmp_path / "day2", stream, ReplayOptions())
    assert not (tmp_path / "stream").exists()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4000), st.binary(max_size=40))
def test_a_damaged_table_is_replayed_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, foreign: bytes
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "day1"
    _record(folder, {"a": range(2)})
    path = folder / "poses" / "a.poses"
    content = bytearray(path.read_bytes())
    content[at % len(content) : at % len(content) + len(foreign)] = foreign
    path.write_bytes(content)
    try:
        measured = replay(folder, StreamSettings(endpoint="tcp://127.0.0.1:*"), ReplayOptions(speed=1e9))
        assert measured["sets"] <= 2
    except RigposeError as error:
        assert str(folder) in str(error)
