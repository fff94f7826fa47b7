"""The rows of a CSV or h5 are what the column file beside it says; without one nobody guesses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from acquisition.errors import RigposeError
from deploy.poses_io.columns import save_columns
from deploy.poses_io.deeplabcut import save_csv, save_h5
from deploy.poses_io.poses import NO_TIME_NS, Poses
from deploy.poses_io.readers import load_poses
from deploy.poses_io.set_rows import require_rows, with_sets

SAVERS = {".csv": save_csv, ".h5": save_h5}


def of_a_recording(rows: str = "frame sets", count: int = 6) -> Poses:
    """Its first set is 5, the camera lost a frame; or its first two frames are of no set."""
    if rows == "frame sets":
        frame, index = np.array([0, 1, -1, 2, 3, 4][:count]), np.arange(5, 5 + count)
    else:
        frame, index = np.arange(count), np.array([-1, -1, 5, 6, 7, 8][:count])
    values = np.where((frame >= 0)[:, None, None], np.float32(0.5), np.float32(np.nan)) * np.ones((1, 1, 3))
    times = np.where(frame >= 0, 10**12 + frame, NO_TIME_NS)
    about = {"scorer": "S", "camera": "top", "session": "day1", "rows": rows, "bundle": "mouse"}
    return Poses(("nose",), values.astype(np.float32), frame, index, times, about)


def written(folder: Path, poses: Poses, ending: str) -> Path:
    path = folder / f"day1_topS{ending}"
    SAVERS[ending](poses, "S", path)
    save_columns(poses, folder / "day1_topS.poses.npz")
    (folder / "day1_topS.meta.json").write_text(json.dumps({"about": poses.about}))
    return path


@pytest.mark.parametrize("rows", ["frame sets", "frames"])
@pytest.mark.parametrize("ending", SAVERS)
@pytest.mark.parametrize("mark", ["", "_filtered"])
def test_a_file_has_the_rows_of_the_column_file_beside_it(
    tmp_path: Path, rows: str, ending: str, mark: str
) -> None:
    poses = of_a_recording(rows)
    path = written(tmp_path, poses, ending)
    path = path.rename(path.with_name(f"day1_topS{mark}{ending}"))
    again = load_poses(path)
    for name in ("frame", "index", "t_exposure_ns", "values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(poses, name))
    assert again.about == {"scorer": "S", "camera": "top", "rows": rows, "size_px": None}
    require_rows(path, again, sets=True, frames=True)
    assert with_sets(path, again).index.tolist() == [index for index in poses.index if index >= 0]


@pytest.mark.parametrize("ending", SAVERS)
def test_without_the_column_file_only_what_the_rows_are_is_known(tmp_path: Path, ending: str) -> None:
    for rows, lacks in (("frame sets", "frames"), ("frames", "sets")):
        path = written(tmp_path, of_a_recording(rows), ending)
        (tmp_path / "day1_topS.poses.npz").unlink()
        poses = load_poses(path)
        require_rows(path, poses, sets=lacks != "sets", frames=lacks != "frames")
        with pytest.raises(RigposeError, match=r"Give day1_topS\.poses\.npz"):
            require_rows(path, poses, sets=lacks == "sets", frames=lacks == "frames")
        (tmp_path / "day1_topS.meta.json").unlink()
        require_rows(path, poses, sets=True, frames=True)  # DeepLabCut's: row n is frame n


def test_other_rows_than_the_column_file_has_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, of_a_recording(), ".csv")
    lines = path.read_text().splitlines()
    for first, last, found in (
        (3, 8, "5 from 0 on"),
        (4, 9, "5 from 0 on"),
        (5, 9, "4 from 2 on"),
        (3, 3, 0),
    ):
        path.write_text("\n".join(lines[:3] + lines[first:last]) + "\n")
        with pytest.raises(RigposeError, match=rf"the 6 rows of day1_topS\.poses\.npz.* found {found}\."):
            with_sets(path, load_poses(path))


def test_a_video_s_rows_keep_their_own_names_beside_a_column_file(tmp_path: Path) -> None:
    poses = Poses.of_video(("nose",), np.full((6, 1, 3), 0.5), {"camera": None, "size_px": [64, 48]})
    path = written(tmp_path, poses, ".csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3] + lines[5:]) + "\n")
    again = with_sets(path, load_poses(path), frames=True)
    assert again.frame.tolist() == again.index.tolist() == [2, 3, 4, 5]
    assert again.about["size_px"] == [64, 48]


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, 10**9 - 1), unique=True, max_size=8).map(sorted),
    ending=st.sampled_from(sorted(SAVERS)),
)
def test_numbers_that_grow_are_frames_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], ending: str
) -> None:
    assume(not numbers or numbers != list(range(1, len(numbers) + 1)))
    path = tmp_path_factory.mktemp("rows") / f"a{ending}"
    own = np.array(numbers, np.int64)
    values = np.full((len(own), 1, 3), 0.5, np.float32)
    SAVERS[ending](Poses(("nose",), values, own, own, np.full(len(own), NO_TIME_NS), {}), "S", path)
    again = load_poses(path)
    assert again.frame.tolist() == again.index.tolist() == numbers


@given(rows=st.integers(0, 12), ending=st.sampled_from(sorted(SAVERS)))
@settings(max_examples=20, deadline=None)
def test_rows_counted_from_1_are_the_frames_from_0(
    tmp_path_factory: pytest.TempPathFactory, rows: int, ending: str
) -> None:
    """As R and Matlab count. A file that begins at 1 and leaves some out names frames."""
    path = tmp_path_factory.mktemp("rows") / f"a{ending}"
    one, no_time = np.ones((rows, 1, 3), np.float32), np.full(rows, NO_TIME_NS)
    own = np.arange(1, rows + 1)
    SAVERS[ending](Poses(("nose",), one, own, own, no_time, {}), "S", path)
    again = load_poses(path)
    assert again.frame.tolist() == again.index.tolist() == list(range(rows))
    if rows > 1:
        own = np.append(own[:-1], rows + 1)
        SAVERS[ending](Poses(("nose",), one, own, own, no_time, {}), "S", path)
        assert load_poses(path).frame.tolist() == own.tolist()


@pytest.mark.parametrize(
    "names", [["3", "2"], ["4", "4"], ["-1", "0"], ["0.5", "1"], ["a3.png", "a4.png"], ["1" * 10, "2" * 10]]
)
def test_other_names_are_none(tmp_path: Path, names: list[str]) -> None:
    head = "scorer,S,S,S\nbodyparts,a,a,a\ncoords,x,y,likelihood\n"
    (tmp_path / "a.csv").write_text(head + "".join(f"{name},1,2,0.5\n" for name in names))
    assert load_poses(tmp_path / "a.csv").frame.tolist() == [0, 1]
