"""Faults that were put into videos are found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.check import check_recording, check_video, check_videos
from tests.acquisition.clips import clip, repeated_stamp
from tests.acquisition.sessions import write_session


@pytest.mark.parametrize(
    ("name", "bframes"), [("a.mp4", 0), ("a.mp4", 2), ("a.mkv", 0), ("a.mkv", 2), ("a.avi", 0)]
)
def test_a_sound_video_has_no_faults(tmp_path, name, bframes):
    codec = "mjpeg" if name.endswith("avi") else "libx264"
    said = check_video(clip(tmp_path / name, codec=codec, bframes=bframes))
    assert said["faults"] == []
    assert said["frames"] == said["packets"] == 25
    assert said["interval_ms"][1] == pytest.approx(40, abs=0.01)


def test_30_hz_in_milliseconds_is_a_constant_rate(tmp_path):
    times = [round(n * 1000 / 30) for n in range(90)]
    assert check_video(clip(tmp_path / "a.mkv", times))["faults"] == []


def test_missing_frames_are_counted_where_they_are(tmp_path):
    times = [40 * n for n in range(60) if n not in (7, 20, 21, 22)]
    said = check_video(clip(tmp_path / "a.mkv", times))
    assert said["missing"] == {"count": 4, "at": [7, 19]}
    assert not said["variable_rate"]
    assert said["faults"] == ["4 frames missing by the times (first at 7)"]


def test_two_frames_at_one_time(tmp_path):
    video = repeated_stamp(clip(tmp_path / "a.mp4"), tmp_path / "b.mkv", 7)
    said = check_video(video)
    assert said["duplicate"] == {"count": 1, "at": [7]}
    assert said["faults"][0] == "1 frames at the same time (first at 7)"


def test_a_variable_rate(tmp_path):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(33, 48, 60)).tolist()
    said = check_video(clip(tmp_path / "a.mkv", times))
    assert said["variable_rate"]
    assert "variable rate" in said["faults"][0]


def test_broken_packets(tmp_path):
    """Bytes overwritten in the middle of the file: counted by packet, the rest is decoded."""
    video = clip(tmp_path / "a.avi", range(0, 2000, 40), codec="ffv1")
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = b"\xa5" * 60
    video.write_bytes(bytes(content))
    said = check_video(video)
    assert 1 <= said["broken"]["count"] <= 3
    assert 5 < said["broken"]["at"][0] < 40
    assert said["faults"]


def test_a_file_that_was_cut_off(tmp_path):
    video = clip(tmp_path / "a.avi", range(0, 2000, 40), codec="mjpeg")
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    said = check_video(video)
    assert any("header says 50" in fault for fault in said["faults"])


def test_a_recording_is_compared_with_its_frame_tables(tmp_path):
    line = write_session(tmp_path / "day1", pulses=60)
    said = check_recording(tmp_path / "day1")
    lost = [sum(cause is not None for cause in line.truth[camera]) for camera in line.cameras]
    assert any(lost)
    for found in said:
        assert found["faults"] == []  # what a camera lost is known, and no fault of its file
        assert found["rows"] == found["frames"]
    table = tmp_path / "day1" / "day1_cam_0.frames"
    table.write_bytes(table.read_bytes()[: -48 * 5])
    (bad, good) = check_recording(tmp_path / "day1")
    frames, rows = bad["frames"], bad["frames"] - 5
    assert bad["faults"] == [
        f"{frames} frames, {rows} rows in the frame table",
        f"cam_0: its frame table has {rows} of {frames} recorded frames",
    ]
    assert good["faults"] == []


def without(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).unlink()
    return folder


def test_a_camera_that_recorded_nothing(tmp_path):
    write_session(tmp_path / "day1", pulses=10, ended=False)
    said = check_videos([without(tmp_path / "day1", "day1_cam_1.mkv", "day1_cam_1.frames")])
    assert said["faulty"] == 1
    assert said["videos"][1]["faults"] == ["cam_1: recorded no frame"]


def test_files_that_are_gone_are_not_called_frames_that_never_were(tmp_path):
    line = write_session(tmp_path / "day1", pulses=60, cut_at=(30,))
    frames = sum(stamp.camera == "cam_1" for stamp, _ in line.frames)
    second = sum(stamp.camera == "cam_1" and pulse >= 30 for stamp, pulse in line.frames)

    def of_cam_1() -> dict[str, list[str]]:
        said = check_recording(tmp_path / "day1")
        assert [found["faults"] for found in said if found["camera"] == "cam_0"] == [[], []]
        return {Path(found["video"]).name: found["faults"] for found in said if found["camera"] == "cam_1"}

    without(tmp_path / "day1", "day1_cam_1.0001.mkv")
    assert of_cam_1() == {
        "day1_cam_1.mkv": [],
        "day1_cam_1.0001.mkv": [f"the video is gone: its frame table has {second} rows"],
    }
    without(tmp_path / "day1", "day1_cam_1.0001.frames")
    fewer = f"cam_1: its frame table has {frames - second} of {frames} recorded frames"
    assert of_cam_1() == {"day1_cam_1.mkv": [fewer]}
    without(tmp_path / "day1", "day1_cam_1.mkv", "day1_cam_1.frames")
    assert of_cam_1() == {"day1_cam_1.mkv": [f"cam_1: its frame table has 0 of {frames} recorded frames"]}


def test_what_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind" * 30)
    for path, says in ((tmp_path / "a.mp4", "cannot be decoded"), (tmp_path / "b.mp4", "nothing there")):
        with pytest.raises(RigposeError, match=says):
            check_videos([path])
