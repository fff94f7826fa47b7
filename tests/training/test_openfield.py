"""A real DeepLabCut project, as it is: opened, trained, measured on frames it has not seen."""

from __future__ import annotations

import json

import pytest

from rigpose.front_door import main
from training.evaluation import evaluate
from training.labels import read_labels
from training.project import Project

PROJECT = "openfield-Pranav-2018-10-30"


@pytest.mark.data
def test_the_project_opens_as_it_is(data_dir):
    project = Project.open(data_dir / PROJECT)
    labels = read_labels(project)
    assert project.keypoints == ("snout", "leftear", "rightear", "tailbase")
    assert project.symmetric_pairs == (("leftear", "rightear"),)
    assert labels.points.shape == (116, 4, 2)
    assert 10 < labels.points[..., 0].min() < labels.points[..., 0].max() < 237


@pytest.mark.data
@pytest.mark.long
@pytest.mark.alone
def test_held_out_frames_are_found_within_four_pixels(data_dir, weights_dir, tmp_path, capsys):
    """Two minutes on two free cores suffice; the third is for machines that are not free."""
    assert main([
        "train", str(data_dir / PROJECT), "-o", str(tmp_path / "run"), "--network", "mobilenetv2-1.0",
        "--init", str(weights_dir / "mobilenet_v2_1.0_224_quant.tflite"), "--minutes", "3", "--fold", "0/5",
        "--device", "cpu", "--json", str(tmp_path / "train.json"),
    ]) in (0, None)  # fmt: skip
    trained = json.loads((tmp_path / "train.json").read_text())
    report = evaluate(tmp_path / "run")["all"]
    with capsys.disabled():
        curve = ", ".join(
            f"{row['seconds']:.0f} s {row['held_out_mean_px']:.2f}" for row in trained["learning_curve"]
        )
        print(
            f"\nopenfield, fold 0 of 5, {trained['held_out_images']} frames: "
            f"mean {report['mean_px']:.2f} px, median {report['median_px']:.2f}, RMSE {report['rmse_px']:.2f}; {trained['steps']} steps in "
            f"{trained['seconds']:.0f} s (mean px on the way: {curve})"
        )
    assert report["mean_px"] < 4.0
