"""What a comparison measured: one fold of one network, and the rows that pool them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.measures import CUTOFF, distances, measure

Floats = npt.NDArray[np.float64]

RESAMPLED = 2000
ERRORS = ("mean_px", "rmse_px", "median_px", "p95_px", "bias_x_px", "bias_y_px")


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """One trained network, or one artifact of it, on the images it had not seen.

    Attributes
    ----------
    network, precision, fold, run:
        Which: "fp32" is the trained network itself, "int8" the artifact of its bundle.
    images:
        Names of the N held-out images.
    predicted, points:
        (N, K, 3) and (N, K, 2) px; NaN where nothing counts.
    facts:
        `seconds` of training, `input_size_px`, `stride`, `parameters`, `bundle`, `bundle_sha256`; None
        where it is not known.
    """

    network: str
    precision: str
    fold: str
    run: Path
    images: tuple[str, ...]
    predicted: npt.NDArray[np.float32]
    points: Floats
    facts: dict[str, Any] = field(default_factory=dict)

    def row(self, keypoints: Sequence[str]) -> dict[str, Any]:
        """The fold as a row of a table."""
        errors = measure(self.predicted, self.points, keypoints)["all"]
        return {
            "network": self.network, "precision": self.precision, "fold": self.fold, "run": str(self.run),
            "images": len(self.images), **errors, **self.facts,
        }  # fmt: skip


def pooled_rows(results: Sequence[FoldResult], keypoints: Sequence[str]) -> list[dict[str, Any]]:
    """One row a network and precision, in the order in which they come.

    Returns
    -------
    list of dict
        `network`, `precision`, `folds`, `images`, `points`; errors in px of all folds' points together
        as `measure` gives them, and `confident_mean_px`; `mean_of_folds_px` and `between_folds_px` (standard
        deviation of the folds' means, None with one fold); `input_size_px`, `stride`, `parameters` (None
        where the folds differ), `seconds_per_fold`. `against_first`: the difference of the mean error to
        the first row on the `images` of both (`difference_px`, and `low_px` to `high_px`, its 95 %
        bootstrap interval over images), None for the first row itself and where no image is. int8 rows:
        `against_fp32_px`, the same difference to the network itself.
    """
    groups: dict[tuple[str, str], list[FoldResult]] = {}
    for result in results:
        groups.setdefault((result.network, result.precision), []).append(result)
    rows = []
    first = next(iter(groups.values()))
    for (network, precision), folds in groups.items():
        predicted, points = _pooled(folds)
        report = measure(predicted, points, keypoints, CUTOFF)
        means = [fold["mean_px"] for fold in (result.row(keypoints) for result in folds) if fold["points"]]
        row = {
            "network": network, "precision": precision, "folds": len(folds),
            "images": len(predicted), **report["all"],
            "confident_mean_px": report["confident"]["mean_px"],
            "mean_of_folds_px": float(np.mean(means)) if means else None,
            "between_folds_px": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "keypoints": {name: both["all"]["mean_px"] for name, both in report["keypoints"].items()},
            **{name: _common(folds, name) for name in ("input_size_px", "stride", "parameters")},
            "seconds_per_fold": _mean(folds, "seconds"),
            "against_first": None if folds is first else _difference(folds, first),
        }  # fmt: skip
        whole = groups.get((network, "fp32"))
        if precision != "fp32" and whole is not None:
            row["against_fp32"] = _difference(folds, whole)
        rows.append(row)
    return rows


def _pooled(folds: Sequence[FoldResult]) -> tuple[npt.NDArray[np.float32], Floats]:
    return np.concatenate([f.predicted for f in folds]), np.concatenate([f.points for f in folds])


def _difference(folds: Sequence[FoldResult], others: Sequence[FoldResult]) -> dict[str, float] | None:
    """Mean error of `folds` minus that of `others`, paired by image, with its bootstrap interval."""
    same = {(other.fold, other.images): other for other in others}
    pairs = [(mine, same[mine.fold, mine.images]) for mine in folds if (mine.fold, mine.images) in same]
    if not pairs:
        return None
    mine, theirs = (distances(*_pooled(of)) for of in zip(*pairs, strict=True))
    both = np.isfinite(mine) & np.isfinite(theirs)
    count = both.sum(axis=1)
    if not count.sum():
        return None
    gap = (np.where(both, mine, 0.0) - np.where(both, theirs, 0.0)).sum(axis=1)
    picks = np.random.default_rng(0).integers(0, len(gap), (RESAMPLED, len(gap)))
    drawn = gap[picks].sum(axis=1) / np.maximum(1, count[picks].sum(axis=1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "images": len(gap), "difference_px": float(gap.sum() / count.sum()), "low_px": float(low),
        "high_px": float(high),
    }  # fmt: skip


def _common(folds: Sequence[FoldResult], name: str) -> Any:
    values = [fold.facts.get(name) for fold in folds]
    return values[0] if all(value == values[0] for value in values) else None


def _mean(folds: Sequence[FoldResult], name: str) -> float | None:
    values = [fold.facts.get(name) for fold in folds]
    return float(np.mean([v for v in values if v is not None])) if None not in values else None
