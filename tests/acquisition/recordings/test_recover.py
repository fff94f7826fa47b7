"""Sessions that were cut off are finished: nothing that could be kept is lost, nothing is destroyed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from acquisition.errors import RigposeError
from acquisition.recordings import recover as recovering
from acquisition.recordings.events import EventsWriter, read_events
from acquisition.recordings.frame_table import FrameTableWriter, read_frame_table
from acquisition.recordings.recording import Recording
from acquisition.recordings.recover import KEPT, recover
from acquisition.recordings.session import read_session
from acquisition.videos.encoder import CODECS
from acquisition.videos.video import open_video
from tests.acquisition.sessions import number_of, write_session


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "day1"


def cut(path: Path, share: float) -> bytes:
    """Cut a file off; what it held."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path.read_bytes()


def contents(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("codec", [name for name, codec in CODECS.items() if not codec.hardware])
def test_what_was_cut_off_is_whole_again_up_to_the_cut(folder, codec):
    write_session(folder, codec=codec, ended=False, loss=0, ignored=0)
    torn = cut(folder / "day1_cam_0.mkv", 0.7)
    said = recover(folder)
    by_camera = {one["camera"]: one for one in said["finished"]}
    kept = by_camera["cam_0"]["frames"]
    assert 30 < kept < 45 and said["frames"] == {"cam_0": kept, "cam_1": 60}
    assert by_camera["cam_0"]["rows"] == 60 and by_camera["cam_1"]["lost_s"] == 0
    assert by_camera["cam_0"]["lost_s"] == pytest.approx((60 - kept) / 30, abs=0.01)
    with Recording.open(folder) as recording:
        assert recording.gaps == [] and recording.session["ended"]["how"] == "cut off, and recovered"
        for camera, count in said["frames"].items():
            assert [number_of(image) for image in recording.images(camera)] == list(range(count))
            assert number_of(recording.image(camera, count - 1)) == count - 1
            video = open_video(recording.video_path(camera))
            assert len(list(video)) == count and video.gap is None and video.info.channels == 1
    assert (folder / KEPT / "day1_cam_0.mkv").read_bytes() == torn
    before = contents(folder)
    assert recover(folder)["finished"] == []
    assert contents(folder) == before


@pytest.mark.parametrize("events", [True, False])
def test_a_whole_session_is_left_as_it_is(folder, events):
    write_session(folder)
    if not events:  # recorded before segments had events, or adopted
        (folder / "events.jsonl").write_text("")
    before = contents(folder)
    said = recover(folder)
    assert said["finished"] == [] and said["ended"] == "time is over"
    assert contents(folder) == before


def test_only_the_segment_that_was_cut_off_is_touched(folder):
    write_session(folder, cut_at=(20, 41))
    for suffix in ("events.jsonl", "session.json"):
        assert (folder / suffix).exists()
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"camera":"cam_1","segment":2' not in line]
    (folder / "events.jsonl").write_text("".join(kept))
    cut(folder / "day1_cam_1.0002.mkv", 0.6)
    said = recover(folder)
    assert [(one["camera"], one["segment"]) for one in said["finished"]] == [("cam_1", 2)]
    assert sorted(file.name for file in (folder / KEPT).iterdir()) == [
        "day1_cam_1.0002.frames", "day1_cam_1.0002.mkv",
    ]  # fmt: skip
    assert read_session(folder)["ended"]["how"] == "time is over"


def test_a_video_without_a_picture_leaves_no_row(folder):
    write_session(folder, ended=False)
    (folder / "day1_cam_0.mkv").write_bytes(b"")
    (folder / "day1_cam_1.frames").write_bytes(b'{"format"')
    said = recover(folder)
    assert said["frames"] == {"cam_0": 0, "cam_1": 0}
    with Recording.open(folder) as recording:
        assert list(recording.images("cam_0")) == [] and recording.frame_sets() == []
    assert (folder / KEPT / "day1_cam_1.mkv").stat().st_size > 1000


def test_a_segment_that_had_only_begun_is_kept(folder):
    """Killed between the table's header and its first row."""
    write_session(folder, cut_at=(30,), loss=0, ignored=0)
    table = folder / "day1_cam_1.0002.frames"
    FrameTableWriter(table, "cam_1").close()
    (folder / "day1_cam_1.0002.mkv").write_bytes(b"begun")
    assert recover(folder, join=True)["frames"] == {"cam_0": 60, "cam_1": 60}
    assert (folder / KEPT / "day1_cam_1.0002.mkv").read_bytes() == b"begun"
    assert recover(folder)["finished"] == []
    with Recording.open(folder) as recording:
        assert [number_of(image) for image in recording.images("cam_1")] == list(range(60))


def test_after_a_hole_no_picture_is_given_to_a_wrong_row(folder):
    """A loss of power may leave zeros in the middle of a file whose end was written."""
    line = write_session(folder, ended=False, codec="mjpeg", loss=0, ignored=0)
    video = folder / "day1_cam_0.mkv"
    content = bytearray(video.read_bytes())
    third = len(content) // 3
    content[third : third + len(content) // 8] = bytes(len(content) // 8)
    video.write_bytes(content)
    recover(folder)
    with Recording.open(folder) as recording:
        numbers = [number_of(image) for image in recording.images("cam_0")]
        assert numbers == list(range(len(numbers))) and 10 <= len(numbers) < 30
    assert line.cameras


def test_zeros_at_the_end_of_a_table_are_no_rows(folder):
    write_session(folder, ended=False, loss=0, ignored=0)
    table = folder / "day1_cam_0.frames"
    table.write_bytes(table.read_bytes()[: 512 + 48 * 50] + bytes(48 * 9 + 5))
    assert recover(folder)["frames"] == {"cam_0": 50, "cam_1": 60}
    assert len(read_frame_table(table)) == 50


def test_segments_are_joined_when_asked(folder):
    line = write_session(folder, cut_at=(20, 41))
    before = {camera: [p for s, p in line.frames if s.camera == camera] for camera in line.cameras}
    said = recover(folder, join=True)
    assert said["joined"] == {"cam_0": 3, "cam_1": 3}
    with Recording.open(folder) as recording:
        for camera, pulses in before.items():
            assert recording.video_path(camera).name == f"day1_{camera}.mkv" and recording.gaps == []
            assert [number_of(image) for image in recording.images(camera)] == pulses
            assert number_of(recording.image(camera, 33)) == pulses[33]
            assert len(list(open_video(recording.video_path(camera)))) == len(pulses)
    assert len(list((folder / KEPT).iterdir())) == 12
    assert recover(folder, join=True)["joined"] == {}


@pytest.mark.parametrize("at", [1, 2, 6, 9, 10, 12])
def test_a_recovery_that_is_cut_off_is_run_again(folder, monkeypatch, at):
    """Cut off at every replacing step: what is there can be read, and the next run ends it."""
    line = write_session(folder, cut_at=(30,), loss=0, ignored=0)
    (folder / "events.jsonl").write_text("")
    put, steps = recovering._put, 0

    def once(new: Path, path: Path) -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise OSError(28, "No space left on device")
        put(new, path)

    with monkeypatch.context() as patched:
        patched.setattr(recovering, "_put", once)
        with pytest.raises(RigposeError, match="No space left on device"):
            recover(folder, join=True)
    assert not list(folder.glob(".finishing-*"))
    with Recording.open(folder) as recording:
        assert [number_of(image) for image in recording.images("cam_1")] == list(range(60))
    recover(folder, join=True)
    with Recording.open(folder) as recording:
        for camera in line.cameras:
            assert [number_of(image) for image in recording.images(camera)] == list(range(60))
            assert len(recording.video_paths(camera)) == 1


def test_a_recording_that_is_going_on_is_refused(folder):
    write_session(folder, ended=False)
    writer = EventsWriter(folder)
    with pytest.raises(RigposeError, match="found one that is going on"):
        recover(folder)
    writer.close()
    recover(folder)


def test_what_was_cut_off_stands_in_events_and_session(folder):
    write_session(folder, ended=False, loss=0, ignored=0)
    cut(folder / "day1_cam_0.mkv", 0.5)
    (one, _) = recover(folder)["finished"]
    (event, _) = [event for event in read_events(folder) if event["kind"] == "segment recovered"]
    assert one.items() <= event.items()
    assert read_session(folder)["ended"]["recovered"][0] == one


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(RigposeError, match="expected a recorded session"):
        recover(tmp_path)
    assert not list(tmp_path.iterdir())
