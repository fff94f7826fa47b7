"""Pictures of videos that were damaged after a clean end, by row, in order, and by their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.picture_rows import GONE
from acquisition.recordings.recording import Recording
from acquisition.videos.indexed_video import IndexedVideo
from tests.acquisition.sessions import number_of, rewrite_packets, write_session

ROWS = 150
GROUP = 30  # pictures from one key frame to the next


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_session(tmp_path / "day1", loss=0, ignored=0, pulses=ROWS)
    return tmp_path / "day1"


def by_row(recording: Recording, camera: str = "cam_0") -> list[int | None]:
    """What the picture of each row says, asked for one by one and backwards; None where it is refused."""
    found: list[int | None] = []
    for row in reversed(range(ROWS)):
        try:
            found.append(number_of(recording.image(camera, row)))
        except RigposeError:
            found.append(None)
    return found[::-1]


def test_a_video_cut_short_keeps_the_pictures_before_the_cut(folder: Path) -> None:
    video = folder / "day1_cam_0.mkv"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 3 // 5])
    with Recording.open(folder) as recording:
        said = by_row(recording)
        kept = ROWS - said.count(None)
        assert GROUP < kept < ROWS - GROUP
        assert said == [*range(kept), *[None] * (ROWS - kept)]
        assert [number_of(image) for image in recording.images("cam_0") if image is not None] == said[:kept]
        assert by_row(recording) == said
        assert recording.gaps == [
            f"cam_0: {ROWS - kept} of {ROWS} pictures do not decode, the first of them number {kept}"
        ]
        with pytest.raises(RigposeError, match=r"day1_cam_0\.mkv: expected the picture of row 149, found a"):
            recording.image("cam_0", ROWS - 1)
        with pytest.raises(IndexError):
            recording.image("cam_0", ROWS)
        assert by_row(recording, "cam_1") == [*range(ROWS)]


def test_bytes_overwritten_in_the_middle_put_no_picture_into_anothers_row(folder: Path) -> None:
    video = folder / "day1_cam_0.mkv"
    content = bytearray(video.read_bytes())
    half = len(content) // 2
    content[half : half + 2000] = bytes(2000)
    video.write_bytes(content)
    with Recording.open(folder) as recording:
        numbers = recording.picture_numbers("cam_0")
        assert (len(numbers), numbers[0]) == (ROWS, 0)
        gone = np.flatnonzero(numbers == GONE)
        assert 0 < len(gone) < 2 * GROUP
        there = numbers[numbers != GONE]
        assert there.tolist() == list(range(len(there)))
        assert numbers[-1] == len(there) - 1  # those after the damage are found by their times
        (gap,) = recording.gaps
        assert gap.startswith(
            f"cam_0: {len(gone)} of {ROWS} pictures do not decode, the first of them number"
        )
        said = by_row(recording)
        first, last = gone[0] - 1, gone[-1] + GROUP  # up to the next key frame pictures build on damaged ones
        assert said[:first] == [*range(first)]
        assert said[last:] == [*range(last, ROWS)]
        in_order = [None if image is None else number_of(image) for image in recording.images("cam_0")]
        assert in_order[:first] == [*range(first)]
        assert len(in_order) == ROWS
        assert all(said in (None, row) for row, said in enumerate(in_order) if not first <= row < last)
        assert len(recording.gaps) == 1


def test_packets_that_are_gone_shift_no_row(folder: Path) -> None:
    rewrite_packets(folder / "day1_cam_0.mkv", (28, 29, 59), None)
    with Recording.open(folder) as recording:
        assert by_row(recording) == [None if row in (28, 29, 59) else row for row in range(ROWS)]
        assert recording.gaps == [f"cam_0: 3 of {ROWS} pictures do not decode, the first of them number 28"]


def test_a_picture_that_does_not_decode_is_not_replaced_by_the_next(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", codec="mjpeg", loss=0, ignored=0, pulses=40)
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.mkv", (7,), b"\0" * 40)
    video = IndexedVideo(tmp_path / "day1" / "day1_cam_0.mkv")
    assert number_of(video.image(6)) == 6
    with pytest.raises(RigposeError, match="expected frame 7, found a video that does not decode there"):
        video.image(7)
    assert [number_of(video.image(number)) for number in (8, 9, 6, 30)] == [8, 9, 6, 30]
    video.close()


def test_a_segment_that_is_no_video_any_more(tmp_path: Path) -> None:
    write_session(tmp_path / "day1", cut_at=(20, 41), loss=0, ignored=0, pulses=60)
    (tmp_path / "day1" / "day1_cam_0.0001.mkv").write_bytes(b"nothing of a video")
    with Recording.open(tmp_path / "day1") as recording:
        numbers = recording.picture_numbers("cam_0")
        assert numbers.tolist() == [*range(20), *[GONE] * 21, *range(19)]
        assert number_of(recording.image("cam_0", 41)) == 41
        with pytest.raises(RigposeError, match=r"0001\.mkv: expected the picture of row 3"):
            recording.image("cam_0", 23)
        assert recording.gaps == [
            "cam_0: segment 1: 21 of 21 pictures do not decode, the first of them number 0"
        ]
