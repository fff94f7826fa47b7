"""Filtered poses and bones beside DeepLabCut's own functions, run on the same numbers in its environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deploy.offline.filters.files import filter_files
from deploy.offline.filters.table import FILTERS, FilterSettings
from deploy.offline.skeleton_files import skeleton_files
from deploy.poses_io.deeplabcut import save_csv, save_h5
from tests.deploy.tracks import walk
from tests.peers.test_deeplabcut import deeplabcut  # noqa: F401 (a fixture)

# Importing the whole of DeepLabCut takes longer than all that is asked of it here.
ASK = """
import json, sys, types
from pathlib import Path
import numpy as np, pandas as pd
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from deeplabcut.post_processing.analyze_skeleton import analyzebone
from deeplabcut.post_processing.filtering import columnwise_spline_interp
from deeplabcut.refine_training_dataset.outlier_frames import FitSARIMAXModel
from deeplabcut.utils import auxiliaryfunctions
from scipy import signal

folder, scorer = sys.argv[1:]
frame, path, found, _ = auxiliaryfunctions.load_analyzed_data(folder, "a", scorer)
filtered, filtered_path, _, _ = auxiliaryfunctions.load_analyzed_data(folder, "a", scorer, True)
x, y, p = frame.values.reshape(len(frame), -1, 3)[:, 0].T
plain = lambda values: [None if v != v else v for v in np.asarray(values, float).tolist()]
print("SAID " + json.dumps({
    "paths": [Path(path).name, Path(filtered_path).name], "scorer": found,
    "filtered": plain(filtered[scorer]["snout"]["x"]),
    "median": plain(signal.medfilt(x, 5)),
    "spline": plain(columnwise_spline_interp(x, 5)[:, 0]),
    "bone": [plain(row) for row in analyzebone(frame[scorer]["snout"], frame[scorer]["tail"]).to_numpy()],
    "arima": plain(FitSARIMAXModel(x - np.median(x), p, 0.001, 0.01, 3, 1, 0)[0]),
}))
"""


def numbers(values: list) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])


@pytest.mark.long
@pytest.mark.equipment
def test_filters_are_deeplabcuts_and_it_finds_our_files(tmp_path: Path, deeplabcut: Path) -> None:  # noqa: F811
    animal = walk(rows=400)
    poses = animal.poses()
    scorer = "DLC_Resnet50_walkNov22shuffle1_snapshot_1"
    save_h5(poses, scorer, tmp_path / f"a{scorer}.h5")
    save_csv(poses, scorer, tmp_path / f"a{scorer}.csv")
    filter_files([tmp_path / f"a{scorer}.h5", tmp_path / f"a{scorer}.csv"], "median", FilterSettings())
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, tail]]")
    skeleton_files([tmp_path / f"a{scorer}.csv"], tmp_path)
    done = subprocess.run(
        [deeplabcut, "-c", ASK, tmp_path, scorer], capture_output=True, text=True, check=False, timeout=850,
        env={**os.environ, "DLClight": "True", "MPLBACKEND": "Agg"}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(done.stdout.rpartition("SAID ")[2])
    assert said["paths"] == [f"a{scorer}.h5", f"a{scorer}_filtered.h5"]
    assert said["scorer"] == scorer

    def ours(kind: str, **options) -> np.ndarray:
        return FILTERS[kind](animal.tracks(), FilterSettings(**options)).points[:, 0, 0]

    inside = slice(3, -3)  # at the ends DeepLabCut's median fills up with zeros
    np.testing.assert_allclose(numbers(said["filtered"]), ours("median"), atol=1e-4)
    np.testing.assert_allclose(numbers(said["median"])[inside], ours("median")[inside], atol=1e-4)
    np.testing.assert_allclose(numbers(said["spline"]), ours("spline", smoothing=0.0), atol=1e-3)
    # DeepLabCut's process is about zero, ours about the median
    arima = numbers(said["arima"]) + np.median(animal.tracks().points[:, 0, 0])
    np.testing.assert_allclose(arima[1:], ours("arima")[1:], atol=1e-3)
    bones = np.genfromtxt(tmp_path / f"a{scorer}_skeleton.csv", delimiter=",", skip_header=2)[:, 1:]
    np.testing.assert_allclose(bones, np.array(said["bone"], float), atol=1e-3)
