"""The table of filters, and the rules they share on what is missing.

A measurement below the cutoff counts as missing. Instants between the rows (a frame set that no file
has) are missing, too. Which missing ones get a point is each filter's own business; points that were
measured outside every rule come back filtered, and all confidences come back as they were measured.

Adding a filter: a module here, a function `(Tracks, FilterSettings) -> Filtered`, a line in `FILTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acquisition.errors import RigposeError
from deploy.offline.tracks import Tracks

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """What filters can be asked for; each takes what concerns it.

    Attributes
    ----------
    cutoff:
        Least confidence of a measurement.
    window:
        median: rows, odd. spline, arima: the longest gap in frames that is bridged.
    smoothing:
        spline: weight of the squared second derivative; None: by cross-validation; 0: none.
    order:
        arima: of the autoregression and of the moving average.
    max_sd:
        kalman: a gap is bridged as long as the standard deviation stays below, px or mm. None: three
        times that of a measurement.
    bones:
        kalman, in 3D: pairs of keypoints whose distance holds, as far as it has been seen to.
    """

    cutoff: float = 0.1
    window: int = 5
    smoothing: float | None = None
    order: tuple[int, int] = (3, 1)
    max_sd: float | None = None
    bones: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """Raise `RigposeError` for values that mean nothing."""
        for right, name, expected, found in (
            (0 <= self.cutoff <= 1, "--cutoff", "a confidence from 0 to 1", self.cutoff),
            (self.window >= 1, "--window", "at least 1 frame", self.window),
            (self.smoothing is None or self.smoothing >= 0, "--smoothing", "0 or more", self.smoothing),
            (min(self.order) >= 0 and max(self.order) > 0, "--order", "two numbers such as 3,1", self.order),
            (self.max_sd is None or self.max_sd > 0, "--max-sd", "more than 0", self.max_sd),
        ):
            if not right:
                raise RigposeError(name, expected=expected, found=str(found), remedy="Give another value")


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """What a filter gives.

    Attributes
    ----------
    points:
        float64 (T, K, D), NaN where there is none.
    covariance:
        float64 (T, K, D, D) of `points`, from a filter that knows it.
    found:
        Figures of its own, JSON-able.
    """

    points: Floats
    covariance: Floats | None = None
    found: dict[str, Any] | None = None


def median(tracks: Tracks, settings: FilterSettings) -> Filtered:
    """Running median; a missing point gets one where half of its window is there."""
    from deploy.offline.filters.median import running_median

    if settings.window % 2 == 0:
        raise RigposeError(
            "--window", expected="an odd number of frames for the median", found=str(settings.window),
            remedy=f"Give {settings.window + 1}",
        )  # fmt: skip
    grid, rows = _on_grid(tracks, _measured(tracks, settings))
    return Filtered(running_median(grid, settings.window)[rows])


def spline(tracks: Tracks, settings: FilterSettings) -> Filtered:
    """Smoothing spline; gaps up to the window are bridged."""
    from deploy.offline.filters.spline import spline as fit

    points = _measured(tracks, settings)
    weights = np.where(np.isfinite(tracks.confidence), tracks.confidence, 1.0).clip(0.01)
    fitted = fit(points, weights, tracks.index, settings.smoothing)
    fitted[_long_gaps(points, tracks.index, settings.window)] = np.nan
    return Filtered(fitted)


def arima(tracks: Tracks, settings: FilterSettings) -> Filtered:
    """One-step predictions of an ARMA process; gaps up to the window are bridged."""
    from deploy.offline.filters.arima import one_step_predictions

    points = _measured(tracks, settings)
    grid, rows = _on_grid(tracks, points)
    predicted = one_step_predictions(grid, settings.order)[rows]
    predicted[_long_gaps(points, tracks.index, settings.window)] = np.nan
    return Filtered(predicted)


def kalman(tracks: Tracks, settings: FilterSettings) -> Filtered:
    """Kalman smoother of constant acceleration; gaps are bridged while the uncertainty allows."""
    from deploy.offline.filters.kalman import smooth

    points = _measured(tracks, settings)
    rows, count, dimensions = points.shape
    result = np.full(points.shape, np.nan)
    covariance = np.full((rows, count, dimensions, dimensions), np.nan)
    noise: dict[str, float | None] = {}
    rejected = 0
    for keypoint, name in enumerate(tracks.keypoints):
        found = smooth(points[:, keypoint], _shapes(tracks, keypoint), tracks.index)
        noise[name] = None if found is None else found.noise
        if found is None:
            continue
        deviation = np.sqrt(np.trace(found.covariance, axis1=1, axis2=2) / dimensions)
        kept = deviation <= (settings.max_sd or 3 * found.noise)
        kept |= np.isfinite(points[:, keypoint, 0]) & ~found.rejected
        result[kept, keypoint] = found.points[kept]
        covariance[kept, keypoint] = found.covariance[kept]
        rejected += int(found.rejected.sum())
    figures: dict[str, Any] = {f"noise_{tracks.unit}": noise, "rejected": rejected}
    if settings.bones and dimensions == 3:
        from calibration.smoothing import hold_limbs

        place = {name: number for number, name in enumerate(tracks.keypoints)}
        held = hold_limbs(result, covariance, [(place[a], place[b]) for a, b in settings.bones])
        result, covariance = held.points, held.covariance
        figures["limbs"] = [
            {
                "bone": f"{tracks.keypoints[limb.first]}-{tracks.keypoints[limb.second]}",
                "length_mm": limb.length_mm, "sd_mm": limb.sd_mm,
            }
            for limb in held.limbs
        ]  # fmt: skip
    return Filtered(result, covariance, figures)


FILTERS: dict[str, Callable[[Tracks, FilterSettings], Filtered]] = {
    "median": median, "spline": spline, "arima": arima, "kalman": kalman,
}  # fmt: skip


def _measured(tracks: Tracks, settings: FilterSettings) -> Floats:
    """float64 (T, K, D): the points that count, NaN elsewhere."""
    points: Floats = tracks.points.copy()
    points[~tracks.sure(settings.cutoff)] = np.nan
    return points


def _on_grid(tracks: Tracks, points: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The points on consecutive frames, and where in there the rows are."""
    if not len(points):
        return points, tracks.index
    rows = tracks.index - tracks.index[0]
    grid = np.full((int(rows[-1]) + 1, *points.shape[1:]), np.nan)
    grid[rows] = points
    return grid, rows


def _long_gaps(points: Floats, index: npt.NDArray[np.int64], longest: int) -> npt.NDArray[np.bool_]:
    """bool (T, K): missing in a gap of more than `longest` frames, or before or after all that is there."""
    far = np.zeros(points.shape[:2], np.bool_)
    for keypoint in range(points.shape[1]):
        there = np.flatnonzero(np.isfinite(points[:, keypoint, 0]))
        if not len(there):
            far[:, keypoint] = True
            continue
        after = np.searchsorted(there, np.arange(len(points)))
        outside = (after == 0) | (after == len(there))
        left = index[there[np.maximum(after - 1, 0)]]
        right = index[there[np.minimum(after, len(there) - 1)]]
        far[:, keypoint] = outside | (right - left - 1 > longest)
        far[there, keypoint] = False
    return far


def _shapes(tracks: Tracks, keypoint: int) -> Floats:
    """float64 (T, D, D): covariance of each measurement up to a common factor."""
    rows, dimensions = len(tracks.index), tracks.dimensions
    shapes: Floats = np.broadcast_to(np.eye(dimensions), (rows, dimensions, dimensions)).copy()
    confidence = tracks.confidence[:, keypoint]
    known = np.isfinite(confidence)
    shapes[known] /= confidence[known].clip(0.01)[:, None, None]
    if tracks.covariance is not None:
        own = tracks.covariance[:, keypoint]
        whole: npt.NDArray[np.bool_] = np.all(np.isfinite(own), axis=(1, 2))
        whole[whole] = np.linalg.eigvalsh(own[whole])[:, 0] > 0
        if whole.any():
            # a point whose file does not say counts as a typical one
            shapes[:] = np.eye(dimensions) * np.median(np.trace(own[whole], axis1=1, axis2=2)) / dimensions
            shapes[whole] = own[whole]
    return shapes
