"""The recorder on a ring of the test's own: full queues, full disks, cameras that come back."""

from __future__ import annotations

import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from acquisition.frame_stamp import NEW_COUNT, FrameStamp
from acquisition.recordings.events import read_events
from acquisition.recordings.frame_table import read_frame_table, read_origin_ns
from acquisition.recordings.recorder import RecorderPlan, recorder
from acquisition.recordings.segments import segment_of, segments_of, whole_rows
from acquisition.rig import RecordingSettings
from acquisition.rings.ring import RingGeometry, ring_path
from acquisition.rings.writer import RingWriter
from acquisition.videos.encoder import Encoder
from acquisition.videos.video import open_video
from tests.acquisition.sessions import number_of, picture

GEOMETRY = RingGeometry(16, 48, 64, 1)


class Link:
    """What a recorder needs of its parent."""

    def __init__(self) -> None:
        self.counters: dict = {}
        self.told: dict = {}
        self._stop = threading.Event()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self._stop.wait(timeout_s)

    def stop(self) -> None:
        self._stop.set()

    def report(self, now: bool = False, **counters) -> None:
        self.counters.update(counters)


class Bench:
    """A recorder in a thread, its ring in our hands."""

    def __init__(self, folder: Path, segment_minutes: float = 60.0, paused: bool = False) -> None:
        self.folder = folder / "s"
        self.folder.mkdir(exist_ok=True)
        self.link = Link()
        self.runtime = folder
        self.ring = RingWriter(ring_path(folder, "cam"), "cam", GEOMETRY, {"rate_hz": 30.0})
        settings = RecordingSettings(keep_free_gb=0.001, segment_minutes=segment_minutes)
        plan = RecorderPlan(str(folder), str(self.folder), ("cam",), settings, paused)
        self.thread = threading.Thread(target=recorder, args=(self.link, plan))
        self.thread.start()
        self.until(lambda: {"state", "recording"} <= self.link.counters.keys())

    def until(self, condition) -> None:
        limit = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < limit
            self.ring.serve()
            time.sleep(0.002)

    def publish(self, seq: int, lost_before: int = 0) -> bool:
        t_ns = 10**12 + seq * 33_333_333
        return self.ring.publish(FrameStamp("cam", seq, t_ns, t_ns, 1, t_ns + 5, lost_before), picture(seq))

    def publish_all(self, seqs: range) -> None:
        """Each is with the recorder when this returns."""
        for seq in seqs:
            assert self.publish(seq)
            self.until(lambda: self.ring.free_slots == GEOMETRY.slots)

    def switch(self, on: bool, after_seq: int) -> None:
        """As the page's control address does, when frame `after_seq` was the newest."""
        asked_ns = 10**12 + after_seq * 33_333_333 + 1
        self.link.told = {**self.link.told, "record": {"on": on, "asked_ns": asked_ns, "by": "page"}}
        self.until(lambda: self.link.counters["recording"]["on"] is on)

    def finish(self) -> None:
        self.link.stop()
        until = time.monotonic() + 30
        while self.thread.is_alive():
            assert time.monotonic() < until
            self.ring.serve()
            self.thread.join(0.002)

    @property
    def rows(self) -> list[int]:
        return read_frame_table(self.folder / "s_cam.frames")["seq"].tolist()

    @property
    def pictures(self) -> list[int]:
        return [number_of(image) for image in open_video(self.folder / "s_cam.mkv")]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in read_events(self.folder) if event["kind"] != "clock"]


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.finish()
    bench.ring.close()


@pytest.fixture
def gate(monkeypatch):
    """The encoder waits for it; ten images fit into its queue."""
    monkeypatch.setattr("acquisition.recordings.camera_track.QUEUE_BYTES", 48 * 64 * 10)
    gate = threading.Event()
    write = Encoder.write

    def slow(self, image, t_ms):
        gate.wait(30)
        write(self, image, t_ms)

    monkeypatch.setattr(Encoder, "write", slow)
    return gate


def test_what_is_in_the_ring_at_the_stop_is_still_written(bench):
    for seq in range(12):
        assert bench.publish(seq)
    bench.finish()
    assert bench.rows == bench.pictures == list(range(12))
    assert bench.kinds() == ["segment ended", "recording ended"] and bench.link.counters["ended"] == ""
    assert not (bench.folder / ".reserve").exists()


def test_slow_encoder_fills_queue_then_ring_and_every_drop_is_told(bench, gate):
    dropped = []
    for seq in range(60):
        if not bench.publish(seq):
            dropped.append(seq)
        time.sleep(0.001)
    assert dropped and bench.ring.dropped == len(dropped)
    gate.set()
    bench.until(lambda: bench.ring.free_slots == 16)
    bench.finish()
    assert bench.rows == bench.pictures == [seq for seq in range(60) if seq not in dropped]
    told = [event["seq"] for event in read_events(bench.folder) if event["kind"] == "ring full"]
    assert told == dropped


def test_full_disk_ends_the_recording_and_not_the_process(bench, monkeypatch):
    for seq in range(5):
        bench.publish(seq)
    bench.until(lambda: (bench.folder / "s_cam.frames").exists() and len(bench.rows) == 5)

    def full(self, image, t_ms):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Encoder, "write", full)
    bench.publish(5)
    bench.until(lambda: bench.link.counters.get("state") == "ended")
    assert bench.link.counters["ended"] == "cam: No space left on device"
    assert bench.thread.is_alive() and bench.publish(6)
    assert bench.pictures == list(range(5)) and bench.kinds() == ["recording ended"]


def test_disk_guard_stops_while_there_is_room_to_end_well(bench, monkeypatch):
    bench.publish(0)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("acquisition.recordings.disk.shutil.disk_usage", lambda folder: usage(10, 9, 1))
    bench.until(lambda: bench.link.counters.get("state") == "ended")
    assert "0.001 GB to be kept" in bench.link.counters["ended"]
    assert bench.rows == bench.pictures == [0]


def test_camera_that_comes_back_goes_on_in_the_same_files(bench):
    bench.publish(0, NEW_COUNT)
    bench.until(lambda: bench.ring.free_slots == 16)
    bench.ring.close()
    bench.ring = RingWriter(ring_path(bench.runtime, "cam"), "cam", GEOMETRY, {"rate_hz": 30.0})
    bench.until(lambda: bench.ring.readers == ["recorder"])
    bench.publish(9, NEW_COUNT)
    bench.finish()
    assert bench.rows == bench.pictures == [0, 9]
    assert bench.kinds() == ["camera gone", "camera back", "segment ended", "recording ended"]


def test_images_of_another_size_end_the_recording(bench):
    bench.publish(0)
    bench.until(lambda: bench.ring.free_slots == 16)
    bench.ring.close()
    other = RingGeometry(16, 24, 64, 1)
    bench.ring = RingWriter(ring_path(bench.runtime, "cam"), "cam", other, {"rate_hz": 30.0})
    bench.until(lambda: bench.ring.readers == ["recorder"])
    stamp = FrameStamp("cam", 1, 0, 2 * 10**12, 1, 2 * 10**12, NEW_COUNT)
    bench.ring.publish(stamp, picture(1)[:24])
    bench.until(lambda: bench.link.counters.get("state") == "ended")
    assert "images changed" in bench.link.counters["ended"]
    assert bench.rows == [0]


def test_a_new_segment_begins_without_a_lost_frame(tmp_path):
    bench = Bench(tmp_path, segment_minutes=10 / 30 / 60)  # ten frames
    for seq in range(35):
        bench.until(lambda: bench.ring.free_slots == 16)
        assert bench.publish(seq)
    bench.finish()
    bench.ring.close()
    found = segments_of(bench.folder, "cam")
    assert [one.number for one in found] == [0, 1, 2, 3]
    assert [one.video.name for one in found][:2] == ["s_cam.mkv", "s_cam.0001.mkv"]
    rows = [read_frame_table(one.table)["seq"].tolist() for one in found]
    assert [seq for part in rows for seq in part] == list(range(35)) and {
        len(part) for part in rows[:-1]
    } <= {10, 11}
    assert [[number_of(image) for image in open_video(one.video)] for one in found] == rows
    ended = whole_rows({"ended": None}, read_events(bench.folder), found)
    assert ended == {n: len(part) for n, part in enumerate(rows)}
    assert {read_origin_ns(one.table) for one in found} == {10**12}


def test_recorder_that_takes_over_begins_new_segments_and_says_so(bench):
    for seq in range(5):
        bench.publish(seq)
    bench.finish()
    (bench.folder / "events.jsonl").write_bytes((bench.folder / "events.jsonl").read_bytes() + b'{"t_ns": 3')
    bench.ring.close()
    second = Bench(bench.folder.parent)
    for seq in range(9, 12):
        second.publish(seq)
    second.finish()
    second.ring.close()
    assert [read_frame_table(one.table)["seq"].tolist() for one in segments_of(bench.folder, "cam")] == [
        [0, 1, 2, 3, 4], [9, 10, 11],
    ]  # fmt: skip
    assert read_origin_ns(bench.folder / "s_cam.0001.frames") == 10**12
    assert {"kind": "recorder back", "segment": 1}.items() <= next(
        event for event in read_events(bench.folder) if event["kind"] == "recorder back"
    ).items()
    assert second.link.counters["cameras"]["cam"]["frames"] == 8


def test_trigger_that_counts_anew_begins_new_segments_at_its_first_pulse(bench):
    for seq in range(5):
        bench.publish(seq)
    bench.link.told = {"counts_anew_ns": [10**12 + 7 * 33_333_333]}
    for seq in range(5, 12):
        bench.publish(seq)
    bench.finish()
    assert [read_frame_table(one.table)["seq"].tolist() for one in segments_of(bench.folder, "cam")] == [
        [0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11],
    ]  # fmt: skip


def tables(bench) -> list[list[int]]:
    return [read_frame_table(one.table)["seq"].tolist() for one in segments_of(bench.folder, "cam")]


def test_off_ends_the_segment_whole_and_on_begins_another(bench):
    bench.publish_all(range(5))
    bench.switch(False, 4)
    bench.publish_all(range(5, 25))
    bench.until(lambda: "segment ended" in bench.kinds())
    assert bench.pictures == list(range(5))
    bench.switch(True, 24)
    bench.publish_all(range(25, 30))
    bench.switch(False, 29)
    bench.publish_all(range(30, 33))
    bench.finish()
    assert tables(bench) == [[0, 1, 2, 3, 4], [25, 26, 27, 28, 29]]
    assert [number_of(image) for image in open_video(bench.folder / "s_cam.0001.mkv")] == tables(bench)[1]
    counted = bench.link.counters["cameras"]["cam"]
    assert (counted["frames"], counted["not_asked"]) == (10, 23)
    told = [event for event in read_events(bench.folder) if event["kind"].startswith("recording o")]
    assert [(event["kind"], event["by"]) for event in told] == [
        ("recording off", "page"), ("recording on", "page"), ("recording off", "page"),
    ]  # fmt: skip
    half_ns = 33_333_333 // 2
    assert [event["t_ns"] for event in told] == [10**12 + n * 33_333_333 + half_ns for n in (4, 24, 29)]
    ended = whole_rows({"ended": None}, read_events(bench.folder), segments_of(bench.folder, "cam"))
    assert ended == {0: 5, 1: 5}


def test_what_waits_for_a_slow_encoder_when_it_is_switched_off_is_still_written(bench, gate):
    for seq in range(20):  # one with the encoder, ten in its queue, nine in the ring
        bench.until(lambda: bench.ring.free_slots > 2)
        assert bench.publish(seq)
    bench.until(lambda: bench.link.counters.get("cameras", {}).get("cam", {}).get("waiting") == 10)
    bench.switch(False, 19)
    gate.set()
    bench.publish_all(range(20, 24))
    bench.switch(True, 23)
    bench.publish_all(range(24, 26))
    bench.finish()
    assert tables(bench) == [list(range(20)), [24, 25]] and bench.pictures == list(range(20))
    assert bench.ring.dropped == 0 and bench.link.counters["cameras"]["cam"]["not_asked"] == 4


def test_a_recorder_that_takes_over_goes_on_as_it_was_switched(tmp_path):
    bench = Bench(tmp_path, paused=True)
    assert bench.link.counters["recording"]["on"] is False
    bench.publish_all(range(3))
    bench.finish()
    bench.ring.close()
    assert segments_of(bench.folder, "cam") == []
    second = Bench(tmp_path, paused=True)
    second.publish_all(range(3, 6))
    later_ns = time.monotonic_ns() + 10**15  # the frames of these rings are of no clock
    second.link.told = {"record": {"on": True, "asked_ns": later_ns, "by": "page"}}
    second.until(lambda: second.link.counters["recording"]["on"])
    seam_ns = second.link.counters["recording"]["since_ns"]
    first = -(-(seam_ns - 10**12) // 33_333_333)
    second.publish_all(range(first, first + 3))
    second.finish()
    second.ring.close()
    third = Bench(tmp_path, paused=True)
    assert third.link.counters["recording"]["on"] is True
    third.link.told = second.link.told  # told again, and not a new wish
    third.publish_all(range(first + 5, first + 7))
    third.finish()
    third.ring.close()
    assert tables(third) == [[first, first + 1, first + 2], [first + 5, first + 6]]
    counted = third.link.counters["cameras"]["cam"]
    assert (counted["frames"], counted["not_asked"]) == (5, 6)
    kinds = [kind for kind in third.kinds() if kind.startswith("recording o")]
    assert kinds == ["recording off", "recording on"]


def test_a_full_disk_does_not_end_what_is_paused_and_is_not_recorded_onto(tmp_path, monkeypatch):
    monkeypatch.setattr("acquisition.recordings.recorder._SECOND_NS", 50_000_000)
    bench = Bench(tmp_path, paused=True)
    bench.publish_all(range(2))
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as full:
        full.setattr("acquisition.recordings.disk.shutil.disk_usage", lambda folder: usage(10, 9, 1))
        seconds = len(read_events(bench.folder))
        bench.until(lambda: len(read_events(bench.folder)) >= seconds + 2)  # it looks once a second
        asked_ns = time.monotonic_ns() + 10**15
        bench.link.told = {"record": {"on": True, "asked_ns": asked_ns, "by": "page"}}
        bench.until(lambda: "to be kept" in bench.link.counters["recording"]["refused"])
        assert not bench.link.counters["recording"]["on"] and bench.link.counters["state"] == "ready"
    seconds = len(read_events(bench.folder))
    bench.until(lambda: len(read_events(bench.folder)) >= seconds + 2)
    bench.link.told = {"record": {"on": True, "asked_ns": asked_ns + 1, "by": "page"}}
    bench.until(lambda: bench.link.counters["recording"]["on"])
    assert bench.link.counters["recording"]["refused"] == ""
    bench.finish()
    bench.ring.close()


def test_two_cameras_never_share_a_file(tmp_path):
    names = [
        segment_of(tmp_path, camera, n).video for camera in ("a", "a_0001", "a-0001") for n in (0, 1, 12345)
    ]
    assert len(set(names)) == len(names)
    for path in names:
        path.touch()
    for camera in ("a", "a_0001", "a-0001"):
        assert [one.number for one in segments_of(tmp_path, camera)] == [0, 1, 12345]
