"""Tables of an evaluation as CSV: every prediction beside its label, and DeepLabCut's results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.measures import distances, measure
from training.files import write_bytes
from training.projects.labels import Labels
from training.projects.project import Project
from training.run import RunSettings

Floats = npt.NDArray[np.float64]

# DeepLabCut's object keypoint similarity: one sigma for all keypoints, these thresholds of a match.
OKS_SIGMA = 0.1
OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)


def write_predictions(
    path: Path, parts: dict[str, tuple[Labels, npt.NDArray[np.float32]]], videos: dict[str, str]
) -> None:
    """One row a keypoint of an image: where it was predicted, where it was labelled, how far apart.

    Parameters
    ----------
    parts:
        Labels and predictions (N, K, 3), by part.
    videos:
        The video of each image.
    """
    rows: list[Sequence[object]] = []
    for part, (labels, predicted) in parts.items():
        distance = distances(predicted, labels.points)
        for row, image in enumerate(labels.images):
            for k, keypoint in enumerate(labels.keypoints):
                origin = "" if np.isnan(distance[row, k]) else "clicked"
                numbers = (*predicted[row, k], *labels.points[row, k], distance[row, k])
                rows.append(
                    (image, videos[image], part, keypoint, *map(_cell, numbers),
                     "reprojected" if labels.reprojected[row, k] else origin)
                )  # fmt: skip
    header = (
        "image", "video", "part", "keypoint", "x_px", "y_px", "confidence", "label_x_px", "label_y_px",
        "error_px", "label",
    )  # fmt: skip
    _write_csv(path, [header, *rows])


def write_deeplabcut(
    folder: Path, project: Project, settings: RunSettings, epochs: int,
    parts: dict[str, tuple[Floats, npt.NDArray[np.float32]]], cutoff: float,
) -> list[Path]:  # fmt: skip
    """Write `<S>-results.csv` and `<S>-keypoint-results.csv` as DeepLabCut's `evaluate_network` does.

    The columns, their rounding, and what "rmse" means there (the mean Euclidean error) are those of
    `evaluate_snapshot`, `save_rmse_per_bodypart` and `compute_metrics` in DeepLabCut 3.0.2
    (`pose_estimation_pytorch/apis/evaluation.py`, `core/metrics`). S says where it comes from.

    Parameters
    ----------
    parts:
        Points (N, K, 2) px and predictions (N, K, 3) of the parts "train" and "test".
    """
    images = {part: len(points) for part, (points, _) in parts.items()}
    network = "".join(c for c in settings.network.title() if c.isalnum())
    scorer = f"DLC_{network}_{project.task}shuffle1_rigpose_{epochs}"
    header = [
        "%Training dataset",
        "Shuffle number",
        "Training epochs",
        "Detector epochs (TD only)",
        "pcutoff",
    ]
    values: list[object] = [round(images["train"] / sum(images.values()), 2), 1, epochs, -1, cutoff]
    single = []
    for part in ("train", "test"):
        points, predicted = parts[part]
        report = measure(predicted, points, settings.keypoints, cutoff)
        precision, recall = object_keypoint_similarity(points, predicted)
        header += [f"{part} rmse", f"{part} rmse_pcutoff", f"{part} mAP", f"{part} mAR"]
        errors = (report["all"]["mean_px"], report["confident"]["mean_px"], precision, recall)
        values += ["" if value is None else round(value, 2) for value in errors]
        means = [report["keypoints"][name]["all"]["mean_px"] for name in settings.keypoints]
        single.append([f"{part.capitalize()} error (px)", *map(_cell, means)])
    written = [folder / f"{scorer}-results.csv", folder / f"{scorer}-keypoint-results.csv"]
    _write_csv(written[0], [header, values])
    _write_csv(written[1], [["", *settings.keypoints], *single])
    return written


def object_keypoint_similarity(points: Floats, predicted: npt.ArrayLike) -> tuple[float, float]:
    """DeepLabCut's mAP and mAR, percent, of one animal an image.

    The similarity of a pose to its labels is the mean over labelled keypoints of exp(-d^2 / (2 A
    (2 sigma)^2)), A the area of the labels' box (COCO keypoint evaluation, one sigma). Images with fewer
    than two labels have none. Precision is averaged over 101 recalls, both over ten thresholds.
    """
    found = np.asarray(predicted, np.float64)
    labelled = np.asarray(np.isfinite(points).all(axis=2))
    similarity = np.zeros(len(points))
    for row, there in enumerate(labelled):
        xy = points[row][there]
        area = float(np.prod(np.ptp(xy, axis=0))) if len(xy) >= 2 else 0.0
        if area > 0:
            square = ((found[row][there, :2] - xy) ** 2).sum(axis=1)
            square = np.where(np.isfinite(square), square, np.inf)
            similarity[row] = np.exp(-square / (2 * area * (2 * OKS_SIGMA) ** 2)).mean()
    animals = int((labelled.sum(axis=1) >= 2).sum())
    predictions = np.isfinite(found[..., :2]).all(axis=2).sum(axis=1) >= 2
    if not animals or not predictions.any():
        return 0.0, 0.0
    confidence = np.nanmean(found[predictions, :, 2], axis=1)
    ranked = similarity[predictions][np.argsort(-confidence, kind="stable")]
    precisions, recalls = [], []
    for threshold in OKS_THRESHOLDS:
        right = np.cumsum(ranked >= threshold)
        recall, precision = right / animals, right / np.arange(1, len(ranked) + 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(recall, RECALLS, side="left")
        precisions.append(
            np.where(place < len(ranked), falling[np.minimum(place, len(ranked) - 1)], 0).mean()
        )
        recalls.append(recall[-1])
    return 100 * float(np.mean(precisions)), 100 * float(np.mean(recalls))


def read_learning_curve(path: Path) -> dict[str, Floats]:
    """Columns of a `learning_curve.csv` by name, NaN where a cell is empty; {} where there is no row."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        name: np.array([float(row[name]) if row[name] else np.nan for row in rows]) for name in rows[0]
    } if rows else {}  # fmt: skip


def _cell(value: Any) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.6g}"


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    write_bytes(path, stream.getvalue().encode())
