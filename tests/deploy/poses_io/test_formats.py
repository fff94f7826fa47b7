"""Every format gives back what was written, and refuses what is not its own in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acquisition.errors import RigposeError
from deploy.bundles.bundle import Bundle
from deploy.poses_io.anipose_csv import load_anipose_csv, save_anipose_csv
from deploy.poses_io.columns import load_columns, save_columns
from deploy.poses_io.deeplabcut import load_deeplabcut, save_csv, save_h5, scorer_of
from deploy.poses_io.poses import NO_TIME_NS, Poses
from deploy.poses_io.readers import READERS, load_poses
from tests.equipment.disk import small_disk

GOLDEN_BUNDLE = Path(__file__).parents[1] / "golden" / "schema1.bundle"
NAMES = ("snout", "left ear, upper", "tail_base")


def some_poses(rows: int = 7) -> Poses:
    rng = np.random.default_rng(rows)
    values = rng.normal(300, 100, (rows, 3, 3)).astype(np.float32)
    frame = np.arange(rows)
    if rows > 2:
        values[2] = np.nan
        frame[2] = -1
        frame[3:] -= 1
    index = np.arange(rows) + 5
    times = index * 33_333_333 + 10**15
    return Poses(NAMES, values, frame, index, times, {"scorer": "S", "bundle": "mouse"})


SAVERS = {
    ".poses.npz": lambda poses, path: save_columns(poses, path),
    ".csv": lambda poses, path: save_csv(poses, "S", path),
    ".h5": lambda poses, path: save_h5(poses, "S", path),
}


def test_every_reader_is_tested() -> None:
    assert {*SAVERS, ".slp"} == set(READERS)  # .slp: test_sleap


@pytest.mark.parametrize("ending", SAVERS)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_poses_come_back_as_they_were(tmp_path: Path, ending: str, rows: int) -> None:
    poses = some_poses(rows)
    path = tmp_path / "new folder" / f"video{ending}"
    SAVERS[ending](poses, path)
    again = load_poses(path)
    assert again.keypoints == NAMES
    assert again.about["scorer"] == "S"
    np.testing.assert_array_equal(again.values, poses.values)
    if ending == ".poses.npz":
        for name in ("frame", "index", "t_exposure_ns"):
            np.testing.assert_array_equal(getattr(again, name), getattr(poses, name))
        assert again.about["bundle"] == "mouse"
    else:
        np.testing.assert_array_equal(again.frame, np.arange(rows))
        assert (again.t_exposure_ns == NO_TIME_NS).all()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@settings(max_examples=40, deadline=None)
@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 4), st.just(3), st.just(3)),
        elements=st.floats(width=32, allow_infinity=False),
    )
)
def test_a_csv_keeps_every_bit(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    save_csv(Poses.of_video(NAMES, values), "S", path)
    np.testing.assert_array_equal(load_deeplabcut(path).values, values)


def test_the_csv_is_deeplabcuts(tmp_path: Path) -> None:
    save_csv(Poses.of_video(("a", "b"), [[[1, 2, 0.5], [np.nan] * 3]]), "DLC_x", tmp_path / "a.csv")
    rows = list(csv.reader((tmp_path / "a.csv").read_text().splitlines()))
    assert rows == [
        ["scorer"] + ["DLC_x"] * 6,
        ["bodyparts", "a", "a", "a", "b", "b", "b"],
        ["coords", "x", "y", "likelihood", "x", "y", "likelihood"],
        ["0", "1.0", "2.0", "0.5", "", "", ""],
    ]


def test_the_h5_is_deeplabcuts(tmp_path: Path) -> None:
    import pandas
    import tables

    save_h5(some_poses(), "DLC_x", tmp_path / "a.h5")
    frame = pandas.read_hdf(tmp_path / "a.h5", "df_with_missing")
    assert list(frame.columns.names) == ["scorer", "bodyparts", "coords"]
    assert (frame.dtypes == np.float64).all()
    assert list(frame.index) == list(range(7))
    with tables.open_file(str(tmp_path / "a.h5")) as file:
        assert file.root.df_with_missing._v_attrs.pandas_type == "frame"  # the fixed layout, not a table


def test_the_scorer_names_network_and_bundle() -> None:
    bundle = Bundle.load(GOLDEN_BUNDLE)
    scorer = scorer_of(bundle)
    assert scorer == f"DLC_ColourFinder_schema1_rigpose_{bundle.sha256[:8]}"
    assert "." not in scorer


@pytest.mark.parametrize("ending", SAVERS)
def test_damaged_or_missing_files_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"video{ending}"
    with pytest.raises(RigposeError, match="no such file"):
        load_poses(path)
    SAVERS[ending](some_poses(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense\n", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(RigposeError, match="file of poses"):
            load_poses(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("scorer,S,S\nbodyparts,a,a\ncoords,x,y\n0,1,2\n", "the columns x, y"),
        ("scorer,S,S,S\nindividuals,m,m,m\nbodyparts,a,a,a\ncoords,x,y,likelihood\n", "several animals"),
        ("scorer,S,S,S\nbodyparts,a,a,a\ncoords,x,y,likelihood\n0,1,2\n", "rows of different length"),
        ("scorer,S,S,S\nbodyparts,a,a,a\ncoords,x,y,likelihood\n0,1,2,high\n", "could not convert"),
        ("a,b\n1,2\n", "no header"),
    ],
)
def test_other_csv_files_are_refused(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RigposeError, match=found):
        load_poses(path)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigposeError, match=r"\.poses\.npz"):
        load_poses(tmp_path / "a.mat")


def test_a_later_version_of_the_column_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr("deploy.poses_io.columns.VERSION", 2)
        save_columns(some_poses(), tmp_path / "a.poses.npz")
    with pytest.raises(RigposeError, match="Update rigpose"):
        load_columns(tmp_path / "a.poses.npz")


def test_without_pandas_the_h5_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(RigposeError, match="pip install"):
        save_h5(some_poses(), "S", tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_for_an_h5_too(tmp_path: Path) -> None:
    poses = Poses.of_video(NAMES, np.random.default_rng(0).normal(size=(100_000, 3, 3)))
    with small_disk(tmp_path / "disk") as disk:
        with pytest.raises(RigposeError, match="no space left"):
            save_h5(poses, "S", disk / "a.h5")
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("about", ["[]", '{"format": "rigpose poses"}', "3"])
def test_a_column_file_with_another_about_is_refused(tmp_path: Path, about: str) -> None:
    path = tmp_path / "a.poses.npz"
    save_columns(some_poses(), path)
    with np.load(path) as file:
        np.savez(path.with_name("b"), **{**file, "about": np.array(about)})
    path.with_name("b.npz").replace(path)
    with pytest.raises(RigposeError, match="does not read"):
        load_columns(path)
    np.save(path.with_name("c.npy"), np.zeros(3))
    path.with_name("c.npy").replace(path)
    with pytest.raises(RigposeError, match="does not read"):
        load_columns(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.poses.npz"
    save_columns(some_poses(3), path)
    broken = some_poses(4)
    broken.about["never"] = object()  # not JSON
    with pytest.raises(TypeError):
        save_columns(broken, path)
    assert len(load_columns(path).values) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_3d_comes_back_with_its_covariance(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 3, 11)).astype(np.float32)
    points[..., 9] = 4
    points[1, 2] = np.nan
    path = tmp_path / "a.csv"
    save_anipose_csv(path, NAMES, points, frames=[3, 4, 5, 8, 9], scores=np.full((5, 3), 0.5))
    again = load_anipose_csv(path)
    assert again.keypoints == NAMES
    np.testing.assert_array_equal(again.points, points)
    np.testing.assert_array_equal(again.index, [3, 4, 5, 8, 9])
    assert (again.scores == 0.5).all()


def test_an_anipose_file_of_anipose_is_read(tmp_path: Path) -> None:
    """Its own columns: no covariance, but a matrix M, a centre, and underscores in names."""
    header = "tail_base_x,tail_base_y,tail_base_z,tail_base_error,tail_base_ncams,tail_base_score"
    path = tmp_path / "a.csv"
    path.write_text(f"{header},M_00,center_0,fnum\n1.5,2,3,0.25,3.0,0.9,1,0,0\n,,,,,,1,0,1\n")
    read = load_anipose_csv(path)
    points, frames = read.points, read.index
    assert read.keypoints == ("tail_base",)
    np.testing.assert_allclose(read.scores[:, 0], [0.9, np.nan])
    np.testing.assert_array_equal(points[0, 0, [0, 1, 2, 9, 10]], [1.5, 2, 3, 3, 0.25])
    assert np.isnan(points[0, 0, 3:9]).all()
    assert np.isnan(points[1]).all()
    np.testing.assert_array_equal(frames, [0, 1])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "a_x,a_y,a_z,a_ncams,fnum\n1,2\n"])
def test_other_files_are_no_3d(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RigposeError, match="file of poses"):
        load_anipose_csv(path)
