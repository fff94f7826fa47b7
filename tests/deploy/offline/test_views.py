"""Videos and poses that belong together find each other; those that do not are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from acquisition.recordings.pack import pack
from acquisition.videos.video import open_video
from deploy.offline.views import line_up, pair, sort_files
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import NO_TIME_NS, Poses
from tests.acquisition.clips import clip
from tests.acquisition.sessions import number_of, rewrite_packets, write_session
from tests.deploy.offline.free_session import ENDINGS, write_free_session, write_poses


def names(pairs):
    return [(video.name, poses.name) for video, poses in pairs]


def test_poses_are_found_by_name_the_longest_fits():
    videos = [Path("cam_1.mp4"), Path("cam_10.mp4"), Path("side view.avi")]
    poses = [Path("side viewS.csv"), Path("cam_10DLC_x_filtered.h5"), Path("cam_1DLC_x.poses.npz")]
    assert names(pair(videos, poses)) == [
        ("cam_1.mp4", "cam_1DLC_x.poses.npz"), ("cam_10.mp4", "cam_10DLC_x_filtered.h5"),
        ("side view.avi", "side viewS.csv"),
    ]  # fmt: skip
    assert names(pair([Path("a.mp4")], [Path("b.h5")])) == [("a.mp4", "b.h5")]  # one of each is clear


@pytest.mark.parametrize(
    ("videos", "poses", "says"),
    [
        (["a.mp4", "b.mp4"], ["aS.h5", "aT.h5"], "aS.h5, for a.mp4 too"),
        (["a.mp4", "b.mp4"], ["aS.h5"], "none whose name begins"),
        (["a.mp4", "b.mp4"], ["aS.h5", "c.h5"], "none that fits"),
        (["x/a.mp4", "y/a.mp4"], ["aS.h5", "b.h5"], "2 videos of that name"),
    ],
)
def test_what_does_not_belong_together_is_refused(videos, poses, says):
    with pytest.raises(RigposeError, match=says):
        pair([Path(v) for v in videos], [Path(p) for p in poses])


def test_files_are_sorted_by_what_they_are(tmp_path):
    write_session(tmp_path / "day1", pulses=3, loss=0, ignored=0)
    (tmp_path / "a.h5").write_text("")
    videos, poses = sort_files([tmp_path / "a.h5", tmp_path / "day1", tmp_path / "b.mp4"])
    assert [video.name for video in videos] == ["day1_cam_0.mkv", "day1_cam_1.mkv", "b.mp4"]
    assert poses == [tmp_path / "a.h5"]
    (tmp_path / "3d.csv").write_text("a_x,a_y,a_z,a_error,a_ncams,a_score,fnum\n")
    for given, says in (
        ([tmp_path / "3d.csv", tmp_path / "b.mp4"], "--points"), ([tmp_path / "b.mp4"], "poses of each"),
        ([tmp_path / "a.h5"], "at least one video"), ([tmp_path / "none.csv"], "no such file"),
    ):  # fmt: skip
        with pytest.raises(RigposeError, match=says):
            sort_files(given)


@pytest.mark.parametrize("rows", ["frame sets", "frames"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_cameras_that_run_freely_meet_by_frame_set_whatever_the_file(tmp_path, rows, ending):
    """The second camera starts and stops 3 periods earlier: as many frames, none of them the other's row."""
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    files = write_poses(session, tmp_path, rows)
    given = sort_files([session, *(each[ending] for each in files.values())])
    index, (first, second) = line_up(pair(*given), unequal=False)
    assert index.tolist() == list(range(20))
    assert first.frame.tolist() == list(range(20))
    assert second.frame.tolist() == [*range(3, 20), -1, -1, -1]
    there = second.frame >= 0
    np.testing.assert_array_equal(second.poses.values[second.row[there], 0, 0], second.frame[there])


def test_a_camera_of_a_recording_may_run_on_after_the_others(tmp_path):
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (0, 24)})
    files = write_poses(session, tmp_path)
    given = sort_files([session, *(each[".poses.npz"] for each in files.values())])
    index, (first, second) = line_up(pair(*given), unequal=False)
    assert len(index) == 24 and second.frame.tolist() == list(range(24))
    assert first.frame.tolist()[19:] == [19, -1, -1, -1, -1]
    assert second.row.tolist()[19:] == [19, -1, -1, -1, -1]
    elsewhere = clip(tmp_path / "day1_B.mkv", range(0, 960, 40))  # a copy may be any other video
    with pytest.raises(RigposeError, match="the 20 frames that day1_BDLC_x"):
        line_up([(elsewhere, files["B"][".poses.npz"])], unequal=False)


@pytest.mark.parametrize("ending", ENDINGS)
def test_in_a_packed_copy_the_pictures_are_the_frame_sets(tmp_path, ending):
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    files = write_poses(session, tmp_path)["B"]
    pack(session, tmp_path / "p")
    _, (view,) = line_up([(tmp_path / "p" / "day1_B.mp4", files[ending])], unequal=True)
    assert view.frame[:20].tolist() == [*range(17), -1, -1, -1]  # the camera had stopped
    np.testing.assert_array_equal(view.poses.values[view.row[:17], 0, 0], np.arange(3, 20))


def test_rows_whose_frames_nobody_knows_are_refused(tmp_path):
    session = write_free_session(tmp_path / "day1", {"A": (0, 20), "B": (-3, 17)})
    files = write_poses(session, tmp_path)
    for each in files.values():
        each[".poses.npz"].unlink()
    given = sort_files([session, *(each[".csv"] for each in files.values())])
    with pytest.raises(RigposeError, match=r"rows that are frame sets .* Give day1_ADLC_x\.poses\.npz"):
        line_up(pair(*given), unequal=False)


def saved(path: Path, rows: int) -> Path:
    save_csv(Poses.of_video(("a",), np.zeros((rows, 1, 3))), "S", path)
    return path


def test_another_number_of_frames_is_refused_unless_asked_for(tmp_path):
    video = clip(tmp_path / "v.mp4")  # 25 frames
    for rows in (24, 26):
        poses = saved(tmp_path / f"v{rows}.csv", rows)
        with pytest.raises(RigposeError, match=f"the {rows} frames that v{rows}.csv speaks of, found 25"):
            line_up([(video, poses)], unequal=False)
        index, (view,) = line_up([(video, poses)], unequal=True)
        assert len(index) == max(rows, 25)  # nothing is cut to the shorter
        assert (view.frame != -1).sum() == 25 and (view.row != -1).sum() == rows
    with pytest.raises(RigposeError, match="no rows"):
        line_up([(video, saved(tmp_path / "v0.csv", 0))], unequal=True)


def test_what_rows_are_named_is_said_where_it_does_not_fit(tmp_path):
    video = clip(tmp_path / "v.mp4")  # 25 frames

    def named(frame):
        poses = Poses(("a",), np.zeros((25, 1, 3), np.float32), frame, frame, np.full(25, NO_TIME_NS))
        save_csv(poses, "S", tmp_path / "vS.csv")
        return [(video, tmp_path / "vS.csv")]

    _, (view,) = line_up(named(np.arange(1, 26)), unequal=False)  # counted from 1
    assert view.frame.tolist() == view.row.tolist() == list(range(25))
    says = r"the 241 frames that vS\.csv speaks of \(rows named 0 to 240\), found 25"
    with pytest.raises(RigposeError, match=says):
        line_up(named(np.arange(0, 250, 10)), unequal=False)


def test_rows_find_their_pictures_in_a_recording_that_was_damaged(tmp_path):
    write_session(tmp_path / "day1", loss=0, ignored=0)
    rewrite_packets(tmp_path / "day1" / "day1_cam_0.mkv", (28, 29), None)
    values = np.ones((60, 1, 3), np.float32)
    values[[28, 29]] = np.nan
    frame = np.array([-1 if row in (28, 29) else row for row in range(60)])
    poses = Poses(("k",), values, frame, np.arange(60), np.zeros(60, np.int64))
    save_columns(poses, tmp_path / "day1_cam_0S.poses.npz")
    video = tmp_path / "day1" / "day1_cam_0.mkv"
    _, (view,) = line_up([(video, tmp_path / "day1_cam_0S.poses.npz")], unequal=False)
    shown = [number_of(image) for image in open_video(video)]
    assert [shown[n] if n >= 0 else -1 for n in view.frame.tolist()] == frame.tolist()
    assert view.row.tolist() == list(range(60))


def test_views_meet_by_frame_set(tmp_path):
    """One camera lost its second frame, the other began two sets later."""
    clip(tmp_path / "a.mkv", range(0, 160, 40)), clip(tmp_path / "b.mkv", range(0, 120, 40))
    times = np.zeros(5, np.int64)
    first = Poses(
        ("k",), np.zeros((5, 1, 3), np.float32), np.array([0, -1, 1, 2, 3]), np.arange(10, 15), times
    )  # fmt: skip
    second = Poses(
        ("k",), np.zeros((3, 1, 3), np.float32), np.array([0, 1, 2]), np.arange(12, 15), times[:3]
    )  # fmt: skip
    for name, poses in (("a", first), ("b", second)):
        save_columns(poses, tmp_path / f"{name}S.poses.npz")
    files = [tmp_path / name for name in ("a.mkv", "b.mkv", "aS.poses.npz", "bS.poses.npz")]
    index, views = line_up(pair(*sort_files(files)), unequal=False)
    assert index.tolist() == [10, 11, 12, 13, 14]
    assert views[0].frame.tolist() == [0, -1, 1, 2, 3] and views[0].row.tolist() == [0, 1, 2, 3, 4]
    assert views[1].frame.tolist() == [-1, -1, 0, 1, 2] and views[1].row.tolist() == [-1, -1, 0, 1, 2]
