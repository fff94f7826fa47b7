"""A run measured on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.evaluation.measures import CUTOFF, measure
from training.evaluation.pictures import draw_worst
from training.evaluation.predicting import Predict, network_predictor, predict_images
from training.labels import read_labels
from training.project import Project
from training.run import load_network
from training.splits import Split


def evaluate(
    run_dir: Path, *, project: Path | None = None, split: Path | None = None, part: str = "test",
    cutoff: float = CUTOFF, pictures: Path | None = None, predict: Predict | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Error of a run on labelled images.

    Parameters
    ----------
    run_dir:
        A trained run.
    project:
        Another project to measure on, all of its images unless `split` is given; default: the run's own.
    split:
        A split file; default: the run's own.
    part:
        "test" or "train".
    pictures:
        Folder for pictures of the images with the largest errors; None: none are made.
    predict:
        Another predictor to measure, for instance of an int8 artifact; default: the run's network.

    Returns
    -------
    dict
        As `measure`, with `images`, `split` and `part`.

    Raises
    ------
    RigposeError
        If run, project, labels or an image is missing or damaged, or if the part holds no image.
    """
    network, settings = load_network(run_dir)
    opened = Project.open(project if project is not None else Path(settings.project))
    labels = read_labels(opened).in_order(settings.keypoints, opened.root)
    if split is None and project is not None:
        chosen, name = labels, "all images"
    else:
        file = split if split is not None else Path(run_dir) / "split.json"
        stored = Split.load(file)
        stored.check(labels, file, part)
        chosen, name = labels.select(stored.test if part == "test" else stored.train), stored.name
    paths = [opened.root / image for image in chosen.images]
    predicted = predict_images(predict or network_predictor(network, settings), paths, "evaluating")
    report = measure(predicted, chosen.points, settings.keypoints, cutoff)
    if pictures is not None:
        draw_worst(pictures, opened.root, chosen, predicted, settings.skeleton)
    return {"images": len(chosen), "split": name, "part": part, **report}
