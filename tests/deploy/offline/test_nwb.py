"""A session as NWB: read back by pynwb and ndx-pose, and looked at by nwbinspector."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.events import EventsWriter
from acquisition.recordings.recording import Recording
from calibration.camera_model import CalibratedRig, CameraModel
from calibration.formats.anipose import save_toml
from calibration.poses import Pose3D, PoseSet
from deploy.offline.nwb import export_nwb
from deploy.offline.nwb_metadata import FIELDS, from_notes, gather
from deploy.offline.nwb_poses import seen_of
from deploy.poses_io.anipose_csv import save_anipose_csv
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.pose_table import PoseTableWriter
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.acquisition.sessions import write_session
from tests.deploy.offline.free_session import ENDINGS, PERIOD_NS, START_NS, write_free_session, write_poses

# HDMF and its friends warn of each other's future.
pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("snout", "tail")
ABOUT = {
    "description": "by hand", "subject_id": "mouse-7", "species": "Mus musculus", "sex": "F", "age": "P90D",
    "experimenter": "Lovelace, Ada", "institution": "University of Somewhere", "lab": "Some Lab",
    "keywords": "open field; test", "timezone": "Europe/Berlin",
}  # fmt: skip


def session(tmp_path, **options):
    """A session of two cameras with lost frames, its poses in files, and 3D points."""
    line = write_session(tmp_path / "day1", **options)
    events = EventsWriter(tmp_path / "day1")
    for n in range(5):
        events.append("TTL", line.first_exposure_ns + n * 10**8, line=1, level=n % 2, note=f"edge {n}")
    events.append("note", line.first_exposure_ns, text="began to groom")
    events.close()
    with Recording.open(tmp_path / "day1") as recording:
        sets = recording.frame_sets()
        tables = {camera: recording.frame_table(camera) for camera in recording.cameras}
    files = []
    index = np.array([each.index for each in sets])
    for place, camera in enumerate(tables):
        frame = np.array([-1 if each.payloads[place] is None else each.payloads[place] for each in sets])
        values = np.full((len(sets), 2, 3), np.nan, np.float32)
        values[frame >= 0, :, :2] = frame[frame >= 0, None, None] + np.array([[0.5, 1], [2, 3]])
        values[frame >= 0, :, 2] = 0.75
        files.append(tmp_path / f"day1_{camera}S.poses.npz")
        about = {"scorer": "S", "camera": camera, "bundle": "mouse", "bundle_sha256": "ab" * 32}
        save_columns(Poses(NAMES, values, frame, index, np.full(len(sets), NO_TIME_NS), about), files[-1])
    points = np.full((len(sets), 2, 11), np.nan, np.float32)
    points[..., :3] = index[:, None, None] + np.arange(3)
    save_anipose_csv(tmp_path / "3d.csv", NAMES, points, index, np.full((len(sets), 2), 0.5))
    eye = np.diag([50.0, 50, 1])
    cameras = [CameraModel(c, (64, 48), eye, np.zeros(5), np.zeros(3), np.ones(3)) for c in tables]
    save_toml(CalibratedRig(tuple(cameras)), tmp_path / "c.toml")
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, tail]]")
    return sets, tables, files


def exported(tmp_path, **options):
    sets, tables, files = session(tmp_path)
    said = export_nwb(
        tmp_path / "day1", tmp_path / "out" / "day1.nwb", poses=files, points=tmp_path / "3d.csv",
        calibration=tmp_path / "c.toml", skeleton=tmp_path, options=ABOUT, **options,
    )  # fmt: skip
    return said, sets, tables


@pytest.mark.long
def test_everything_comes_back_with_its_times(tmp_path):
    from pynwb import NWBHDF5IO

    said, sets, tables = exported(tmp_path)
    start_ns = Recording.open(tmp_path / "day1").session["started"]["t_ns"]
    with NWBHDF5IO(str(tmp_path / "out" / "day1.nwb"), "r") as io:
        file = io.read()
        assert file.subject.subject_id == "mouse-7" and file.subject.species == "Mus musculus"
        assert file.session_start_time.utcoffset() in (
            datetime.timedelta(hours=1),
            datetime.timedelta(hours=2),
        )
        assert file.session_start_time.isoformat() == said["start"]
        assert file.session_id == "day1" and list(file.experimenter) == ["Lovelace, Ada"]
        behavior = file.processing["behavior"]
        for camera, table in tables.items():
            seconds = (table["t_exposure_ns"] - start_ns) / 1e9
            video = file.acquisition[f"video_{camera}"]
            np.testing.assert_array_equal(video.timestamps[:], seconds)
            assert video.external_file[0] == f"../day1/day1_{camera}.mkv"
            assert list(video.dimension) == [64, 48]
            assert video.device.name == camera
            assert video.device.intrinsic_matrix[0, 0] == 50
            poses = behavior[f"PoseEstimation_{camera}"]
            assert poses.skeleton.nodes[:].tolist() == list(NAMES)
            assert poses.skeleton.edges[:].tolist() == [[0, 1]]
            assert poses.source_video is video and poses.device is video.device and poses.scorer == "S"
            assert "mouse (hash abababababab)" in poses.description
            for place, name in enumerate(NAMES):
                series = poses[name]
                np.testing.assert_array_equal(series.timestamps[:], seconds)
                expected = np.arange(len(table))[:, None] + np.array([[0.5, 1], [2, 3]])[place]
                np.testing.assert_allclose(series.data[:], expected)
                assert series.unit == "pixels" and (series.confidence[:] == 0.75).all()
        points = behavior["MultiCameraPoseEstimation"].pose_estimation_series["tail"]
        np.testing.assert_allclose(
            points.data[:] * points.conversion, (np.arange(60)[:, None] + np.arange(3)) * 1e-3, atol=1e-9
        )
        assert points.unit == "meters"
        times = (np.array([each.t_exposure_ns for each in sets]) - start_ns) / 1e9
        np.testing.assert_array_equal(points.timestamps[:], times)
        pulses = file.events["TTL"].to_dataframe()
        assert pulses["level"].tolist() == [0, 1, 0, 1, 0] and pulses["note"].tolist()[3] == "edge 3"
        assert file.events["note"].to_dataframe()["text"].tolist() == ["began to groom"]
    written_by_recorder = 2  # where each camera's only segment ended
    assert said["events"] == 6 + written_by_recorder and said["points_3d"] == 60
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["day1.nwb"]


@pytest.mark.long
def test_nwbinspector_finds_nothing_critical(tmp_path):
    from nwbinspector import Importance, inspect_nwbfile, load_config
    from pynwb import validate

    exported(tmp_path)
    path = tmp_path / "out" / "day1.nwb"
    for config in (None, load_config("dandi")):  # DANDI takes more for critical
        messages = list(inspect_nwbfile(nwbfile_path=str(path), config=config))
        bad = [m for m in messages if m.importance.value >= Importance.BEST_PRACTICE_VIOLATION.value]
        assert [(m.check_function_name, m.object_name, m.message) for m in bad] == []
    assert validate(path=str(path)) == []


def test_the_tracker_s_own_poses_are_taken_where_no_files_are_given(tmp_path):
    """As `rigpose live --record` leaves them: by frame set, here in the tables of a restarted tracker."""
    from pynwb import NWBHDF5IO

    sets, tables, _ = session(tmp_path)
    cameras = tuple(tables)
    for stream, part in (("one", sets[:20]), ("two", sets[20:])):
        writer = PoseTableWriter(tmp_path / "day1", stream, cameras, NAMES, {"network": {}})
        for each in part:
            seen = np.full((2, 2, 3), each.index, np.float32)
            points = np.full((2, 11), each.index, np.float32)
            writer.append(
                PoseSet(each.index, each.t_exposure_ns, seen), Pose3D(each.index, each.t_exposure_ns, points),
                (0, 0, 0, 0), each.absences,
            )  # fmt: skip
        writer.close()
    said = export_nwb(tmp_path / "day1", tmp_path / "a.nwb", options=ABOUT)
    assert said["poses_2d"] == {camera: len(table) for camera, table in tables.items()}
    assert said["points_3d"] == len(sets)
    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        behavior = io.read().processing["behavior"]
        for place, camera in enumerate(cameras):
            series = behavior[f"PoseEstimation_{camera}"]["tail"]
            there = [each for each in sets if each.payloads[place] is not None]
            np.testing.assert_array_equal(series.data[:, 0], [each.index for each in there])
            start_ns = Recording.open(tmp_path / "day1").session["started"]["t_ns"]
            times = [(each.stamps[place].t_exposure_ns - start_ns) / 1e9 for each in there]
            np.testing.assert_array_equal(series.timestamps[:], times)
        points = behavior["MultiCameraPoseEstimation"].pose_estimation_series["tail"]
        np.testing.assert_array_equal(points.data[:, 2], [each.index for each in sets])


def test_without_poses_and_with_one_camera_that_recorded_nothing(tmp_path):
    from pynwb import NWBHDF5IO

    session(tmp_path)
    for file in (tmp_path / "day1").glob("*cam_1*"):
        file.unlink()
    said = export_nwb(tmp_path / "day1", tmp_path / "a.nwb", options=ABOUT)
    assert said["poses_2d"] == {} and said["points_3d"] == 0
    assert said["gaps"][0].startswith("cam_1: its frame table has 0 of ")
    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        file = io.read()
        assert set(file.acquisition) == {"video_cam_0"} and "behavior" not in file.processing


def test_deeplabcut_s_files_of_a_recording_get_the_frames_times(tmp_path):
    from pynwb import NWBHDF5IO

    *_, tables, files = session(tmp_path)
    from deploy.poses_io.readers import load_poses

    csv = tmp_path / "day1_cam_0S.csv"
    save_csv(load_poses(files[0]), "S", csv)
    export_nwb(tmp_path / "day1", tmp_path / "a.nwb", poses=[csv], options=ABOUT)
    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        series = io.read().processing["behavior"]["PoseEstimation_cam_0"]["snout"]
        assert len(tables["cam_0"]) < 60
        np.testing.assert_allclose(series.data[:, 0], np.arange(len(tables["cam_0"])) + 0.5)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rows", ["frame sets", "frames"])
def test_poses_of_cameras_that_run_freely_have_their_own_frames_times(tmp_path, ending, rows):
    """As many frames as sets, and other ones: the second camera starts and stops 3 periods earlier."""
    folder = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    files = [each[ending] for each in write_poses(folder, tmp_path, rows).values()]
    with Recording.open(folder) as recording:
        found = seen_of(recording, files)
        assert [each.camera for each in found] == ["A", "B"]
        for each in found:
            np.testing.assert_array_equal(each.points[:, 0, 0], each.frame)
            times = recording.frame_table(each.camera)["t_exposure_ns"]
            np.testing.assert_array_equal(each.t_exposure_ns, times[each.frame])
            assert len(each.frame) == (17 if each.camera == "B" and rows == "frame sets" else 20)


def test_without_the_column_file_the_recording_tells_the_frames_of_rows(tmp_path):
    folder = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    for rows in ("frame sets", "frames"):
        files = write_poses(folder, tmp_path, rows)["B"]
        files[".poses.npz"].unlink()
        with Recording.open(folder) as recording:
            (seen,) = seen_of(recording, [files[".csv"]])
            there = np.isfinite(seen.points[:, 0, 0])
            np.testing.assert_array_equal(seen.points[there, 0, 0], seen.frame[there])
    (tmp_path / "day1_BDLC_x.meta.json").unlink()
    alone = tmp_path / "day1_BDLC_y.csv"
    text = files[".csv"].read_text().splitlines()
    scorer = "DLC_Net_mouse_rigpose_0123abcd"
    alone.write_text("\n".join([",".join(["scorer", *[scorer] * 3]), *text[1:]]) + "\n")
    with Recording.open(folder) as recording:
        assert len(seen_of(recording, [files[".csv"]])[0].frame) == 20  # DeepLabCut's: row n is frame n
        with pytest.raises(RigposeError, match="20 rows, as many as"):
            seen_of(recording, [alone])


def test_a_camera_that_runs_on_and_one_that_never_delivered(tmp_path):
    folder = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (0, 24), "C": (0, 0)})
    files = [each[".poses.npz"] for each in write_poses(folder, tmp_path).values()]
    said = export_nwb(folder, tmp_path / "a.nwb", poses=files, options=ABOUT)
    assert said["poses_2d"] == {"A": 20, "B": 20, "C": 0}


def test_poses_of_another_session_are_refused(tmp_path):
    folder = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (0, 20)})
    other = write_free_session(tmp_path / "day2", {"A": (0, 18), "B": (0, 18)}, 2 * 10**12)
    files = write_poses(other, tmp_path)["A"]
    with Recording.open(folder) as recording:
        for ending in ENDINGS:
            with pytest.raises(RigposeError, match="found frames of other times"):
                seen_of(recording, [files[ending]])


def test_poses_of_more_frames_than_the_camera_has_are_refused(tmp_path):
    folder = write_free_session(tmp_path / "day1", {"A": (0, 18), "B": (0, 18)})
    longer = write_free_session(tmp_path / "longer" / "day1", {"A": (0, 20), "B": (0, 20)})
    files = write_poses(longer, tmp_path)["A"]
    with Recording.open(folder) as recording, pytest.raises(RigposeError, match="of the 18 frames"):
        seen_of(recording, [files[".poses.npz"]])


def test_outputs_events_name_the_recording_s_frame_sets(tmp_path):
    """A live process logged the number that its tracker gave."""
    from pynwb import NWBHDF5IO

    folder = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (0, 20)})
    events = EventsWriter(folder)
    t_ns = START_NS + 110 * PERIOD_NS + 1_000_000
    events.append("output", t_ns, output="led", frame_set=3, exposure_age_ms=1.0, on=True)
    events.close()
    export_nwb(folder, tmp_path / "a.nwb", options=ABOUT)
    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        assert io.read().events["output"].to_dataframe()["frame_set"].tolist() == [10]


def test_all_that_is_missing_is_one_error(tmp_path):
    write_session(tmp_path / "day1", pulses=3)  # its subject is 'nobody', it has no notes
    with pytest.raises(RigposeError) as caught:
        export_nwb(tmp_path / "day1", tmp_path / "a.nwb", options={"sex": "female"})
    said = str(caught.value)
    for words in ("no description", "no species", "no age", "sex 'female'", "'Mus musculus'", "--metadata"):
        assert words in said
    assert "subject_id" not in said
    assert not (tmp_path / "a.nwb").exists()


def test_notes_file_and_options_add_up_each_over_the_one_before(tmp_path):
    facts = {"subject": "m1", "notes": "first day; Species: Mus musculus; sex: M\nage: P3M; with: wheel"}
    (tmp_path / "lab.yaml").write_text("lab: Some Lab\nsex: F\n")
    known = gather(facts, {"age": "P90D", "lab": None}, tmp_path / "lab.yaml", tmp_path)
    assert known == {
        "subject_id": "m1", "species": "Mus musculus", "sex": "F", "age": "P90D", "lab": "Some Lab",
        "description": "first day; with: wheel",
    }  # fmt: skip
    assert from_notes("") == {}
    (tmp_path / "lab.yaml").write_text("colour: grey\n")
    with pytest.raises(RigposeError, match="'colour'"):
        gather(facts, {}, tmp_path / "lab.yaml", tmp_path)
    with pytest.raises(RigposeError, match="time zone"):
        gather(facts, {"timezone": "Mars/Base"}, None, tmp_path)


@pytest.mark.parametrize("name", FIELDS)
def test_every_example_is_right(name):
    import re

    assert re.fullmatch(FIELDS[name].pattern, FIELDS[name].example)


def test_poses_of_something_else_are_refused(tmp_path, monkeypatch):
    *_, files = session(tmp_path)
    short = tmp_path / "day1_cam_0T.poses.npz"
    save_columns(Poses.of_video(NAMES, np.zeros((9, 2, 3))), short)
    save_anipose_csv(tmp_path / "far.csv", NAMES, np.zeros((3, 2, 11), np.float32), [1000, 1001, 1002])
    out = tmp_path / "a.nwb"
    for options, says in (
        ({"poses": [short]}, "found of 9"),
        ({"poses": [files[0], files[0]]}, "one file per camera"),
        ({"points": tmp_path / "far.csv"}, "3 of 3"),
        ({"poses": [tmp_path / "3d.csv"]}, "file of poses"),
    ):
        with pytest.raises(RigposeError, match=says):
            export_nwb(tmp_path / "day1", out, options=ABOUT, **options)
    with pytest.raises(RigposeError, match=r"\.nwb"):
        export_nwb(tmp_path / "day1", tmp_path / "a.h5", options=ABOUT)
    out.write_text("mine")
    with pytest.raises(RigposeError, match="--overwrite"):
        export_nwb(tmp_path / "day1", out, options=ABOUT)
    assert out.read_text() == "mine"
    out.unlink()
    monkeypatch.setitem(__import__("sys").modules, "ndx_pose", None)
    with pytest.raises(RigposeError, match=r"rigpose\[nwb\]"):
        export_nwb(tmp_path / "day1", out, options=ABOUT)
    assert not out.exists()
