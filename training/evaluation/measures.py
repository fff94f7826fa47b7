"""How far predicted keypoints lie from labelled ones. One measure for every network, artifact and file.

DeepLabCut prints the mean Euclidean error under the name RMSE; here both stand under their own names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CUTOFF = 0.5


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
