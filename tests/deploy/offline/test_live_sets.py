"""A live tracker's poses beside a recording: each on the frame that it was measured in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.frame_stamp import NEW_COUNT, NO_DEVICE_STAMP, FrameStamp
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.frame_table import FrameTableWriter
from acquisition.recordings.recording import Recording
from acquisition.recordings.segments import ENDED, segment_of
from acquisition.recordings.session import Session
from acquisition.rig import RigSettings, SyncSettings
from acquisition.synchronisation.synchronise import StampSet, Synchroniser
from acquisition.videos.encoder import Encoder
from calibration.formats.anipose import save_toml
from calibration.poses import Pose3D, PoseSet
from calibration.triangulation import TriangulationSettings, triangulate
from deploy.offline.live_sets import places_of, recorded_events, recorded_rows
from deploy.offline.nwb_poses import points_of, seen_of
from deploy.offline.tracks import load_tracks
from deploy.offline.triangulate_files import triangulate_files
from deploy.poses_io.anipose_csv import load_anipose_csv
from deploy.poses_io.pose_table import PoseTableWriter, read_pose_tables
from tests.acquisition.sessions import SHAPE, write_session
from tests.calibration.synthetic import ring

PERIOD_NS, T0_NS = 33_333_333, 10**12
RIG = ring(2, arc=1.5, size=(SHAPE[1], SHAPE[0]))
CAMERAS = RIG.names
READY = 40  # frames that the recorder had before the tracker was ready


def stamps_of(frames: int) -> list[FrameStamp]:
    """Two webcams that keep their own pace, a millisecond apart."""
    return [
        FrameStamp(
            camera, n, NO_DEVICE_STAMP, T0_NS + n * PERIOD_NS + place * 1_000_000, 1000,
            T0_NS + n * PERIOD_NS + place * 1_000_000 + 5_000_000, NEW_COUNT if n == 0 else 0,
        )
        for n in range(frames)
        for place, camera in enumerate(CAMERAS)
    ]  # fmt: skip


def measured(frame: int) -> np.ndarray:
    """2D poses (C, 1, 3) that say in which frame they were seen: a point that moves 1 mm a frame."""
    px = RIG.project(np.array([[0.5 * frame, 0.0, 0.0]]))
    return np.concatenate([px, np.full((len(CAMERAS), 1, 1), 0.9)], axis=-1).astype(np.float32)


def write_table(folder: Path, stream: str, sets: list[StampSet], first: int = 0) -> Path:
    """The poses of a tracker that calls its first set `first`."""
    writer = PoseTableWriter(folder, stream, CAMERAS, ("nose",), {})
    for n, one in enumerate(sets):
        seen = measured(next(payload for payload in one.payloads if payload is not None))
        points = Pose3D(first + n, one.t_exposure_ns, triangulate(RIG, seen).astype(np.float32))
        writer.append(PoseSet(first + n, one.t_exposure_ns, seen), points, (0, 0, 0, 0), one.absences)
    writer.close()
    return folder / "poses" / f"{stream}.poses"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """90 frames of two free-running cameras; the tracker was ready at frame 40."""
    folder = tmp_path / "day1"
    cameras = {name: {"uri": f"v4l2:///dev/{name}"} for name in CAMERAS}
    rig = RigSettings.model_validate({"name": "arena", "cameras": cameras})
    session = Session.create(folder, rig)
    session.began({}, {"period_ns": None, "first_exposure_ns": None})
    events, stamps = EventsWriter(folder), stamps_of(90)
    for camera in CAMERAS:
        files = segment_of(folder, camera, 0)
        table = FrameTableWriter(files.table, camera, T0_NS)
        encoder = Encoder(files.video, "x264", SHAPE[1], SHAPE[0], 1, 30)
        for stamp in stamps:
            if stamp.camera == camera:
                table.append(stamp)
                encoder.write(np.zeros(SHAPE, np.uint8), round((stamp.t_exposure_ns - T0_NS) / 1e6))
        encoder.close()
        table.close()
        events.append(ENDED, camera=camera, segment=0, rows=90)
    events.close()
    session.end("stopped", cameras={camera: {"recorded": 90} for camera in CAMERAS})
    maker = Synchroniser(CAMERAS, SyncSettings(), None)
    sets: list[StampSet] = []
    for stamp in stamps:
        if stamp.seq >= READY:
            maker.add(stamp, stamp.seq)
            sets += maker.closed(stamp.t_arrival_ns)
    sets += maker.flush()
    assert [one.index for one in sets] == list(range(50))
    write_table(folder, "one", sets)
    save_toml(RIG, tmp_path / "c.toml")
    return folder


def test_poses_of_a_tracker_that_was_ready_later_lie_on_their_own_frames(day: Path) -> None:
    with Recording.open(day) as recording:
        found = seen_of(recording, [])
        assert [each.camera for each in found] == list(CAMERAS)
        for place, each in enumerate(found):
            np.testing.assert_array_equal(each.frame, range(READY, 90))
            expected = np.stack([measured(frame)[place, :, :2] for frame in range(READY, 90)])
            np.testing.assert_array_equal(each.points, expected)
            table = recording.frame_table(each.camera)
            np.testing.assert_array_equal(each.t_exposure_ns, table["t_exposure_ns"][READY:])


def test_a_live_table_is_triangulated_and_filtered_by_the_recording_s_frame_sets(
    day: Path, tmp_path: Path
) -> None:
    table = day / "poses" / "one.poses"
    triangulate_files(tmp_path / "c.toml", [table], tmp_path / "3d.csv", TriangulationSettings())
    read = load_anipose_csv(tmp_path / "3d.csv")
    np.testing.assert_array_equal(read.index, range(READY, 90))
    np.testing.assert_allclose(read.points[:, 0, 0], 0.5 * read.index, atol=0.01)
    tracks = load_tracks(table)
    np.testing.assert_array_equal(tracks.index, range(READY, 90))
    with Recording.open(day) as recording:
        points = points_of(recording, tmp_path / "3d.csv")
        live = points_of(recording, None)
    assert points is not None and live is not None
    np.testing.assert_array_equal(points.t_exposure_ns, live.t_exposure_ns)
    np.testing.assert_allclose(points.points_mm, live.points_mm, atol=1e-3)


def test_a_table_away_from_its_recording_keeps_its_numbers(day: Path, tmp_path: Path) -> None:
    moved = tmp_path / "one.poses"
    (day / "poses" / "one.poses").rename(moved)
    assert load_tracks(moved).index.tolist() == list(range(50))


def test_numbers_of_a_tracker_that_was_restarted_do_not_matter(tmp_path: Path) -> None:
    """Its own are seven off, and some poses are of the time after the recording."""
    write_session(tmp_path / "day1")
    folder = tmp_path / "day1"
    with Recording.open(folder) as recording:
        sets = [one for one in recording.frame_sets() if any(one.stamps)]
    assert recording.cameras == CAMERAS and len(sets) == 60
    write_table(folder, "one", sets[:20])
    later = [
        StampSet(0, sets[-1].t_exposure_ns + n * PERIOD_NS, 0, (None, None), (None, None), (100, 100))
        for n in range(1, 6)
    ]
    write_table(folder, "two", [*sets[30:], *later], first=37)
    with Recording.open(folder) as recording:
        found = seen_of(recording, [])
        for place, each in enumerate(found):
            there = [one for one in (*sets[:20], *sets[30:]) if one.payloads[place] is not None]
            np.testing.assert_array_equal(each.frame, [one.payloads[place] for one in there])
            shown = [next(n for n in one.payloads if n is not None) for one in there]
            expected = np.stack([measured(frame)[place, :, :2] for frame in shown])
            np.testing.assert_array_equal(each.points, expected)
    _, two = read_pose_tables(folder)
    index, records = recorded_rows(folder / "poses" / "two.poses", two)
    np.testing.assert_array_equal(index, range(30, 65))  # those of later are counted on
    assert len(records) == 35


def test_a_row_whose_number_the_recording_gives_to_another_is_left_out(tmp_path: Path) -> None:
    write_session(tmp_path / "day1")
    folder = tmp_path / "day1"
    with Recording.open(folder) as recording:
        sets = [one for one in recording.frame_sets() if any(one.stamps)]
    off = StampSet(0, sets[40].t_exposure_ns + PERIOD_NS * 3 // 5, 0, (None, None), (None, None), (100, 100))
    path = write_table(folder, "one", [*sets[:41], off, *sets[41:]])
    (table,) = read_pose_tables(folder)
    index, records = recorded_rows(path, table)
    np.testing.assert_array_equal(index, range(60))
    assert off.t_exposure_ns not in records["t_exposure_ns"]


def test_rows_before_the_recording_s_first_set_are_left_out(tmp_path: Path) -> None:
    """The tracker was ready before the recorder: there is no number for its first three."""
    write_session(tmp_path / "day1")
    folder = tmp_path / "day1"
    with Recording.open(folder) as recording:
        sets = [one for one in recording.frame_sets() if any(one.stamps)]
    early = [replace(sets[0], t_exposure_ns=sets[0].t_exposure_ns - n * PERIOD_NS) for n in (3, 2, 1)]
    path = write_table(folder, "one", [*early, *sets])
    (table,) = read_pose_tables(folder)
    index, records = recorded_rows(path, table)
    np.testing.assert_array_equal(index, range(60))
    assert len(records) == 60 and records["t_exposure_ns"][0] == sets[0].t_exposure_ns


def test_outputs_events_name_the_recording_s_frame_sets(day: Path) -> None:
    events = EventsWriter(day)
    for number, frame in ((3, READY + 3), (3, READY + 3), (200, 240)):
        exposure_ns = T0_NS + frame * PERIOD_NS + 500_000
        t_ns = exposure_ns + 12_345_678
        events.append("output", t_ns, output="led", frame_set=number, exposure_age_ms=12.346, on=True)
    events.append("output", T0_NS, output="led", frame_set=-1, exposure_age_ms=1e12, on=False)
    events.append("output", T0_NS, output="led", frame_set=2, exposure_age_ms=float("nan"), on=False)
    events.append("note", T0_NS, text="began to groom", frame_set="five")
    events.close()
    with Recording.open(day) as recording:
        found = [event.get("frame_set") for event in recorded_events(recording)]
    assert found == [None, None, READY + 3, READY + 3, -1, -1, 2, "five"]


@given(
    steps=st.lists(st.integers(1, 5), min_size=0, max_size=30),
    moved=st.integers(-15, 15),
    kept=st.lists(st.booleans(), min_size=31, max_size=31),
    jitter=st.lists(st.integers(-4, 4), min_size=31, max_size=31),
)
def test_every_time_finds_its_own_set_or_none(
    steps: list[int], moved: int, kept: list[bool], jitter: list[int]
) -> None:
    pulses = np.concatenate([[0], np.cumsum(steps, dtype=np.int64)]).astype(np.int64)
    times_ns = 1000 * pulses + T0_NS
    sets = [
        StampSet(n, int(t_ns), 0, (None, None), (None, None), (n, n))
        for n, t_ns in enumerate(times_ns)
        if kept[n]
    ]
    half_ns = np.median(np.diff([one.t_exposure_ns for one in sets])) / 2 if len(sets) > 1 else 2e6
    asked_ns = times_ns + np.array(jitter[: len(times_ns)]) * 100 + moved * 100
    places = places_of(sets, SyncSettings(tolerance_ms=2), asked_ns)
    given_ = places[places >= 0]
    assert len(set(given_.tolist())) == len(given_)
    for n, (place, t_ns) in enumerate(zip(places, asked_ns, strict=True)):
        apart = [abs(one.t_exposure_ns - t_ns) for one in sets]
        if place >= 0:
            assert apart[place] == min(apart) < half_ns
        elif apart and min(apart) < half_ns:
            nearest_ns = sets[int(np.argmin(apart))].t_exposure_ns
            assert min(np.abs(nearest_ns - np.delete(asked_ns, n)), default=half_ns) <= min(apart)  # a rival
