"""Our h5 files in the hands of pandas 2, which DeepLabCut pins, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deploy.poses_io.deeplabcut import load_deeplabcut, save_h5
from deploy.poses_io.poses import Poses
from training.projects.labels import write_labels
from training.projects.project import Project

READ = """
import json, sys, pandas
frame = pandas.read_hdf(sys.argv[1])
columns = [list(column) for column in frame.columns]
scorer = columns[0][0]
print(json.dumps({
    "pandas": pandas.__version__, "columns": columns, "names": list(frame.columns.names),
    "index": [str(row) for row in frame.index],
    "values": [[None if value != value else value for value in row] for row in frame.to_numpy().tolist()],
    "one keypoint": [None if value != value else value for value in frame[scorer]["tail"]["x"].tolist()],
}))
"""
WRITE = """
import sys, pandas
columns = pandas.MultiIndex.from_product(
    [["DLC_x"], ["snout", "tail"], ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
)
for layout in ("fixed", "table"):
    frame = pandas.DataFrame([[1.5, 2, .5, 4, 5, .25], [None] * 6], columns=columns, dtype=float)
    frame.to_hdf(f"{sys.argv[1]}/{layout}.h5", key="df_with_missing", format=layout, mode="w")
"""


@pytest.fixture(scope="module")
def pandas2() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    python = Path(os.environ.get("RIGPOSE_PANDAS2_PYTHON", cache / "rigpose" / "pandas2" / "bin" / "python"))
    if not python.exists():
        pytest.skip("no pandas 2: run tests/peers/pandas2_env.sh, or set RIGPOSE_PANDAS2_PYTHON")
    return python


def read_there(python: Path, path: Path) -> dict:
    done = subprocess.run(
        [python, "-I", "-c", READ, path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["pandas"].startswith("2.")
    return said


@pytest.mark.long
@pytest.mark.equipment
def test_poses_are_read_by_pandas_2(tmp_path: Path, pandas2: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    values[1, 0] = np.nan
    save_h5(Poses.of_video(("snout", "tail"), values), "DLC_x", tmp_path / "videoDLC_x.h5")
    said = read_there(pandas2, tmp_path / "videoDLC_x.h5")
    assert said["names"] == ["scorer", "bodyparts", "coords"]
    assert said["columns"] == [
        ["DLC_x", name, coord] for name in ("snout", "tail") for coord in ("x", "y", "likelihood")
    ]
    assert said["index"] == ["0", "1"]
    assert said["values"] == [[0, 1, 2, 3, 4, 5], [None, None, None, 9, 10, 11]]
    assert said["one keypoint"] == [3, 9]


@pytest.mark.long
@pytest.mark.equipment
def test_labels_are_read_by_pandas_2(tmp_path: Path, pandas2: Path) -> None:
    import cv2

    project = Project.create(tmp_path, task="t", scorer="me", keypoints=("snout", "tail"))
    folder = project.root / "labeled-data" / "v"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "img0.png"), np.zeros((4, 4), np.uint8))
    write_labels(project, "v", ["img0.png"], [[[1.5, 2.5], [3.5, np.nan]]])
    said = read_there(pandas2, folder / "CollectedData_me.h5")
    assert said["values"][0][:3] == [1.5, 2.5, 3.5]
    assert said["index"] == ["('labeled-data', 'v', 'img0.png')"]


@pytest.mark.long
@pytest.mark.equipment
def test_what_pandas_2_writes_is_read(tmp_path: Path, pandas2: Path) -> None:
    subprocess.run([pandas2, "-I", "-c", WRITE, tmp_path], check=True, timeout=120)
    for layout in ("fixed", "table"):
        poses = load_deeplabcut(tmp_path / f"{layout}.h5")
        assert poses.keypoints == ("snout", "tail")
        np.testing.assert_array_equal(poses.values[0], [[1.5, 2, 0.5], [4, 5, 0.25]])
        assert np.isnan(poses.values[1]).all()
