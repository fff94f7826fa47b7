"""How far predicted keypoints lie from labelled ones. One measure for every network, artifact and file.

DeepLabCut prints the mean Euclidean error under the name RMSE; here both stand under their own names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.projects.labels import Labels

CUTOFF = 0.5
# Thresholds of the PCK curve: px of the image, and shares of the animal's size.
PCK_PX = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0)
PCK_OF_ANIMAL = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
# A prediction this near is right, when confidence is asked whether it tells right from wrong.
WITHIN_PX = 5.0
CONFIDENCE_BINS = 10
SURE = 0.9

Floats = npt.NDArray[np.float64]


def measure(
    predicted: npt.ArrayLike, points: npt.ArrayLike, keypoints: Sequence[str], cutoff: float = CUTOFF
) -> dict[str, Any]:
    """Errors in px over all labelled keypoints, and of each keypoint.

    Parameters
    ----------
    predicted:
        (N, K, 3) px of the full image and confidence; NaN where nothing was predicted.
    points:
        (N, K, 2) labels, px of the full image; NaN where there is none (such a point counts nowhere).
    cutoff:
        Least confidence of a prediction that counts in `confident`.

    Returns
    -------
    dict
        `all` and `confident` (above the cutoff), each with `points`, `mean_px` (mean Euclidean
        error), `rmse_px` (root of the mean squared Euclidean error), `median_px`, `p95_px`,
        `bias_x_px`, `bias_y_px` (mean signed error, predicted minus labelled); None where no point
        counts. `confident` also says which `share` of the labelled points it holds. `keypoints`: the
        same by name.
    """
    found = np.asarray(predicted, dtype=np.float64)
    difference = found[..., :2] - np.asarray(points, dtype=np.float64)
    there = np.isfinite(difference).all(axis=-1)
    sure = there & (found[..., 2] >= cutoff)

    def summary(of: npt.NDArray[np.bool_]) -> dict[str, Any]:
        miss = difference[of]
        if not len(miss):
            names = ("mean_px", "rmse_px", "median_px", "p95_px", "bias_x_px", "bias_y_px")
            return {"points": 0, **dict.fromkeys(names)}
        distance = np.hypot(miss[:, 0], miss[:, 1])
        return {
            "points": len(miss),
            "mean_px": float(distance.mean()),
            "rmse_px": float(np.sqrt((distance**2).mean())),
            "median_px": float(np.median(distance)),
            "p95_px": float(np.quantile(distance, 0.95)),
            "bias_x_px": float(miss[:, 0].mean()),
            "bias_y_px": float(miss[:, 1].mean()),
        }

    def both(of: npt.NDArray[np.bool_]) -> dict[str, Any]:
        confident = summary(sure & of)
        confident["share"] = confident["points"] / max(1, int((there & of).sum()))
        return {"all": summary(there & of), "confident": confident, "cutoff": cutoff}

    report = both(np.ones_like(there))
    one = np.eye(len(keypoints), dtype=bool)
    report["keypoints"] = {name: both(one[k][None, :]) for k, name in enumerate(keypoints)}
    return report


def distances(predicted: npt.ArrayLike, points: npt.ArrayLike) -> Floats:
    """Distance float64 (N, K) px of each prediction from its label.

    NaN where there is no label, infinite where there is one but nothing was predicted.
    """
    labelled = np.isfinite(np.asarray(points, np.float64)).all(axis=-1)
    difference = np.asarray(predicted, np.float64)[..., :2] - np.asarray(points, np.float64)
    distance = np.linalg.norm(difference, axis=-1)
    return np.where(labelled, np.where(np.isfinite(distance), distance, np.inf), np.nan)


def animal_sizes(labels: Labels) -> Floats:
    """Size of the animal in each image, float64 (N,) px; NaN where nothing is known of it.

    The longer side of the box around the labelled points, median over the images of the same folder
    (one camera sees an animal at one scale), so that an image with few labels has a size too.
    """
    box = np.full(len(labels), np.nan)
    several = np.isfinite(labels.points).all(axis=2).sum(axis=1) >= 2
    xy = labels.points[several]
    box[several] = (np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)).max(axis=1) if len(xy) else np.nan
    folders = np.array([name.split("/")[1] for name in labels.images])
    sizes = np.full(len(labels), np.nan)
    for folder in set(folders.tolist()):
        known = box[(folders == folder) & several]
        sizes[folders == folder] = np.median(known) if len(known) else np.nan
    sizes[np.isnan(sizes)] = np.median(box[several]) if several.any() else np.nan
    sizes[sizes <= 0] = np.nan
    return sizes


def pck(distance_px: Floats, animal_px: Floats, keypoints: Sequence[str]) -> dict[str, Any]:
    """Percentage of correct keypoints: which share of the labelled points is predicted within t.

    Parameters
    ----------
    distance_px:
        (N, K) as `distances` returns it. A point that was not predicted is not within any t.
    animal_px:
        (N,) as `animal_sizes` returns it.

    Returns
    -------
    dict
        `within_px` (the t), `share`, and `keypoints`: the shares by name. `of_animal`: the same with t as
        a share of the animal's size, `animal_px` being its median. Shares are None without a label.
    """

    def shares(of: Floats, thresholds: Sequence[float]) -> list[float] | None:
        there = of[~np.isnan(of)]
        return [float((there <= t).mean()) for t in thresholds] if there.size else None

    relative = distance_px / animal_px[:, None]
    size = float(np.nanmedian(animal_px)) if np.isfinite(animal_px).any() else None
    return {
        "within_px": list(PCK_PX),
        "share": shares(distance_px, PCK_PX),
        "keypoints": {name: shares(distance_px[:, k], PCK_PX) for k, name in enumerate(keypoints)},
        "of_animal": {
            "animal_px": size,
            "within": list(PCK_OF_ANIMAL),
            "share": shares(relative, PCK_OF_ANIMAL),
        },
    }


def reliability(
    confidence: npt.ArrayLike, distance_px: Floats, within_px: float = WITHIN_PX
) -> dict[str, Any]:
    """Whether confidence is what it says: does 0.9 mean that 90 % lie within so many px?

    Parameters
    ----------
    confidence:
        (N, K), 0..1.
    distance_px:
        (N, K) as `distances` returns it.
    within_px:
        How near a prediction must be to be right, px of the image.

    Returns
    -------
    dict
        `points`, mean `confidence` and `share_within`; `bins` of equal width with the same, and `from`, `to`;
        `expected_calibration_error`: mean of |confidence - share| over bins, weighted by their points
        (Naeini et al. 2015); `overconfidence`: mean confidence minus share within, over all points;
        `sure`: the points whose confidence is at least 0.9. None where no point counts.
    """
    given = np.asarray(confidence, np.float64)
    there = np.isfinite(given) & ~np.isnan(distance_px)
    sure_of, right = given[there], distance_px[there] <= within_px

    def summary(of: npt.NDArray[np.bool_]) -> dict[str, Any]:
        count = int(of.sum())
        return {
            "points": count,
            "confidence": float(sure_of[of].mean()) if count else None,
            "share_within": float(right[of].mean()) if count else None,
        }

    edges = np.arange(CONFIDENCE_BINS + 1) / CONFIDENCE_BINS
    place = np.clip(np.digitize(sure_of, edges) - 1, 0, CONFIDENCE_BINS - 1)
    rows = [
        {"from": float(edges[b]), "to": float(edges[b + 1]), **summary(place == b)}
        for b in range(CONFIDENCE_BINS)
    ]
    gaps = [row["points"] * abs(row["confidence"] - row["share_within"]) for row in rows if row["points"]]
    return {
        "within_px": within_px,
        **summary(np.ones_like(right)),
        "bins": rows,
        "expected_calibration_error": float(sum(gaps) / len(right)) if len(right) else None,
        "overconfidence": float(sure_of.mean() - right.mean()) if len(right) else None,
        "sure": {"from": SURE, **summary(sure_of >= SURE)},
    }


def mirrored(
    labels: Labels, predicted: npt.ArrayLike, symmetric_pairs: Sequence[tuple[str, str]]
) -> list[str]:
    """Images in which left and right seem exchanged: in the prediction, or by a slip in the labels.

    A pair counts where both predictions lie nearer to the other one's label, by more than half the way
    between the two labels on average, so that noise between points that lie close does not.
    """
    found = np.asarray(predicted, np.float64)[..., :2]
    flagged = np.zeros(len(labels), np.bool_)
    for left, right in symmetric_pairs:
        a, b = labels.keypoints.index(left), labels.keypoints.index(right)
        as_labelled = distances(found[:, [a, b]], labels.points[:, [a, b]])
        exchanged = distances(found[:, [a, b]], labels.points[:, [b, a]])
        apart = np.linalg.norm(labels.points[:, a] - labels.points[:, b], axis=-1)
        with np.errstate(invalid="ignore"):
            flagged |= (exchanged < as_labelled).all(axis=1) & (
                (as_labelled - exchanged).mean(axis=1) > 0.5 * apart
            )
    return [image for image, is_so in zip(labels.images, flagged, strict=True) if is_so]
