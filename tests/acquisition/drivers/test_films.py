"""Files and recordings in place of cameras: their own pace, one beginning, losses where they were."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acquisition.camera import Camera, CameraTimeout, DeviceFrame, driver_of
from acquisition.drivers import show
from acquisition.drivers.show import Show
from acquisition.errors import RigposeError
from acquisition.record import record
from acquisition.recordings.recording import Recording
from acquisition.synchronisation.unwrap import FrameCount
from rigpose.rig_file import load_rig
from tests.acquisition.clips import clip
from tests.acquisition.sessions import number_of, write_session

MS = 1_000_000


class Clock:
    """Stands in for the time module: sleeping moves it."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(show, "time", clock)
    monkeypatch.setattr(Show, "_shows", {})
    return clock


def camera_at(uri: str, name: str = "top") -> Camera:
    return driver_of(uri, name)(name, uri)  # type: ignore[call-arg]


def rest_of(camera: Camera) -> list[DeviceFrame]:
    """Everything until it is silent; images are copied."""
    frames = []
    while True:
        try:
            frame = camera.read(1500)
        except CameraTimeout:
            return frames
        frames.append(frame)


def test_a_file_runs_at_the_pace_of_its_container(tmp_path: Path, clock: Clock) -> None:
    times_ms = [0, 40, 80, 200, 240]  # what the container says, holes and all
    camera = camera_at(f"file://{clip(tmp_path / 'a.mkv', times_ms)}")
    info = camera.open({})
    assert (info.width_px, info.height_px, info.channels) == (64, 48, 3)
    assert info.has_device_clock and info.stamp_uncertainty_ns >= 20 * MS
    assert {feature.name: feature.value for feature in camera.features()} == {
        "pace": 1.0, "lead_s": 1.0, "repeat": False,
    }  # fmt: skip
    with pytest.raises(RuntimeError):
        camera.read(1)
    camera.start()
    begun_ns = clock.now_ns + 10**9
    with pytest.raises(CameraTimeout):
        camera.read(500)  # the show has not begun
    frames = rest_of(camera)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.frame_id for frame in frames] == [0, 1, 2, 3, 4]
    assert [round((frame.t_device_ns or 0) / MS) for frame in frames] == times_ms
    assert [round((frame.t_arrival_ns - begun_ns) / MS) for frame in frames] == times_ms
    # Over is silent, not gone: opened again it would only begin anew.
    with pytest.raises(CameraTimeout):
        camera.read(5000)
    assert camera.counts()["over"] == 1  # type: ignore[attr-defined]
    camera.stop()
    camera.start()
    assert len(rest_of(camera)) == 5
    camera.stop()
    camera.close()
    camera.close()


def test_faster_slower_and_as_fast_as_it_is_read(tmp_path: Path, clock: Clock) -> None:
    file = clip(tmp_path / "a.mp4", range(0, 400, 40))
    for pace, step_ms in ((2.0, 20), (0.5, 80)):
        camera = camera_at(f"file://{file}")
        assert camera.open({"pace": pace}).rate_hz == pytest.approx(25 * pace)
        camera.start()
        frames = rest_of(camera)
        assert [round((b.t_arrival_ns - a.t_arrival_ns) / MS) for a, b in pairwise(frames)] == [step_ms] * 9
        assert [round(((b.t_device_ns or 0) - (a.t_device_ns or 0)) / MS) for a, b in pairwise(frames)] == [
            step_ms
        ] * 9
        camera.stop()
        camera.close()
    camera = camera_at(f"file://{file}")
    assert not camera.open({"pace": 0, "lead_s": 0}).has_device_clock
    camera.start()
    before_ns = clock.now_ns
    frames = [camera.read(10) for _ in range(10)]
    assert clock.now_ns == before_ns
    assert all(frame.t_device_ns is None for frame in frames)
    camera.stop()
    camera.close()


def test_a_repeated_file_goes_on_counting(tmp_path: Path, clock: Clock) -> None:
    camera = camera_at(f"file://{clip(tmp_path / 'a.mp4', range(0, 120, 40))}")
    camera.open({"repeat": True})
    camera.start()
    frames = [camera.read(2000) for _ in range(8)]
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 0, 1, 2, 0, 1]
    assert [frame.frame_id for frame in frames] == list(range(8))
    assert {round(((b.t_device_ns or 0) - (a.t_device_ns or 0)) / MS) for a, b in pairwise(frames)} == {40}
    camera.stop()
    camera.close()


def test_a_recording_is_replayed_with_its_losses(tmp_path: Path, clock: Clock) -> None:
    line = write_session(tmp_path / "day1", loss=0.15)
    with Recording.open(tmp_path / "day1") as recording:
        tables = {name: recording.frame_table(name) for name in recording.cameras}
    cameras = {name: camera_at(f"replay://{tmp_path / 'day1'}#{name}") for name in line.cameras}
    for camera in cameras.values():
        assert camera.open({}).id_start == 0
    for number, camera in enumerate(cameras.values()):
        camera.start()
        clock.now_ns += 300 * MS * (number == 0)  # armed one after the other, begun together
    begun_ns = clock.now_ns + 10**9
    zero_ns = min(int(table["t_arrival_ns"][0]) for table in tables.values())
    start_ns = clock.now_ns
    for name, camera in cameras.items():
        clock.now_ns = start_ns  # each is read from its beginning
        table, frames, count = tables[name], rest_of(camera), FrameCount(None, 0, -1)
        assert len(frames) == len(table)
        assert [frame.t_device_ns for frame in frames] == table["t_exposure_ns"].tolist()
        assert [frame.t_arrival_ns - begun_ns for frame in frames] == (
            table["t_arrival_ns"] - zero_ns
        ).tolist()
        lost = [count.unwrap(frame.frame_id)[1] for frame in frames]
        assert lost == table["lost_before"].tolist()
        assert sum(n for n in lost if n > 0) > 1
    for camera in cameras.values():
        camera.stop()
        camera.close()


def test_a_count_that_began_anew_begins_anew(tmp_path: Path, clock: Clock) -> None:
    write_session(tmp_path / "day1", pulses=20)
    path = next((tmp_path / "day1").glob("*_cam_0.frames"))
    content = bytearray(path.read_bytes())
    rows = np.frombuffer(content, np.int64, offset=512).reshape(-1, 6)
    rows[10, 5] = -1  # lost_before of row 10: the camera had been restarted
    path.write_bytes(content)
    camera = camera_at(f"replay://{tmp_path / 'day1'}#cam_0")
    camera.open({})
    camera.start()
    count = FrameCount(None, 0)
    lost = [count.unwrap(frame.frame_id)[1] for frame in rest_of(camera)]
    assert [n for n, each in enumerate(lost) if each == -1] == [0, 10]
    camera.stop()
    camera.close()


def test_who_is_armed_late_joins_where_the_show_is(tmp_path: Path, clock: Clock) -> None:
    files = [clip(tmp_path / f"{name}.mp4", range(0, 4000, 40)) for name in "ab"]
    first, second = (camera_at(f"file://{file}") for file in files)
    first.open({})
    first.start()
    frame = first.read(5000)
    clock.now_ns += 2000 * MS
    second.open({})
    second.start()
    late = second.read(5000)
    assert 45 <= late.frame_id <= 51
    assert abs((late.t_arrival_ns - frame.t_arrival_ns) - (late.t_device_ns or 0)) < 150 * MS
    for camera in (first, second):
        camera.stop()
        camera.close()


def test_real_time_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Show, "_shows", {})
    camera = camera_at(f"file://{clip(tmp_path / 'a.mp4', range(0, 200, 40))}")
    camera.open({"lead_s": 0.05})
    before_ns = time.monotonic_ns()
    camera.start()
    frames = [camera.read(5000) for _ in range(5)]
    for frame in frames:  # late on a busy machine, never early
        assert frame.t_arrival_ns >= before_ns + 50 * MS + (frame.t_device_ns or 0)
    assert frames[-1].t_arrival_ns <= time.monotonic_ns()
    camera.stop()
    camera.close()


@pytest.mark.parametrize(
    ("uri", "wished", "says"),
    [
        ("file://{}/no.mp4", {}, "nothing there"),
        ("file://{}", {}, "expected a video file after file://, found the folder"),
        ("file://{}/a.mp4", {"rate_hz": 30.0}, "Remove the trigger section"),
        ("file://{}/a.mp4", {"gain": 1}, "expected the features pace, lead_s, repeat, found 'gain'"),
        ("file://{}/a.mp4", {"pace": -1}, "'pace' from 0 to 100"),
        ("file://{}/a.mp4", {"repeat": 1}, "true or false for 'repeat'"),
        ("replay://{}", {}, "expected a recorded session"),
        ("replay://{}/day1#side", {}, "one of cam_0, cam_1 after '#'"),
        ("replay://{}/day1#cam_0", {"repeat": True}, "found 'repeat'"),
    ],
)
def test_mistakes(tmp_path: Path, uri: str, wished: dict, says: str) -> None:
    clip(tmp_path / "a.mp4", range(0, 120, 40))
    write_session(tmp_path / "day1", pulses=4)
    camera = camera_at(uri.format(tmp_path))
    with pytest.raises(RigposeError, match=says):
        camera.open(wished)
    camera.close()


@pytest.mark.long
@pytest.mark.alone
def test_a_replayed_rig_records_the_same_frame_sets(tmp_path: Path) -> None:
    """Through capture process, ring, synchroniser and recorder: which pictures belong together stays."""
    write_session(tmp_path / "day1", pulses=90, loss=0.1, codec="x264-lossless")
    (tmp_path / "film.yaml").write_text("lead_s: 3\n")
    (tmp_path / "replay.yaml").write_text(
        "name: again\ncameras:\n"
        "  cam_0: {uri: 'replay://day1#cam_0', settings: film.yaml}\n"
        "  cam_1: {uri: 'replay://day1#cam_1', settings: film.yaml}\n"
    )
    record(load_rig(tmp_path / "replay.yaml").acquisition, tmp_path / "day2", 9)
    tables, shown = [], []
    for day in ("day1", "day2"):
        with Recording.open(tmp_path / day) as recording:
            tables.append([recording.frame_table(name) for name in recording.cameras])
            images = [[number_of(image) for image in recording.images(name)] for name in recording.cameras]
            shown.append([
                tuple(None if row is None else images[place][row] for place, row in enumerate(one.payloads))
                for one in recording.frame_sets()
            ])  # fmt: skip
            assert recording.gaps == []
    for before, after in zip(*tables, strict=True):
        assert len(before) == len(after)
        assert before["lost_before"].tolist() == after["lost_before"].tolist()
    whole = [{pair for pair in sets if None not in pair} for sets in shown]
    assert whole[1] <= whole[0]  # no picture beside another's
    # The clocks of a rig that runs freely are found from arrivals: the first frames may miss their partners.
    assert len(whole[1]) > 0.9 * len(whole[0]) > 60
