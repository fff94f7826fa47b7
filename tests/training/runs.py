"""A run that needs no training: a small network of random weights, and a split."""

from __future__ import annotations

from pathlib import Path

import torch

from training.files import write_json
from training.projects.labels import dataset_hash, read_labels
from training.projects.project import Project
from training.projects.splits import Split, k_fold
from training.run import RunSettings, network_of, save_run

NETWORK = "residual-8"


def random_run(
    folder: Path, project: Project, split: Split | None = None, seed: int = 0, *, stride: int = 8,
    input_wh: tuple[int, int] = (96, 64),
) -> Path:  # fmt: skip
    """A run directory of `project` as `rigpose train` leaves one, after 4 of the shortest epochs."""
    labels = read_labels(project)
    split = split or k_fold(project, labels, folds=3, fold=0)
    settings = RunSettings(
        network=NETWORK, stride=stride, head_channels=32, batch_norm=True, input_size_px=input_wh,
        keypoints=labels.keypoints, skeleton=(("light", "dark"),), symmetric_pairs=(("light", "dark"),),
        project=str(project.root), dataset_sha256=dataset_hash(project, labels), split=split.name, seed=seed,
    )  # fmt: skip
    torch.manual_seed(seed)
    save_run(folder, settings, network_of(settings))
    split.save(folder / "split.json")
    write_json(folder / "training.json", {"samples": 4 * len(split.train), "images": len(split.train)})
    (folder / "learning_curve.csv").write_text(
        "step,seconds,loss,learning_rate,held_out_mean_px\n1,2,9.5,0.01,\n2,4,8.5,0.001,7.5\n"
    )
    return folder
