"""Copies of videos: the right frames, at their own times, with the right pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.videos.tools import crop, downsample, shorten
from acquisition.videos.video import open_video
from tests.acquisition.clips import clip, repeated_stamp, times_of
from tests.acquisition.sessions import number_of, write_session

UNEVEN = [0, 40, 80, 160, 200, 333, 400, 440, 480, 1000]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize("bframes", [0, 2])
def test_the_part_asked_for_with_its_times(tmp_path, ending, bframes):
    video = clip(tmp_path / f"a{ending}", UNEVEN, bframes=bframes)
    for start, stop, first, last in (
        ("0.08", "0.4", 2, 6), ("2f", "6f", 2, 6), ("0", None, 0, 10), ("00:00:00.2", None, 4, 10),
    ):  # fmt: skip
        said = shorten(video, None, start=start, stop=stop, overwrite=True)
        assert said["output"] == str(tmp_path / f"ashort{ending}")
        assert (said["frames"], said["first_frame"], said["gap"]) == (last - first, first, None)
        copy = open_video(tmp_path / f"ashort{ending}")
        assert [number_of(image) for image in copy] == list(range(first, last))
        wanted = [t - UNEVEN[first] for t in UNEVEN[first:last]]
        np.testing.assert_allclose(times_of(tmp_path / f"ashort{ending}"), wanted, atol=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{ending}", f"ashort{ending}"]


def test_opencv_counts_and_seeks_the_copy(tmp_path):
    shorten(clip(tmp_path / "a.mp4"), None, start="5f", stop="20f")
    capture = cv2.VideoCapture(str(tmp_path / "ashort.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 15
    for wanted in (12, 3, 14):
        capture.set(cv2.CAP_PROP_POS_FRAMES, wanted)
        assert number_of(capture.read()[1]) == 5 + wanted
    capture.release()


def test_crop_keeps_the_pixels_of_the_box(tmp_path):
    video = clip(tmp_path / "a.mkv", UNEVEN, colour=True)
    said = crop(video, tmp_path / "o" / "b.mp4", box=(9, 49, 8, 42))
    assert (said["width_px"], said["height_px"], said["frames"]) == (40, 34, 10)
    for before, after in zip(open_video(video), open_video(tmp_path / "o" / "b.mp4"), strict=True):
        assert np.abs(before[8:42, 9:49].astype(int) - after).mean() < 4
    np.testing.assert_allclose(times_of(tmp_path / "o" / "b.mp4"), UNEVEN, atol=1)


def test_a_mono_recording_s_video_stays_mono_and_keeps_its_levels(tmp_path):
    write_session(tmp_path / "day1", pulses=12, loss=0, ignored=0)
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    said = crop(video, tmp_path / "c.mp4", box=(0, 63, 0, 47))  # grey has no chroma: odd sizes will do
    assert (said["width_px"], said["height_px"]) == (63, 47)
    for before, after in zip(open_video(video), open_video(tmp_path / "c.mp4"), strict=True):
        assert after.ndim == 2
        assert np.abs(before[:47, :63].astype(int) - after).mean() < 1.5


def test_downsampling_means_areas_and_keeps_every_second(tmp_path):
    video = clip(tmp_path / "a.mkv", UNEVEN)
    said = downsample(video, None, width=32)
    assert (said["width_px"], said["height_px"]) == (32, 24)
    for before, after in zip(open_video(video), open_video(tmp_path / "adownsampled.mkv"), strict=True):
        assert (
            np.abs(cv2.resize(before, (32, 24), interpolation=cv2.INTER_AREA).astype(int) - after).mean() < 4
        )
    said = downsample(video, tmp_path / "b.mp4", every=3)
    assert [number_of(image) for image in open_video(tmp_path / "b.mp4")] == [0, 3, 6, 9]
    np.testing.assert_allclose(times_of(tmp_path / "b.mp4"), UNEVEN[::3], atol=1)


@pytest.mark.parametrize(("turn", "quarters"), [(90, -1), (180, 2), (270, 1)])
def test_turning_is_clockwise(tmp_path, turn, quarters):
    video = clip(tmp_path / "a.mkv", UNEVEN[:3])
    downsample(video, tmp_path / "b.mp4", turn=turn)
    for before, after in zip(open_video(video), open_video(tmp_path / "b.mp4"), strict=True):
        assert np.abs(np.rot90(before, quarters).astype(int) - after).mean() < 4


def test_a_cut_off_video_gives_what_there_is_and_says_so(tmp_path):
    video = clip(tmp_path / "a.avi", range(0, 2000, 40), codec="mjpeg")
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    said = shorten(video, None)
    assert 10 < said["frames"] < 40 and str(video) in said["gap"]
    assert len(list(open_video(tmp_path / "ashort.mp4"))) == said["frames"]


def test_stamps_that_do_not_grow_are_set_and_counted(tmp_path):
    """As they come out of broken muxers; players and encoders go mad over them."""
    repeated_stamp(clip(tmp_path / "a.mp4"), tmp_path / "b.mkv", 7)
    said = downsample(tmp_path / "b.mkv", None, width=32)
    assert (said["times_set"], said["frames"]) == (1, 25)
    assert np.all(np.diff(times_of(tmp_path / "bdownsampled.mkv")) > 0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda v: shorten(v, None, start="5"), "none, the video has 25"),
        (lambda v: shorten(v, None, start="0.5", stop="0.2"), "none, the video has"),
        (lambda v: shorten(v, None, start="-1"), "HH:MM:SS"),
        (lambda v: shorten(v, None, stop="later"), "HH:MM:SS"),
        (lambda v: shorten(v, v), "no input"),
        (lambda v: shorten(v, v.with_suffix(".wmv")), r"\.mp4"),
        (lambda v: shorten(v, v.with_name("there.mp4")), "--overwrite"),
        (lambda v: shorten(v.with_name("none.mp4"), None), "nothing there"),
        (lambda v: shorten(v.parent, None), "found a folder"),
        (lambda v: crop(v, None, box=(0, 65, 0, 48)), "inside 64 x 48"),
        (lambda v: crop(v, None, box=(10, 10, 0, 48)), "widths first"),
        (lambda v: crop(v, None, box=(0, 33, 0, 48)), "one pixel more or less"),
        (lambda v: downsample(v, None), "what to make smaller"),
        (lambda v: downsample(v, None, every=0), "what to make smaller"),
        (lambda v: downsample(v, None, width=128), "2 x 2 to 64 x 48"),
        (lambda v: downsample(v, None, width=0), "2 x 2 to"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path, make, says):
    video = clip(tmp_path / "a.mp4")
    (tmp_path / "there.mp4").write_text("mine")
    with pytest.raises(RigposeError, match=says):
        make(video)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "there.mp4"]
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_recordings_are_not_taken_apart(tmp_path):
    write_session(tmp_path / "day1", pulses=3)
    with pytest.raises(RigposeError, match="video pack"):
        shorten(tmp_path / "day1", None)


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path, monkeypatch):
    video = clip(tmp_path / "a.mp4")
    import acquisition.videos.output as out

    written = out.VideoOutput.write

    def full(self, frame):
        if self.written == 5:
            with self._mendable():
                raise OSError(28, "No space left on device")
        written(self, frame)

    monkeypatch.setattr(out.VideoOutput, "write", full)
    with pytest.raises(RigposeError, match="No space left"):
        shorten(video, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
