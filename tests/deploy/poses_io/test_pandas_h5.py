"""h5 files are read as pandas reads them, except that nothing in them is run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.poses_io.deeplabcut import load_deeplabcut
from deploy.poses_io.deeplabcut_table import read_table
from deploy.poses_io.pandas_h5 import NotAFrame, read_frame

pandas = pytest.importorskip("pandas")
tables = pytest.importorskip("tables")

LEVELS = ["scorer", "individuals", "bodyparts", "coords"]
FOLDERS = [("labeled-data", "clip", f"img{i}.png") for i in range(3)]
ROWS = {
    "one path": ["/".join(parts) for parts in FOLDERS],
    "three parts": pandas.MultiIndex.from_tuples(FOLDERS),
    "frame numbers": pandas.RangeIndex(3),
}
VALUES = np.array([[1.5, np.nan, 3, 4], [5, 6, 7.25, 8], [np.nan] * 4])


def frame_of(rows: str, several: bool = False, coords: tuple[str, ...] = ("x", "y")):
    names = [["Ada"], ["m1", "m2"], ["nose"], coords] if several else [["Ada"], ["nose", "täil"], coords]
    levels = LEVELS if several else [level for level in LEVELS if level != "individuals"]
    columns = pandas.MultiIndex.from_product(names, names=levels)
    return pandas.DataFrame(VALUES, index=ROWS[rows], columns=columns)


@pytest.mark.filterwarnings("ignore::tables.exceptions.PerformanceWarning")
@pytest.mark.parametrize("complib", [None, "zlib"])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    # pandas itself cannot write a table with rows of three parts
    ("layout", "rows"),
    [*itertools.product(["fixed"], ROWS), ("table", "one path"), ("table", "frame numbers")],
)
def test_a_frame_is_what_pandas_makes_of_it(tmp_path, layout, rows, several, complib):
    frame = frame_of(rows, several)
    path = tmp_path / "a.h5"
    frame.to_hdf(
        path, key="df_with_missing", format=layout, complib=complib, complevel=1 if complib else None
    )
    read = read_frame(path)
    assert read.levels == tuple(frame.columns.names)
    assert read.columns == list(frame.columns)
    assert ["/".join(parts) for parts in read.rows] == [
        "/".join(row) if isinstance(row, tuple) else str(row) for row in frame.index
    ]
    np.testing.assert_array_equal(read.values, VALUES)


def test_columns_of_several_kinds_and_in_any_order(tmp_path):
    frame = frame_of("three parts")
    frame[("Ada", "nose", "x")] = [1, 2, 3]  # a block of integers beside that of floats
    frame = frame[list(reversed(frame.columns))]
    frame.columns.names = LEVELS[:1] + LEVELS[2:]
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", mode="w")
    table = read_table(tmp_path / "a.h5")
    assert table.keypoints() == ("täil", "nose")
    expected = VALUES.reshape(3, 2, 2)[:, ::-1].copy()
    expected[:, 1, 0] = [1, 2, 3]
    np.testing.assert_array_equal(table.points(("x", "y")), expected)
    frame.iloc[:0].to_hdf(tmp_path / "b.h5", key="another_key", mode="w")
    assert read_table(tmp_path / "b.h5").points(("x", "y")).shape == (0, 2, 2)


def test_individuals_are_read_one_by_one(tmp_path):
    frame_of("three parts", several=True).to_hdf(tmp_path / "a.h5", key="df_with_missing")
    table = read_table(tmp_path / "a.h5")
    assert table.individuals == ("m1", "m2")
    np.testing.assert_array_equal(table.points(("x", "y"), "m2")[:, 0], VALUES[:, 2:])


class Program:
    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def put_into_attribute(file, program):
    file.root.df_with_missing._v_attrs.non_index_axes = program


def put_into_another_attribute(file, program):
    file.root.df_with_missing.block0_values._v_attrs.anything = program


def put_into_the_root(file, program):
    file.root._v_attrs.FILTERS_OF_MINE = program


def put_into_an_array(file, program):
    file.remove_node("/df_with_missing/block0_values")
    array = file.create_vlarray("/df_with_missing", "block0_values", tables.ObjectAtom())
    array.append(np.array([[program] * 3] * 4, object))


@pytest.mark.parametrize(
    "put", [put_into_attribute, put_into_another_attribute, put_into_the_root, put_into_an_array]
)
def test_an_h5_with_a_program_in_it_is_refused_and_does_not_run(tmp_path, put):
    mark, path = tmp_path / "was here", tmp_path / "CollectedData_Ada.h5"
    frame_of("three parts").to_hdf(path, key="df_with_missing")
    with tables.open_file(str(path), "a") as file:
        put(file, Program(mark))
    mark.unlink(missing_ok=True)
    with pytest.raises(RigposeError, match=r"a pickle that would run (_?io|builtins)\.open"):
        load_deeplabcut(path)
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_pandas_would_have_run_it(tmp_path):
    mark, path = tmp_path / "was here", tmp_path / "a.h5"
    frame_of("three parts").to_hdf(path, key="df_with_missing")
    with tables.open_file(str(path), "a") as file:
        put_into_an_array(file, Program(mark))
    mark.unlink(missing_ok=True)
    pandas.read_hdf(path)
    assert mark.exists()  # else the test above would prove nothing


def test_compression_that_h5py_has_not_is_named(tmp_path):
    frame_of("one path").to_hdf(tmp_path / "a.h5", key="df_with_missing", complib="blosc", complevel=1)
    with pytest.raises(NotAFrame, match="other means than zlib"):
        read_frame(tmp_path / "a.h5")


def test_another_kind_of_pandas_object_is_named(tmp_path):
    pandas.Series([1.0]).to_hdf(tmp_path / "a.h5", key="df_with_missing")
    with pytest.raises(NotAFrame, match="series"):
        read_frame(tmp_path / "a.h5")


def test_without_h5py_reading_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(RigposeError, match="pip install"):
        load_deeplabcut(tmp_path / "a.h5")
