"""The figures in our results CSV are those that DeepLabCut computes of the same predictions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from training.evaluation.measures import measure
from training.evaluation.tables import object_keypoint_similarity

COMPUTE = """
import json, sys
import numpy as np
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from deeplabcut.core.metrics.api import compute_metrics

said = []
for case in json.load(open(sys.argv[1])):
    truth = {str(i): np.array(pose)[None] for i, pose in enumerate(case["labels"])}
    found = {str(i): np.array(pose)[None] for i, pose in enumerate(case["predicted"])}
    of = compute_metrics(truth, found, single_animal=True, pcutoff=0.6)
    said.append([of["rmse"], of["rmse_pcutoff"], of["mAP"], of["mAR"]])
print("SAID " + json.dumps(said))
"""


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N, K, 2), some missing but one at least in each image, and predictions (N, K, 3)."""
    random = np.random.default_rng(seed)
    shape = int(random.integers(2, 30)), int(random.integers(2, 8))
    points = random.uniform(0, 200, (*shape, 2))
    points[random.random(shape) < random.choice([0, 0.2, 0.6])] = np.nan
    points[:, 0] = random.uniform(0, 200, (shape[0], 2))
    found = np.nan_to_num(points, nan=50) + random.normal(0, random.choice([2, 20, 60]), points.shape)
    return points, np.concatenate([found, random.random((*shape, 1))], axis=2)


@pytest.mark.long
@pytest.mark.equipment
def test_errors_and_similarities_are_deeplabcuts_own(tmp_path: Path) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    python = os.environ.get("RIGPOSE_DEEPLABCUT_PYTHON", cache / "rigpose" / "deeplabcut" / "bin" / "python")
    if not Path(python).exists():
        pytest.skip("no DeepLabCut: run tests/peers/deeplabcut_env.sh, or set RIGPOSE_DEEPLABCUT_PYTHON")
    cases = [case(seed) for seed in range(40)]
    given = []
    for points, predicted in cases:
        seen = np.isfinite(points).all(axis=2, keepdims=True)
        labels = np.concatenate([np.nan_to_num(points), 2.0 * seen], axis=2)
        given.append({"labels": labels.tolist(), "predicted": predicted.tolist()})
    (tmp_path / "cases.json").write_text(json.dumps(given))
    done = subprocess.run(
        [python, "-c", COMPUTE, tmp_path / "cases.json"], capture_output=True, text=True, check=False,
        timeout=850, env={**os.environ, "DLClight": "True", "MPLBACKEND": "Agg"}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    theirs = json.loads(done.stdout.rpartition("SAID ")[2])
    for (points, predicted), said in zip(cases, theirs, strict=True):
        names = [str(k) for k in range(points.shape[1])]
        report = measure(predicted, points, names, 0.6)
        ours = (report["all"]["mean_px"], report["confident"]["mean_px"])
        wanted = [None if np.isnan(value) else pytest.approx(value) for value in said[:2]]
        assert list(ours) == wanted
        assert object_keypoint_similarity(points, predicted) == (
            pytest.approx(said[2]),
            pytest.approx(said[3]),
        )
