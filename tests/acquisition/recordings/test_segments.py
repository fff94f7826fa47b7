"""A session in several segments is read as one recording."""

from __future__ import annotations

import pytest

from acquisition.errors import RigposeError
from acquisition.frame import Absence
from acquisition.recordings.check import check_recording
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.pack import pack
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import recover
from acquisition.recordings.segments import RECORDER_BACK, SegmentRule, segments_of
from tests.acquisition.sessions import number_of, write_session


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "day1"


def test_frames_are_counted_over_all_segments(folder):
    line = write_session(folder, cut_at=(20, 41))
    with Recording.open(folder) as recording:
        assert recording.gaps == []
        for camera in recording.cameras:
            pulses = [pulse for stamp, pulse in line.frames if stamp.camera == camera]
            assert len(recording.video_paths(camera)) == 3
            assert sum(recording.rows_by_video(camera).values()) == len(pulses)
            assert [number_of(image) for image in recording.images(camera)] == pulses
            for row in (0, len(pulses) - 1, 7, 21, 20, 19, 45, 3):
                assert number_of(recording.image(camera, row)) == pulses[row]
            with pytest.raises(IndexError):
                recording.image(camera, len(pulses))
            with pytest.raises(
                RigposeError, match=r"3 segments of cam_\d\. Join them: rigpose recover --join"
            ):
                recording.video_path(camera)
        for one in recording.frame_sets():
            for camera, absence in zip(recording.cameras, one.absences, strict=True):
                assert absence == line.expected[camera, one.index]
    assert all(not found["faults"] for found in check_recording(folder))
    packed = pack(folder, folder.parent / "packed")
    assert packed["pictures"] >= 58


def test_a_segment_that_was_cut_off_takes_nothing_from_the_next(folder):
    write_session(folder, cut_at=(20, 41), ended=False, loss=0, ignored=0)
    video = folder / "day1_cam_0.0001.mkv"
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.7)])
    (folder / "day1_cam_1.0001.mkv").write_bytes(b"")
    (folder / "day1_cam_1.0002.frames").write_bytes(b"")  # killed before its header
    with Recording.open(folder) as recording:
        numbers = [number_of(image) for image in recording.images("cam_0")]
        left = len(numbers) - 20 - 19
        assert 1 <= left < 21 and numbers == [*range(20 + left), *range(41, 60)]
        assert [number_of(recording.image("cam_0", row)) for row in range(len(numbers))] == numbers
        assert [number_of(image) for image in recording.images("cam_1")] == list(range(20))
        sets = recording.frame_sets()
        assert [one.absences[0] is None for one in sets] == [n < 20 + left or n >= 41 for n in range(60)]
        assert set(recording.gaps) == {
            f"cam_0: segment 1: the last {21 - left} of 21 frames were cut off",
            "cam_1: segment 1: the last 21 of 21 frames were cut off",
        }


def test_what_no_recorder_took_is_not_called_lost(folder):
    write_session(folder, cut_at=(30,), not_recorded=range(24, 34), loss=0, ignored=0)
    writer = EventsWriter(folder)
    writer.append(RECORDER_BACK, segment=1)
    writer.close()
    for _ in range(2):
        with Recording.open(folder) as recording:
            for one in recording.frame_sets():
                absence = Absence.NOT_RECORDED if 24 <= one.index < 34 else None
                assert one.absences == (absence, absence)
        recover(folder, join=True)  # the second time of one video a camera
    assert len(segments_of(folder, "cam_0")) == 1


def test_pulses_that_are_counted_anew_make_sets_of_their_own(folder):
    """The trigger was started again 0.7 of a period off its old grid."""
    line = write_session(folder, cut_at=(30,), second_train=30, loss=0, ignored=0)
    with Recording.open(folder) as recording:
        sets = recording.frame_sets()
        assert [one.index for one in sets] == [*range(30), *range(40, 70)]
        assert all(one.complete and one.spread_ns < line.period_ns // 4 for one in sets)
        assert [one.payloads for one in sets] == [(n, n) for n in range(60)]


def test_the_segment_of_a_frame_depends_on_its_time_alone():
    rule = SegmentRule(3, 1000, 100)
    assert [rule.number(t) for t in (990, 1000, 1099, 1100, 1250)] == [3, 3, 3, 4, 5]
    assert [rule.number(t, [500, 1050]) for t in (1049, 1050, 1100)] == [3, 4, 5]
    assert SegmentRule(0, 1000, 0).number(10**18) == 0
