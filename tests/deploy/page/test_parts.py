"""The page's parts by themselves: which pictures go together, what the table says."""

from __future__ import annotations

import json
import struct
import time

import numpy as np
import pytest
from msgspec.structs import replace

from calibration.poses import Pose3D, PoseSet
from deploy.page.app import _choose, packet
from deploy.page.listening import Listening, listed
from deploy.page.pictures import Picture, Pictures
from deploy.page.table import TopicWatch, process_lines
from deploy.stream.messages import Session
from deploy.stream.publisher import Publisher
from deploy.stream.settings import StreamSettings
from deploy.stream.subscriber import PoseSubscriber
from tests.deploy.streaming import STAMPS, describe, join

SECOND_NS = 1_000_000_000


def picture(t_ns: int) -> Picture:
    return Picture(t_ns, 0, 640, 480, b"\xff\xd8 picture \xff\xd9")


def pose(index: int, t_ns: int) -> tuple[PoseSet, Pose3D]:
    keypoints = np.full((2, 1, 3), index, np.float32)
    keypoints[1] = np.nan
    return PoseSet(index, t_ns, keypoints), Pose3D(index, t_ns, np.full((1, 11), index, np.float32))


def test_pictures_of_one_instant_are_shown_with_its_poses() -> None:
    now_ns = time.monotonic_ns()
    old, new = now_ns - 80_000_000, now_ns - 20_000_000
    kept = {"a": (picture(new), picture(old)), "b": (picture(new + 500_000), picture(old))}
    known = {old: pose(3, old)}

    def pose_at(t_ns: int):
        return next((found for at_ns, found in known.items() if abs(at_ns - t_ns) < 3_000_000), None)

    assert _choose(kept, pose_at)[0] == old  # the new ones' poses are not there yet
    known[new] = pose(4, new)
    t_ns, chosen = _choose(kept, pose_at)
    assert t_ns == new + 500_000
    whole, length = struct.unpack_from("<II", packet(chosen, pose_at, ("a", "b")))
    about = json.loads(packet(chosen, pose_at, ("a", "b"))[8 : 8 + length])
    assert whole == 4 + length + sum(one["bytes"] for one in about["cameras"].values())
    assert about["index"] == 4
    assert about["cameras"]["a"]["keypoints"] == [[4.0, 4.0, 4.0]]
    assert about["cameras"]["b"]["keypoints"] == [[None, None, None]]


def test_a_camera_that_is_gone_does_not_hold_up_the_others() -> None:
    now_ns = time.monotonic_ns()
    long_ago, late = now_ns - 5 * SECOND_NS, now_ns - 200_000_000
    t_ns, chosen = _choose({"a": (picture(late),), "b": (picture(long_ago),)}, lambda t_ns: None)
    assert t_ns == late
    assert chosen["b"].t_exposure_ns == long_ago
    about = packet(chosen, lambda t_ns: None, ("a", "b"))
    length = struct.unpack_from("<II", about)[1]
    cameras = json.loads(about[8 : 8 + length])["cameras"]
    assert cameras["b"]["behind_ms"] == pytest.approx(4800)
    assert cameras["a"]["keypoints"] is None
    assert _choose({"a": (), "b": ()}, lambda t_ns: None) == (0, {})


def test_pictures_of_skipped_sets_are_passed_over_while_others_have_poses() -> None:
    now_ns = time.monotonic_ns()
    times = [now_ns - n * 100_000_000 for n in (2, 3, 4)]
    kept = {"a": tuple(picture(t_ns) for t_ns in times)}
    tracked = {times[1]: pose(1, times[1])}
    assert _choose(kept, tracked.get, patient=True)[0] == times[1]
    assert _choose(kept, tracked.get, patient=False)[0] == times[1]
    assert _choose(kept, tracked.get, shown_ns=times[1], patient=True) == (0, {})
    assert _choose(kept, tracked.get, shown_ns=times[1], patient=False)[0] == times[0]


def test_nobody_looks_nothing_is_made() -> None:
    class Frame:
        image = np.zeros((8, 8), np.uint8)

        class stamp:
            camera = "a"
            t_exposure_ns = SECOND_NS

    pictures = Pictures(("a",))
    assert not pictures.wants(Frame)  # type: ignore[arg-type]
    pictures.watched(1, 15.0)
    assert pictures.wants(Frame)  # type: ignore[arg-type]
    pictures.watched(1, None)
    assert not pictures.wants(Frame)  # type: ignore[arg-type]


def test_the_table_tells_silent_from_slow_from_empty() -> None:
    watch = TopicWatch()
    for n in range(300):
        watch.heard("pose2d", n * SECOND_NS // 60, valid=True)
    for n in range(5):
        watch.heard("session", n * SECOND_NS, valid=True)
        watch.heard("health", n * SECOND_NS, valid=False)

    def rows(now_ns: int) -> dict[str, tuple[bool, bool, bool]]:
        lines = watch.lines(now_ns, 60.0)
        return {line.name: (line.alive, line.frequency_ok, line.valid) for line in lines}

    now = rows(5 * SECOND_NS)
    assert now["pose2d"] == (True, True, True)
    assert now["health"] == (True, True, False)
    assert "pose3d" not in now
    assert rows(7 * SECOND_NS)["pose2d"] == (True, False, True)
    assert rows(20 * SECOND_NS)["pose2d"] == (False, False, False)
    lines = process_lines({"tracker": {"alive": True, "reported_ns": 0, "restarts": 2}}, 20 * SECOND_NS)
    assert (lines[0].alive, lines[0].frequency_ok, lines[0].note) == (True, False, "2 restarts")


def test_numbers_that_are_none_are_null() -> None:
    assert listed(np.array([[1.234, np.nan, np.inf]], np.float32)) == [[1.23, None, None]]


@pytest.mark.parametrize("calibrated", [True, False])
def test_3d_of_the_newest_set_is_waited_for_where_the_rig_is_calibrated(tmp_path, calibrated: bool) -> None:
    def described() -> Session:
        return replace(describe()(), calibration_sha256="ab" if calibrated else "")

    listening, endpoint = Listening(), f"ipc://{tmp_path}/stream"
    with (
        Publisher(StreamSettings(endpoint=endpoint), described) as publisher,
        PoseSubscriber(endpoint) as subscriber,
    ):
        listening.heard(join(publisher, subscriber))
        for index in (1, 2):
            flat, points = pose(index, index * SECOND_NS)
            publisher.pose(flat, STAMPS)
            listening.heard(subscriber.receive(timeout_ms=5000))
            waited = listening.pose_at(index * SECOND_NS) is None
            assert waited == calibrated
            if index == 2:  # the first set's 3D never came
                assert listening.pose_at(SECOND_NS)[1] is None
                publisher.pose(points, STAMPS)
                listening.heard(subscriber.receive(timeout_ms=5000))
                assert listening.pose_at(index * SECOND_NS)[1].index == 2
