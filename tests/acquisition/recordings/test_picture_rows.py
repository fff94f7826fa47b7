"""Videos that were damaged after a clean end: each picture that is left keeps its row."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import av
import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.frame_table import FRAME_DTYPE
from acquisition.recordings.pack import pack
from acquisition.recordings.picture_rows import PictureRows
from acquisition.recordings.recording import Recording
from tests.acquisition.sessions import number_of, rewrite_packets, write_session


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "day1"


def numbers(folder: Path, camera: str) -> tuple[list[int | None], list[str]]:
    """What each row's picture says, and what the recording says."""
    with Recording.open(folder) as recording:
        images = [None if image is None else number_of(image) for image in recording.images(camera)]
        assert len(images) == len(recording.frame_table(camera))
        assert len(list(recording.images(camera))) == len(images)
        return images, recording.gaps


def without(missing: Container[int], stop: int = 60) -> list[int | None]:
    return [None if number in missing else number for number in range(stop)]


def test_a_segment_cut_short_leaves_the_next_in_its_place(folder: Path) -> None:
    write_session(folder, cut_at=(20, 41), loss=0, ignored=0)
    video = folder / "day1_cam_0.0001.mkv"
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    images, gaps = numbers(folder, "cam_0")
    lacking = images.count(None)
    assert 3 < lacking < 21 and images == without(range(41 - lacking, 41))
    assert gaps == [
        f"cam_0: segment 1: {lacking} of 21 pictures do not decode, the first of them number {21 - lacking}"
    ]
    assert numbers(folder, "cam_1") == (list(range(60)), [])
    packed = pack(folder, folder.parent / "packed")
    assert packed["gaps"] == gaps
    assert [each["cause"] for each in packed["videos"]["cam_0"]["black"]] == ["does not decode"] * lacking


def test_a_segment_that_is_no_video_any_more_takes_only_its_own_rows(folder: Path) -> None:
    write_session(folder, cut_at=(20, 41), loss=0, ignored=0)
    (folder / "day1_cam_0.0001.mkv").write_bytes(b"nothing of a video")
    assert numbers(folder, "cam_0")[0] == without(range(20, 41))


def test_the_only_video_being_none_is_an_error(folder: Path) -> None:
    write_session(folder)
    (folder / "day1_cam_0.mkv").write_bytes(b"nothing of a video")
    with Recording.open(folder) as recording, pytest.raises(RigposeError, match="expected a video"):
        list(recording.images("cam_0"))


def test_pictures_missing_in_the_middle_shift_none(folder: Path) -> None:
    write_session(folder, loss=0, ignored=0)
    missing = (28, 29)  # nothing refers to them: a key frame follows
    rewrite_packets(folder / "day1_cam_0.mkv", missing, None)
    images, gaps = numbers(folder, "cam_0")
    assert images == without(missing)
    assert gaps == ["cam_0: 2 of 60 pictures do not decode, the first of them number 28"]


def test_after_a_packet_that_stops_the_decoder_no_picture_is_given(folder: Path) -> None:
    write_session(folder, codec="mjpeg", loss=0, ignored=0)
    rewrite_packets(folder / "day1_cam_0.mkv", (7,), b"\0" * 40)
    images, gaps = numbers(folder, "cam_0")
    assert images == without(range(7, 60))
    assert gaps == ["cam_0: 53 of 60 pictures do not decode, the first of them number 7"]


def test_lost_frames_of_a_sound_video_are_no_gap(folder: Path) -> None:
    line = write_session(folder, loss=0.1)
    pulses = [pulse for stamp, pulse in line.frames if stamp.camera == "cam_0"]
    assert len(pulses) < 60 and numbers(folder, "cam_0") == (pulses, [])


def table_of(times_s: np.ndarray) -> np.ndarray:
    table = np.zeros(len(times_s), FRAME_DTYPE)
    table["t_exposure_ns"] = np.rint(times_s * 1e9)
    return table


def placed(rows: PictureRows, times_s: list[float]) -> list[int | None]:
    found: list[int | None] = []
    for time_s in times_s:
        found.append(rows.row(time_s, 0 if not found else (found[-1] or 0) + 1))
        if found[-1] is None:
            break
    return found


def test_an_adopted_video_whose_times_are_others_goes_by_its_packets() -> None:
    """Stamped by the camera, shown at a constant rate: the file is sound, so nothing is missing."""
    own_s = [n / 25 for n in range(40)]
    stamps_s = np.cumsum(np.random.default_rng(3).uniform(0.02, 0.09, 40))
    for origin_ns in (None, 0, round(stamps_s[0] * 1e9)):
        assert placed(PictureRows(table_of(stamps_s), origin_ns, lambda: own_s), own_s) == list(range(40))
        decoded = own_s[:9] + own_s[12:]
        rows = PictureRows(table_of(stamps_s), origin_ns, lambda: own_s)
        assert placed(rows, decoded) == [*range(9), *range(12, 40)]


def test_pictures_that_the_decoder_leaves_out_without_a_word_shift_none() -> None:
    shown_s = [n / 25 for n in range(40)]
    rows = PictureRows(table_of(np.array(shown_s)), 0, lambda: shown_s)
    assert placed(rows, shown_s[1:9] + shown_s[12:]) == [*range(1, 9), *range(12, 40)]


def test_where_nothing_tells_the_row_no_picture_is_given() -> None:
    stamps_s = 7 + np.arange(40) / 25 * 1.001
    left_s = [n / 25 for n in range(40) if n not in (9, 10)]
    assert placed(PictureRows(table_of(stamps_s), 0, lambda: left_s), left_s) == [*range(9), None]


def test_rates_above_the_containers_times_are_told_apart() -> None:
    """At 1500 Hz the times of the file run ahead of the exposures, a millisecond a frame."""
    exposures_s = np.arange(300) / 1500
    shown_s = [n / 1000 for n in range(300)]
    left_s = shown_s[:100] + shown_s[103:]
    rows = PictureRows(table_of(exposures_s), 0, lambda: left_s)
    assert placed(rows, left_s) == [*range(100), *range(103, 300)]


def test_packets_have_the_times_of_their_pictures(folder: Path) -> None:
    from acquisition.videos.indexed_video import IndexedVideo

    write_session(folder)
    with av.open(str(folder / "day1_cam_0.mkv")) as container:
        shown_s = [frame.time for frame in container.decode(video=0)]
    assert IndexedVideo(folder / "day1_cam_0.mkv").times_s == shown_s
