"""Bones in `rigpose filter`: a smoother over time, then limbs that keep their lengths."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.errors import RigposeError
from deploy.offline.filters.files import filter_files
from deploy.offline.filters.table import FilterSettings
from deploy.poses_io.anipose_csv import load_anipose_csv, save_anipose_csv
from deploy.poses_io.deeplabcut import save_csv
from deploy.poses_io.poses import Poses
from tests.calibration.test_smoothing import measured, rms, walking

NAMES = ("snout", "neck", "tail")


def test_the_smoothed_animal_with_bones_is_nearer_the_truth(tmp_path):
    true, rng = walking(frames=300)
    points, covariance = measured(true, rng, (1.0, 1.0, 3.0))
    values = np.zeros((300, 3, 11), np.float32)
    values[..., :3], values[..., 9:] = points, (3, 0.5)
    values[..., 3:9] = covariance[..., [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    save_anipose_csv(tmp_path / "a.csv", NAMES, values, scores=np.ones((300, 3)))
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, neck], [neck, tail]]\n")
    error, limbs = {}, {}
    for bones in (None, tmp_path / "config.yaml"):
        done = filter_files(
            [tmp_path / "a.csv"],
            "kalman",
            FilterSettings(),
            output=tmp_path / str(bones is None),
            skeleton=bones,
        )
        limbs[bones] = done["files"][0].get("limbs")
        error[bones] = rms(load_anipose_csv(done["files"][0]["output"]).points[..., :3], true)
    plain, held = error.values()
    assert held < plain < rms(points, true)
    assert [limb["bone"] for limb in list(limbs.values())[1]] == ["snout-neck", "neck-tail"]


def test_bones_without_depth_are_refused(tmp_path):
    save_csv(Poses.of_video(NAMES, np.ones((30, 3, 3))), "S", tmp_path / "a.csv")
    (tmp_path / "config.yaml").write_text("skeleton: [[snout, neck]]\n")
    for kind, found in (("kalman", "2D points"), ("median", "--kind median")):
        with pytest.raises(RigposeError, match=found):
            filter_files([tmp_path / "a.csv"], kind, FilterSettings(), skeleton=tmp_path / "config.yaml")
