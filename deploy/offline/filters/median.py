"""Running median, x, y and z by themselves: takes out single wrong frames and keeps edges."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def running_median(points: Floats, window: int) -> Floats:
    """The median over `window` rows around each row, of the points that are there.

    A row without a point gets one where at least half of its window is there. At the ends the window
    is cut short (DeepLabCut's, scipy.signal.medfilt, fills up with zeros there and bends the ends).

    Parameters
    ----------
    points:
        float64 (T, ...), NaN where there is none; consecutive rows are one frame apart.
    window:
        Odd.

    Returns
    -------
    float64, same shape.
    """
    rows = len(points)
    if not rows:
        return np.empty(points.shape)
    flat = points.reshape(rows, int(np.prod(points.shape[1:])))
    half = window // 2
    padded = np.pad(flat, ((half, half), (0, 0)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of windows without any point
        medians: Floats = np.concatenate(
            [np.nanmedian(part, axis=-1) for part in np.array_split(around, max(1, rows // 10_000))]
        )
    enough = np.isfinite(around).sum(axis=-1) * 2 >= window
    medians[np.isnan(flat) & ~enough] = np.nan
    filtered: Floats = medians.reshape(points.shape)
    return filtered
